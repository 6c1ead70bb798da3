"""What a backend must do besides reading and writing records; add yours to the fixture ``opened``.

The records themselves are in ``test_dataset_contract.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import Backend, DatasetInfo
from argilla_loop.argilla.v2.backend import ArgillaBackend
from argilla_loop.domain import NewRecord, Route
from argilla_loop.errors import (
    CredentialsError,
    GoneError,
    LeaseLostError,
    PoolError,
    SchemaError,
    SettingsError,
)
from argilla_loop.policy.presentation import Presentation

LABELS = ("World", "Sports")
WORKSPACE = "argilla"


@dataclass
class Opened:
    """The same server as an admin and as an owner see it, and what its users may do there."""

    admin: Backend
    owner: Backend
    name: str
    _http: httpx.Client

    def ensure(self, **more: Any) -> DatasetInfo:
        """Find or create the dataset."""
        return self.admin.ensure(**{"workspace": WORKSPACE, "name": self.name, "labels": LABELS, **more})

    def call(self, method: str, path: str, json: Any = None) -> Any:
        """As the UI does for an owner."""
        answer = self._http.request(method, path, json=json).raise_for_status()
        return answer.json() if answer.content else None

    def rename(self, info: DatasetInfo, name: str) -> None:
        self.call("PATCH", f"/datasets/{info.id}", {"name": name})

    def expose(self, info: DatasetInfo, name: str) -> None:
        """Make a metadata property visible to annotators."""
        found = self.call("GET", f"/me/datasets/{info.id}/metadata-properties")["items"]
        (prop,) = (one for one in found if one["name"] == name)
        self.call("PATCH", f"/metadata-properties/{prop['id']}", {"visible_for_annotators": True})

    def notice(self, info: DatasetInfo) -> str:
        """What annotators read beside the labels."""
        return self.questions(info)["label"]["description"] or ""

    def questions(self, info: DatasetInfo) -> dict[str, dict[str, Any]]:
        """The questions by name."""
        return {each["name"]: each for each in self.call("GET", f"/datasets/{info.id}/questions")["items"]}

    def delete(self, info: DatasetInfo) -> None:
        self.call("DELETE", f"/datasets/{info.id}")


@pytest.fixture(params=["argilla 2.8"])
def opened(argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]) -> Iterator[Opened]:
    keys = argilla_server.credentials
    admin = ArgillaBackend.open(argilla_server.url, keys.loop.api_key)
    owner = ArgillaBackend.open(argilla_server.url, keys.owner.api_key)
    headers = {"X-Argilla-Api-Key": keys.owner.api_key}
    with httpx.Client(base_url=f"{argilla_server.url}/api/v1", headers=headers) as http:
        yield Opened(admin, owner, fresh_name("backend"), http)
    admin.close()
    owner.close()


def test_it_says_who_the_user_is(opened: Opened) -> None:
    assert (opened.admin.role, opened.owner.role) == ("admin", "owner")
    assert opened.admin.user_id != opened.owner.user_id
    names = opened.owner.usernames(WORKSPACE)
    assert names[opened.admin.user_id] == opened.admin.username
    assert opened.admin.server_version


def test_a_dataset_is_created_once_and_found_with_its_labels(opened: Opened) -> None:
    assert opened.admin.find(WORKSPACE, opened.name) is None
    info = opened.ensure(min_submitted=2)
    assert (info.name, info.workspace, info.labels, info.min_submitted) == (opened.name, WORKSPACE, LABELS, 2)
    assert opened.ensure() == info
    found = opened.admin.find(WORKSPACE, opened.name)
    assert found is not None
    assert (found.id, found.name, found.is_draft, found.note) == (info.id, opened.name, False, None)
    assert found.labels() == LABELS
    assert found.verified(LABELS) == found.verified(()) == info
    assert (found.indexed(), found.stored()) == (0, 0)


def test_a_dataset_is_created_as_it_is_to_be_presented(opened: Opened) -> None:
    said = Presentation(
        title="Topic",
        description="What is it about?",
        label_descriptions={"World": "politics & *war*"},
        comments=True,
    )
    info = opened.ensure(presentation=said)
    questions = opened.questions(info)
    assert list(questions) == ["label", "comment"]
    assert (questions["label"]["title"], questions["label"]["description"]) == ("Topic", "What is it about?")
    assert (questions["label"]["required"], questions["comment"]["required"]) == (True, False)
    meanings = {o["value"]: o.get("description") for o in questions["label"]["settings"]["options"]}
    assert meanings == {label: said.label_descriptions.get(label) for label in LABELS}
    guidelines = opened.call("GET", f"/datasets/{info.id}")["guidelines"]
    assert guidelines == said.full_guidelines()
    assert "| **World** | politics &amp; \\*war\\* |" in guidelines
    # a dataset that exists stays as it is
    assert opened.ensure(presentation=Presentation(title="Other", comments=False)) == info
    assert opened.questions(info) == questions


def test_without_comments_there_is_one_question(opened: Opened) -> None:
    assert list(opened.questions(opened.ensure(presentation=Presentation(comments=False)))) == ["label"]


def test_a_dataset_with_other_labels_is_refused_and_named(opened: Opened) -> None:
    opened.ensure()
    found = opened.admin.find(WORKSPACE, opened.name)
    assert found is not None
    assert found.differences(LABELS) == []
    (difference,) = found.differences(("World", "Business"))
    assert "Business" in difference
    with pytest.raises(SchemaError, match="Business"):
        found.verified(("World", "Business"))
    with pytest.raises(SchemaError, match="Business"):
        opened.ensure(labels=("World", "Business"))


def test_a_renamed_dataset_is_found_by_its_former_name_and_that_is_noted(opened: Opened) -> None:
    info = opened.ensure()
    opened.rename(info, f"{opened.name}-2")
    found = opened.admin.find(WORKSPACE, opened.name)
    assert found is not None
    assert (found.id, found.name) == (info.id, f"{opened.name}-2")
    assert f"{opened.name}-2" in str(found.note)
    assert opened.ensure().id == info.id


def test_what_cannot_be_is_refused(opened: Opened) -> None:
    with pytest.raises(CredentialsError):
        opened.admin.find("no such workspace", opened.name)
    with pytest.raises(SettingsError):
        opened.admin.refuse_labels(("only one",))
    with pytest.raises(SettingsError):
        opened.ensure(labels=())
    with pytest.raises(PoolError):
        opened.admin.rows(WORKSPACE, opened.name, text_field="text", question="label")


def test_one_of_two_holds_the_lease(opened: Opened) -> None:
    info = opened.ensure()
    assert opened.admin.writer(info.id) is None
    first = opened.admin.lease(info, holder="first", token="1", seconds=30)
    second = opened.owner.lease(info, holder="second", token="2", seconds=30)
    assert not first.is_held
    assert (first.hold(), second.hold()) == (True, False)
    first.confirm()
    with pytest.raises(LeaseLostError):
        second.confirm()
    writer = opened.owner.writer(info.id)
    assert writer is not None
    assert (writer.token, writer.seconds, writer.user_id) == ("1", 30, opened.admin.user_id)
    assert "first" in writer.summary
    assert writer.other_user(opened.admin.user_id) is None
    assert writer.other_user(opened.owner.user_id) == opened.admin.username
    first.release()
    assert opened.admin.writer(info.id) is None
    assert second.hold()
    second.release()


def test_a_restart_with_the_same_token_continues_at_once(opened: Opened) -> None:
    info = opened.ensure()
    assert opened.admin.lease(info, holder="killed", token="1", seconds=30).hold()
    again = opened.admin.lease(info, holder="again", token="1", seconds=30)
    assert again.hold()
    again.confirm()


def test_a_notice_is_written_once_and_asks_before_it_writes(opened: Opened) -> None:
    info, writes = opened.ensure(), []
    board = opened.admin.notice_board(info, before_write=lambda: writes.append(1))
    assert [board.show("one"), board.show("one"), board.show("two")] == [True, False, True]
    assert "two" in opened.notice(info)
    assert "one" not in opened.notice(info)
    assert not board.remove_former()
    assert len(writes) == 2


def test_what_annotators_must_not_see_is_found_and_hidden(opened: Opened) -> None:
    info, writes = opened.ensure(), []
    visibility = opened.admin.visibility(info.id, before_write=lambda: writes.append(1))
    assert visibility.exposed() == []
    for name in ("prediction", "model"):
        opened.expose(info, name)
    exposed = visibility.exposed()
    assert {one.name: one.reveals for one in exposed} == {"prediction": True, "model": False}
    visibility.hide(exposed)
    assert visibility.exposed() == []
    assert len(writes) == 2


def test_who_accepted_is_counted_by_user(opened: Opened) -> None:
    info = opened.ensure()
    for backend, ids in ((opened.admin, "ab"), (opened.owner, "c")):
        backend.dataset(info).log(
            [NewRecord(i, f"text {i}", 0, Route.ACCEPT, "World", 0.9, "m", 0.5) for i in ids]
        )
    opened.admin.dataset(info).log([NewRecord("d", "text d", 0, Route.ASK)])
    counts = opened.owner.accepted_by_user(info.id)
    assert counts == {opened.admin.user_id: 2, opened.owner.user_id: 1}


def test_another_dataset_is_a_pool_in_which_only_people_label(opened: Opened) -> None:
    info = opened.ensure()
    opened.admin.dataset(info).log(
        [
            NewRecord("a", "<b>text</b>", 0, Route.ASK),
            NewRecord("b", "text b", 0, Route.ACCEPT, "World", 0.9, "m", 0.5),
        ]
    )
    rows = opened.owner.rows(WORKSPACE, opened.name, text_field="text", question="label")
    before = rows.revision()
    assert list(rows()) == [("a", "<b>text</b>", None), ("b", "text b", None)]
    opened.admin.dataset(info).log([NewRecord("c", "text c", 1, Route.ASK)])
    assert rows.revision() != before


def test_a_dataset_that_was_deleted_is_gone(opened: Opened) -> None:
    info = opened.ensure()
    dataset = opened.admin.dataset(info)
    lease = opened.admin.lease(info, holder="h", token="1", seconds=30)
    visibility = opened.admin.visibility(info.id)
    opened.delete(info)
    for action in (dataset.revision, lease.hold, visibility.exposed, lambda: list(dataset.scan())):
        with pytest.raises(GoneError):
            action()


def test_webhooks_are_the_owners(opened: Opened) -> None:
    with pytest.raises(CredentialsError):
        opened.admin.webhooks(WORKSPACE, opened.name).ensure("http://127.0.0.1:1/")
    webhooks = opened.owner.webhooks(WORKSPACE, opened.name)
    made = webhooks.ensure("http://127.0.0.1:1/")
    assert webhooks.ensure("http://127.0.0.1:1/") == made
    assert webhooks.pause(made, alone=True)
    assert webhooks.ensure("http://127.0.0.1:1/").enabled
    assert webhooks.switch(enabled=False) == 1
    assert not webhooks.ensure("http://127.0.0.1:1/").enabled
    assert (webhooks.remove(), webhooks.remove()) == (1, 0)


def test_an_owner_creates_an_annotator_once_and_nobody_else_may(opened: Opened) -> None:
    name = f"{opened.name}-anna"
    with pytest.raises(CredentialsError):
        opened.admin.ensure_annotator(WORKSPACE, name, "a password")
    for password in ("a password", "another one"):
        opened.owner.ensure_annotator(WORKSPACE, name, password)
    (user,) = [each for each in opened.call("GET", "/users")["items"] if each["username"] == name]
    assert user["role"] == "annotator"
    assert name in opened.admin.usernames(WORKSPACE).values()  # of the workspace
