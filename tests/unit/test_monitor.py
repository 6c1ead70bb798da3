"""Health, readiness and metrics by HTTP, and what ``argilla-loop health`` makes of them."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from drip import Dripping
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from argilla_loop.cli.health_probe import health
from argilla_loop.domain import Example, NewRecord, Origin, Route
from argilla_loop.loop.turn import Turn
from argilla_loop.observability.heartbeat import Heartbeat
from argilla_loop.observability.metrics import exposition
from argilla_loop.policy.observation import Batch, Observation
from argilla_loop.policy.plan import ColdStart, NextBatch, Plan, Step, Wait
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision, AuditResult
from argilla_loop.service.http import monitor
from argilla_loop.service.http.monitor import Monitor
from argilla_loop.service.http.server import CONNECTIONS
from argilla_loop.service.observers.log import status_line
from argilla_loop.service.observers.metrics import OUTCOMES, update_metrics
from argilla_loop.settings import Settings

Make = Callable[..., Settings]


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def settings(port: int, **more: Any) -> Settings:
        values = {"api_key": "k", "pool": {"path": "x.csv"}, "cache_dir": tmp_path, "dataset": "news"}
        return Settings(**{**values, "http": {"port": port}, **more})

    return settings


@pytest.fixture(autouse=True)
def heart(monkeypatch: pytest.MonkeyPatch) -> Heartbeat:
    """A heart of this test's own."""
    mine = Heartbeat()
    monkeypatch.setattr(monitor, "heartbeat", mine)
    return mine


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Monitor, httpx.Client]]:
    with Monitor(settings) as one, httpx.Client(base_url=f"http://127.0.0.1:{one.port}") as client:
        yield one, client


def test_it_is_healthy_before_the_first_look_and_ready_after_it(make: Make, heart: Heartbeat) -> None:
    with running(make(free_port())) as (one, http):
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 503
        heart.looked()
        one.status = "batch 7: 3 of 10 done"
        answer = http.get("/readyz")
        assert answer.status_code == 200
        said = answer.json()
        assert (said["dataset"], said["status"]) == ("argilla/news", "batch 7: 3 of 10 done")
        heart.missed()
        assert http.get("/readyz").status_code == 503
        assert http.get("/healthz").status_code == 200


def test_a_loop_that_hangs_is_not_healthy(
    make: Make, heart: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(free_port())
    with running(settings) as (_, http):
        heart.looked()
        monkeypatch.setattr(heart, "_beaten_at", heart._beaten_at - 121)
        assert http.get("/healthz").status_code == 503
        assert http.get("/readyz").status_code == 503
        healthy, said = health(settings)
        assert not healthy
        assert re.fullmatch(r"last heartbeat \d+ s ago; starting", said)
        assert health(settings, max_age=200)[0]
    with running(make(free_port(), poll_interval=60)) as (_, http):
        assert http.get("/healthz").status_code == 200


def test_metrics_are_what_prometheus_reads(make: Make) -> None:
    with running(make(free_port())) as (_, http):
        answer = http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"argilla_loop_turns", "argilla_loop_service_info", "process_open_fds"} <= families


def test_the_page_is_sent_again_only_if_it_has_changed(make: Make) -> None:
    with running(make(free_port())) as (one, http):
        first = http.get("/")
        assert first.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in first.headers["content-security-policy"]
        assert "starting" in first.text
        tag = {"If-None-Match": first.headers["etag"]}
        same = http.get("/", headers=tag)
        assert (same.status_code, same.content) == (304, b"")
        one.status = "waiting for <b>Argilla</b>"
        other = http.get("/", headers=tag)
        assert other.status_code == 200
        assert "waiting for &lt;b&gt;Argilla" in other.text


def test_nothing_else_is_there_and_nothing_can_be_changed(make: Make) -> None:
    with running(make(free_port())) as (_, http):
        assert [http.get(path).status_code for path in ("/x", "/metrics/x", "/healthz/..%2f")] == [404] * 3
        for path in ("/", "/metrics"):
            assert [http.request(m, path).status_code for m in ("POST", "PUT", "DELETE")] == [501] * 3
        assert http.get("/healthz?verbose=1").status_code == 200
        head = http.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")


def test_port_0_listens_nowhere_and_health_reads_the_file(make: Make) -> None:
    settings = make(0)
    with Monitor(settings) as one:
        assert one.port is None
    assert health(settings) == (
        False,
        "last heartbeat none: the service is not running, or it never reached Argilla",
    )


def test_a_port_that_is_taken_stops_nothing_and_is_taken_when_free(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "TRY_AGAIN", 0.0)
    port = free_port()
    with capture_logs() as logs:
        with socket.create_server(("127.0.0.1", port)):
            one = Monitor(make(port))
            one.__enter__()
            one.look_after()
            assert one.port is None
        one.look_after()
        assert one.port == port
        one.__exit__(None, None, None)
    assert [entry["event"] for entry in logs] == ["monitor_unavailable", "monitor_ready"]


@pytest.mark.parametrize("host", ["a..b", "no.such.host.invalid", "203.0.113.1"])
def test_a_host_that_is_not_ours_stops_nothing(host: str, make: Make) -> None:
    with capture_logs() as logs, Monitor(make(0, http={"host": host, "port": free_port()})):
        pass
    assert logs[0]["event"] == "monitor_unavailable"


def test_a_blank_host_which_would_be_every_address_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="host"):
        make(0, http={"host": ""})
    with pytest.raises(ValueError, match="host"):
        make(0, webhook={"host": ""})


def test_health_is_not_taken_in_by_another_service_on_the_port(make: Make) -> None:
    port = free_port()
    with running(make(port)):
        assert health(make(port))[0]
        told = health(make(port, dataset="other"))
        assert told == (
            False,
            f"http://127.0.0.1:{port} is the service of argilla/news: give each service its own http.port",
        )
    healthy, said = health(make(port))
    assert not healthy
    assert "not running" in said


def test_health_gets_through_while_others_hold_every_connection(make: Make, heart: Heartbeat) -> None:
    """Who drips a byte now and then made a container that worked look dead, and be restarted."""
    settings = make(free_port())
    with running(settings) as (one, _):
        heart.looked()
        assert one.port is not None
        with Dripping(one.port, CONNECTIONS + 8):
            assert all(health(settings)[0] for _ in range(5))


@pytest.mark.parametrize("drip", ["in the headers", "in the body"])
def test_health_waits_for_no_program_that_never_finishes(
    make: Make, monkeypatch: pytest.MonkeyPatch, drip: str
) -> None:
    """A byte now and then keeps a time-out of each read from ever coming."""
    monkeypatch.setattr("argilla_loop.cli.health_probe.SECONDS", 1.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            taken, _ = other.accept()
            with taken:
                taken.sendall(b"HTTP/1.0 200 OK\r\nX: " + (b"\r\n\r\n" if drip == "in the body" else b""))
                while not over.wait(0.1):
                    taken.sendall(b" ")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        healthy, said = health(make(other.getsockname()[1]))
        over.set()
        thread.join()
    assert not healthy
    assert "no argilla-loop answers" in said


@pytest.mark.parametrize("body", ["", "[]", "{}", "<html>", '{"dataset": "argilla/news"}'])
def test_health_is_not_taken_in_by_another_program_on_the_port(
    body: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, text=body))
    assert not health(make(9090))[0]


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])  # noqa: S104  on purpose
def test_a_service_that_listens_everywhere_is_asked_here(
    host: str, asked: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[str] = []

    def get(url: str, **_: object) -> httpx.Response:
        asked_for.append(url)
        said = {"dataset": "argilla/news", "silent_for_seconds": 1, "status": "s"}
        return httpx.Response(200, text=json.dumps(said))

    monkeypatch.setattr(httpx, "get", get)
    assert health(make(9090, http={"host": host, "port": 9090}))[0]
    assert asked_for == [f"http://{asked}:9090/healthz"]


OF_DATASET = ("workspace", "dataset")


class TestATurnAsMetrics:
    EXAMPLES = (Example("1", "t", "A"), Example("2", "t", "A"), Example("3", "t", "B", Origin.MODEL))
    CHECKS = tuple(AuditResult("A", 0.95, right=right) for right in (True, False, True))

    @staticmethod
    def values() -> dict[tuple[str, str], float]:
        text = exposition()[0].decode()
        return {
            (sample.name, ",".join(v for k, v in sample.labels.items() if k not in OF_DATASET)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def test_a_wait_tells_how_much_of_the_batch_is_done(self) -> None:
        before = self.values()[("argilla_loop_turns_total", "wait")]
        seen = Observation(Batch(7, 10, 3), self.EXAMPLES, ("A", "B"), 90, None, self.CHECKS)
        plan = Plan(seen, Wait(Batch(7, 10, 3)), Acceptance(Rules(), seen.labels))
        turn = Turn(plan, suggestions=(8, 10), seconds={"observe": 0.2})
        update_metrics(turn)
        now = self.values()
        expected = {
            ("argilla_loop_batch_number", ""): 7,
            ("argilla_loop_batch_records", ""): 10,
            ("argilla_loop_batch_done_records", ""): 3,
            ("argilla_loop_pool_left_texts", ""): 90,
            ("argilla_loop_examples", "A,human"): 2,
            ("argilla_loop_examples", "B,model"): 1,
            ("argilla_loop_suggestions", "kept"): 8,
            ("argilla_loop_suggestions", "changed"): 2,
            ("argilla_loop_checks", "right"): 2,
            ("argilla_loop_checks", "wrong"): 1,
            ("argilla_loop_turns_total", "wait"): before + 1,
            ("argilla_loop_labelled_records", "people"): 0,
            ("argilla_loop_labelled_records", "service"): 0,
        }
        assert expected.items() <= now.items()
        assert status_line(turn) == "batch 7: 3 of 10 done; 3 examples, 90 texts left"

    def test_a_batch_counts_by_route_and_a_label_that_went_is_gone(self) -> None:
        before = self.values()
        seen = Observation(Batch(7, 10, 10), (Example("1", "t", "B"),), ("A", "B", "C"), 90)
        decisions = {
            "A": AcceptanceDecision(0.9, checked=50, right=49, lower=0.91),
            "B": AcceptanceDecision(None, stopped=True, checked=40, right=30, lower=0.62),
            "C": AcceptanceDecision(0.9),
        }
        acceptance = Acceptance(Rules(), seen.labels, below_accept_minimum={"C": 2}, decisions=decisions)
        routes = (Route.ASK, Route.ASK, Route.ACCEPT, Route.AUDIT)
        records = [NewRecord(str(n), "t", 8, route=route) for n, route in enumerate(routes)]
        update_metrics(Turn(Plan(seen, NextBatch(8, 10), acceptance), records))
        now = self.values()
        for route, count in (("ask", 2), ("accept", 1), ("audit", 1)):
            key = ("argilla_loop_records_total", route)
            assert now[key] == before[key] + count
        assert ("argilla_loop_examples", "A,human") not in now
        states = [now[("argilla_loop_labels", state)] for state in ("granted", "waiting", "stopped")]
        assert states == [1, 1, 1]
        assert now[("argilla_loop_precision", "measured")] == 0.75
        assert now[("argilla_loop_precision", "lower_bound")] == 0.62
        assert now[("argilla_loop_batch_number", "")] == 8
        assert now[("argilla_loop_batch_done_records", "")] == 1
        assert now[("argilla_loop_pool_left_texts", "")] == 86
        assert now[("argilla_loop_last_batch_timestamp_seconds", "")] > 1e9

    def test_a_precision_that_nobody_measured_has_no_value(self) -> None:
        seen = Observation(None, (), ("A", "B"), 90)
        update_metrics(
            Turn(Plan(seen, ColdStart(0, 10), Acceptance(Rules(target_precision=0.9), seen.labels)))
        )
        assert {
            figure: value for (name, figure), value in self.values().items() if name.endswith("precision")
        } == {"target": 0.9}

    def test_each_series_names_the_dataset(self, make: Make) -> None:
        with Monitor(make(0, workspace="team", dataset='a "quoted" one')):
            families = list(text_string_to_metric_families(exposition()[0].decode()))
        samples = [sample for family in families for sample in family.samples]
        assert {sample.name for sample in samples} >= {
            "argilla_loop_service_info",
            "argilla_loop_turn_seconds_bucket",
        }
        for sample in samples:
            assert (sample.labels["workspace"], sample.labels["dataset"]) == ("team", 'a "quoted" one')

    def test_every_step_has_an_outcome(self) -> None:
        assert set(OUTCOMES) == set(get_args(Step))
