"""What an annotator can do in the real UI, before the embedded server, with records as the service logs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from embedded_server import Api
from playwright.sync_api import expect

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.domain import NewRecord, Route

if TYPE_CHECKING:
    from browser import Desk

pytestmark = pytest.mark.browser
pytest_plugins = ["browser"]  # only these tests need Playwright

LABELS = ("Film", "Money", "Sport")
MODEL = "abcdef012345"
# id -> text, label, certainty; the first three are batch 0, the others batch 1
RECORDS = {
    "striker": ("The striker scored twice in the final", "Sport", 0.62),
    "shares": ("Shares fell after the bank cut its forecast", "Money", 0.81),
    "director": ("The director won a prize for her film", "Film", 0.55),
    "keeper": ("The keeper saved a penalty", "Sport", 0.88),
    "rates": ("The central bank raised interest rates", "Money", 0.47),
    "actress": ("The actress plays a pianist in the drama", "Film", 0.73),
}
BY_TEXT = {text: record for record, (text, _, _) in RECORDS.items()}


@pytest.fixture
def dataset(argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]) -> Iterator[ArgillaDataset]:
    """A working data set with two batches that nobody has answered yet."""
    connection = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    info = ensure_dataset(connection, workspace="argilla", name=fresh_name("browser"), labels=LABELS)
    working = ArgillaDataset(connection, info)
    batches = {record: number // 3 for number, record in enumerate(RECORDS)}
    working.log(
        [
            NewRecord(record, text, batches[record], Route.ASK, label, certainty, MODEL)
            for record, (text, label, certainty) in RECORDS.items()
        ]
    )
    yield working
    connection.close()


@pytest.fixture
def annotator_desk(desk: Callable[[], Desk], argilla_server: EmbeddedServer, dataset: ArgillaDataset) -> Desk:
    """The annotator, logged in, before the queue of the data set."""
    annotator = desk()
    annotator.log_in(argilla_server.credentials.annotator)
    annotator.screenshot("datasets")
    annotator.open(dataset.info.name)
    return annotator


def queue(desk: Desk, length: int) -> list[str]:
    """Ids of the next ``length`` records in the order in which the UI shows them."""
    shown = [BY_TEXT[desk.text.inner_text()]]
    while len(shown) < length:
        desk.turn_to_next()
        shown.append(BY_TEXT[desk.text.inner_text()])
    return shown


def stored(server: EmbeddedServer, dataset: ArgillaDataset) -> dict[str, Any]:
    """Each record as the database has it, by id, read as the owner."""
    answer = Api(server, server.credentials.owner).call(
        "GET", f"/datasets/{dataset.info.id}/records", include="responses", limit=100
    )
    return {item["external_id"]: item for item in answer["items"]}


def test_a_suggestion_is_chosen_beforehand_and_what_is_pressed_is_stored(
    annotator_desk: Desk, argilla_server: EmbeddedServer, dataset: ArgillaDataset
) -> None:
    """The suggestion shows label, score and model; a submit keeps it, a correction replaces it, a discard is one."""
    desk = annotator_desk
    expect(desk.total).to_have_text("of 6")
    assert desk.options() == list(LABELS)
    answers: dict[str, tuple[str, str | None]] = {}
    for action in ("keep", "correct", "discard"):
        record = BY_TEXT[desk.text.inner_text()]
        _, suggested, certainty = RECORDS[record]
        expect(desk.chosen).to_have_text(suggested)
        expect(desk.score).to_have_text(f"{certainty:.1f}")
        expect(desk.agent).to_have_text(f"argilla-loop/{MODEL}")
        desk.screenshot(f"before-{action}")
        if action == "keep":
            desk.submit()
            answers[record] = ("submitted", suggested)
        elif action == "correct":
            other = LABELS[(LABELS.index(suggested) + 1) % 3]
            desk.choose(other)
            desk.screenshot("corrected")
            desk.submit()
            answers[record] = ("submitted", other)
        else:
            desk.discard()
            answers[record] = ("discarded", None)
    desk.open_again(dataset.info.name)
    expect(desk.total).to_have_text("of 3")  # the queue holds what is still to be done
    desk.screenshot("three-left")

    me = Api(argilla_server, argilla_server.credentials.annotator).me()
    records = stored(argilla_server, dataset)
    for record, (status, label) in answers.items():
        (response,) = records[record]["responses"]
        assert (response["user_id"], response["status"]) == (me, status)
        if label is not None:
            assert response["values"] == {"label": {"value": label}}
    assert [record for record, item in records.items() if not item["responses"]] == [
        record for record in RECORDS if record not in answers
    ]


def test_search_finds_the_texts_with_the_word(annotator_desk: Desk) -> None:
    """Two of the six texts speak of a bank, and the queue then holds these two only."""
    annotator_desk.search("bank")
    expect(annotator_desk.total).to_have_text("of 2")
    assert set(queue(annotator_desk, 2)) == {"shares", "rates"}
    annotator_desk.screenshot("search")


@pytest.mark.parametrize(("batch", "records"), [(0, list(RECORDS)[:3]), (1, list(RECORDS)[3:])])
def test_filter_by_idx_keeps_one_batch(annotator_desk: Desk, batch: int, records: Sequence[str]) -> None:
    """The filter on the batch number, set through the menu, leaves that batch's records and no others."""
    annotator_desk.filter_range("Batch (idx)", batch, batch)
    expect(annotator_desk.total).to_have_text("of 3")
    annotator_desk.screenshot("filtered")
    assert set(queue(annotator_desk, 3)) == set(records)


@pytest.mark.parametrize("descending", [False, True])
def test_sort_by_certainty_orders_the_queue(annotator_desk: Desk, *, descending: bool) -> None:
    """The queue comes by rising or by falling certainty, as chosen in the menu."""
    annotator_desk.sort("Certainty", descending=descending)
    annotator_desk.screenshot("sorted")
    by_certainty = sorted(RECORDS, key=lambda record: RECORDS[record][2], reverse=descending)
    assert queue(annotator_desk, len(RECORDS)) == by_certainty


def test_annotators_see_idx_and_certainty_but_neither_route_nor_model(
    annotator_desk: Desk, desk: Callable[[], Desk], argilla_server: EmbeddedServer, dataset: ArgillaDataset
) -> None:
    """An audit is blind: route and model are there for the owner, and nowhere for the annotator, UI or API."""
    hidden, ours = {"route", "model"}, {"idx", "certainty", "route", "model"}
    menu = annotator_desk.filter_menu()
    expect(menu.get_by_role("listitem")).to_have_text(["Batch (idx)", "Certainty"])
    annotator_desk.screenshot("filters")
    annotator_desk.close_menu()
    assert not {"Route", "Model version"} & set(annotator_desk.sort_menu().inner_text().split("\n"))
    annotator_desk.close_menu()
    record = BY_TEXT[annotator_desk.text.inner_text()]
    shown = annotator_desk.metadata()
    annotator_desk.screenshot("metadata")
    batch, certainty = list(RECORDS).index(record) // 3, RECORDS[record][2]
    assert {key: shown[key] for key in shown if key in ours} == {
        "idx": str(batch),
        "certainty": str(certainty),
    }

    owner_desk = desk()
    owner_desk.log_in(argilla_server.credentials.owner)
    owner_desk.open(dataset.info.name)
    shown = owner_desk.metadata()
    owner_desk.screenshot("metadata-for-owner")
    assert (shown["route"], shown["model"]) == ("ask", MODEL)

    annotator = Api(argilla_server, argilla_server.credentials.annotator)
    answer = annotator.call("POST", f"/me/datasets/{dataset.info.id}/records/search", {})
    assert len(answer["items"]) == len(RECORDS)
    for item in answer["items"]:
        assert not hidden & set(item["record"]["metadata"])
    assert all(hidden <= set(item["metadata"]) for item in stored(argilla_server, dataset).values())
