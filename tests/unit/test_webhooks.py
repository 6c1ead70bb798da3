"""A webhook is a hint: only what Argilla signed about our dataset wakes, all else is counted and does nothing more."""

from __future__ import annotations

import base64
import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from drip import Dripping
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from argilla_loop.argilla.protocol import Verdict
from argilla_loop.argilla.v2 import webhooks
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.webhooks import EVENTS, ArgillaWebhooks, SignatureJudge
from argilla_loop.errors import RetryableError
from argilla_loop.service.http import webhook_keeper as webhook
from argilla_loop.service.http.server import CONNECTIONS
from argilla_loop.service.http.webhook_keeper import WebhookKeeper
from argilla_loop.service.http.webhook_receiver import MAX_BODY, Receiver, Wakes
from argilla_loop.settings import WebhookSettings

PATIENCE = 60.0  # seconds until a test gives up; nothing is asserted about how long anything takes
SECRET = base64.b64encode(b"a secret of the webhook" * 2).decode()
OTHER_SECRET = base64.b64encode(b"the secret of somebody else").decode()
OURS = "3f0c9f7e-0000-0000-0000-00000000aaaa"


def event(kind: str = "response.created", dataset: str = OURS) -> bytes:
    """What Argilla sends, of which only these parts matter."""
    data = {"id": "r1", "status": "submitted", "record": {"id": "x", "dataset": {"id": dataset, "name": "n"}}}
    return json.dumps({"type": kind, "version": 1, "data": data}).encode()


def signed(body: bytes, *, secret: str = SECRET, event_id: str = "msg_1", age: float = 0.0) -> dict[str, str]:
    """The headers that Argilla sends with ``body``."""
    sent = datetime.now(tz=timezone.utc) - timedelta(seconds=age)
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(int(sent.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(event_id, sent, body.decode(errors="replace")),
    }


def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; fail where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


class TestJudge:
    @pytest.mark.parametrize("kind", EVENTS)
    def test_a_signed_event_of_our_dataset_wakes(self, kind: str) -> None:
        assert SignatureJudge(SECRET, OURS).verdict(signed(event(kind)).items(), event(kind)) is Verdict.WAKES

    @pytest.mark.parametrize(
        "change",
        [
            lambda headers: headers.clear(),
            lambda headers: headers.pop("Webhook-Id"),
            lambda headers: headers.update({"Webhook-Id": "msg_2"}),
            lambda headers: headers.update(signed(event(), secret=OTHER_SECRET)),
            lambda headers: headers.update(signed(event("response.updated"))),
            lambda headers: headers.update(signed(event(), age=301)),
            lambda headers: headers.update(signed(event(), age=-301)),
            lambda headers: headers.update({"Webhook-Timestamp": "nan"}),
            lambda headers: headers.update({"Webhook-Timestamp": "1e400"}),
            lambda headers: headers.update({"Webhook-Signature": ""}),
            lambda headers: headers.update({"Webhook-Signature": "v1"}),
            lambda headers: headers.update({"Webhook-Signature": "v1,ü"}),
            lambda headers: headers.update({"Webhook-Signature": "v1,AAA"}),
            lambda headers: headers.update({"Webhook-Signature": "v1a,AAAA v1,AAAA"}),
        ],
    )
    def test_whatever_is_not_signed_for_us_just_now_is_forged(
        self, change: Callable[[dict[str, str]], object]
    ) -> None:
        headers = signed(event())
        change(headers)
        assert SignatureJudge(SECRET, OURS).verdict(headers.items(), event()) is Verdict.FORGED

    @pytest.mark.parametrize("secret", ["", "not base64!", "whsec_"])
    def test_a_secret_that_cannot_be_one_lets_nobody_in(self, secret: str) -> None:
        assert SignatureJudge(secret, OURS).verdict(signed(event()).items(), event()) is Verdict.FORGED

    @given(
        st.dictionaries(
            st.sampled_from(["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"]), st.text(max_size=40)
        ),
        st.binary(max_size=100) | st.just(event()),
    )
    def test_no_guess_gets_in_and_none_raises(self, headers: dict[str, str], body: bytes) -> None:
        assert SignatureJudge(SECRET, OURS).verdict(headers.items(), body) is Verdict.FORGED

    def test_the_same_event_sent_again_does_not_wake_again(self) -> None:
        judge, headers = SignatureJudge(SECRET, OURS), signed(event())
        assert [judge.verdict(headers.items(), event()) for _ in range(3)] == [
            Verdict.WAKES,
            Verdict.REPLAYED,
            Verdict.REPLAYED,
        ]

    def test_a_forged_event_does_not_use_up_the_id_of_the_genuine_one(self) -> None:
        judge = SignatureJudge(SECRET, OURS)
        judge.verdict(signed(event(), secret=OTHER_SECRET).items(), event())
        assert judge.verdict(signed(event()).items(), event()) is Verdict.WAKES

    def test_the_memory_of_past_events_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "KEPT_IDS", 3)
        judge = SignatureJudge(SECRET, OURS)
        for number in range(10):
            judge.verdict(signed(event(), event_id=str(number)).items(), event())
        assert len(judge._seen) == 3
        assert judge.verdict(signed(event(), event_id="9").items(), event()) is Verdict.REPLAYED

    def test_events_of_other_datasets_are_none_of_ours(self) -> None:
        body = event(dataset="another")
        assert SignatureJudge(SECRET, OURS).verdict(signed(body).items(), body) is Verdict.OTHER_DATASET

    @pytest.mark.parametrize("kind", ["ping", "record.completed", "dataset.deleted"])
    def test_events_of_other_kinds_do_not_wake(self, kind: str) -> None:
        assert (
            SignatureJudge(SECRET, OURS).verdict(signed(event(kind)).items(), event(kind))
            is Verdict.OTHER_EVENT
        )

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b'{"type": "response.created"}', b"[" * 100_000]
        + [
            b'{"type": "response.created", "data": %s}' % data
            for data in (b"null", b"[]", b'{"record": "x"}')
        ],
    )
    def test_a_signed_body_that_is_no_event_is_malformed(self, body: bytes) -> None:
        assert SignatureJudge(SECRET, OURS).verdict(signed(body).items(), body) is Verdict.MALFORMED


class TestWakes:
    def test_a_thousand_hints_while_a_wake_is_under_way_are_one_more_wake(self) -> None:
        entered: queue.Queue[None] = queue.Queue()
        go_on = threading.Semaphore(0)

        def wake() -> None:
            entered.put(None)
            go_on.acquire(timeout=PATIENCE)

        wakes = Wakes(wake, gap=0)
        wakes.hint()
        entered.get(timeout=PATIENCE)
        for _ in range(1000):
            wakes.hint()
        go_on.release(2)
        entered.get(timeout=PATIENCE)
        wakes.close()
        assert entered.empty()

    def test_a_hint_after_a_wake_is_never_lost(self) -> None:
        woken: queue.Queue[None] = queue.Queue()
        wakes = Wakes(lambda: woken.put(None), gap=0.01)
        for _ in range(5):
            wakes.hint()
            woken.get(timeout=PATIENCE)
        wakes.close()


class Listening:
    """A receiver, how to send to it, and how often it woke."""

    def __init__(self, receiver: Receiver, woken: list[int]) -> None:
        self.receiver, self.woken = receiver, woken
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{receiver.port}", timeout=PATIENCE)

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        return self._http.post("/any/path", content=body, headers=headers).status_code

    def close(self) -> None:
        self._http.close()

    def raw(self, *headers: tuple[str, str], body: bytes = b"") -> int:
        """Send exactly these headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=PATIENCE)
        connection.putrequest("POST", "/")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.sock is not None
        with suppress(OSError):  # refused before all of it was sent, and the connection is closed
            connection.sock.shutdown(socket.SHUT_WR)
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def listening() -> Iterator[Listening]:
    woken: list[int] = []
    receiver = Receiver("127.0.0.1", 0, SignatureJudge(SECRET, OURS), lambda: woken.append(1))
    listening = Listening(receiver, woken)
    yield listening
    listening.close()
    receiver.close()


class TestReceiver:
    def test_a_genuine_event_is_answered_200_and_wakes(self, listening: Listening) -> None:
        assert listening.post(event(), signed(event())) == 200
        until(lambda: listening.woken == [1])
        assert listening.receiver.counts == {Verdict.WAKES: 1}

    def test_a_forged_event_is_answered_401_counted_and_nothing_else(self, listening: Listening) -> None:
        with capture_logs() as logs:
            for _ in range(5):
                assert listening.post(event(), signed(event(), secret=OTHER_SECRET)) == 401
        assert listening.receiver.counts == {Verdict.FORGED: 5}
        listening.receiver.close()  # what it would wake it has woken by now
        assert not listening.woken
        told = [line for line in logs if line["log_level"] == "warning"]
        assert [(line["event"], line["verdict"]) for line in told] == [("webhook_events_refused", "forged")]

    def test_genuine_events_that_are_not_for_us_are_answered_200_and_counted(
        self, listening: Listening
    ) -> None:
        for number, body in enumerate([event("ping"), event(dataset="another")]):
            assert listening.post(body, signed(body, event_id=str(number))) == 200
        assert listening.receiver.counts == {Verdict.OTHER_EVENT: 1, Verdict.OTHER_DATASET: 1}
        listening.receiver.close()
        assert not listening.woken

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ([("Content-Length", str(MAX_BODY + 1))], b"", 413),
            ([("Content-Length", "9" * 5000)], b"", 413),
            ([], b"", 400),
            ([("Transfer-Encoding", "chunked")], b"0\r\n\r\n", 400),
            ([("Content-Length", "-1")], b"", 400),
            ([("Content-Length", "²")], b"", 400),
            ([("Content-Length", "100")], b"cut off", 400),
        ],
    )
    def test_a_body_that_is_too_big_or_of_no_known_length_is_refused_unread(
        self, listening: Listening, headers: list[tuple[str, str]], body: bytes, status: int
    ) -> None:
        assert listening.raw(*headers, body=body) == status
        assert listening.post(event(), signed(event())) == 200

    def test_a_body_of_just_the_limit_is_read(self, listening: Listening) -> None:
        body = event() + b" " * (MAX_BODY - len(event()))
        assert listening.post(body, signed(body)) == 200

    def test_a_new_secret_takes_the_place_of_the_old_one(self, listening: Listening) -> None:
        listening.receiver.judge = SignatureJudge(OTHER_SECRET, OURS)
        assert listening.post(event(), signed(event())) == 401
        assert listening.post(event(), signed(event(), secret=OTHER_SECRET)) == 200

    def test_events_by_the_hundred_are_all_answered_and_wake_few_times(self) -> None:
        """While the first wake is under way, all that follow make one more."""
        entered, go_on = threading.Semaphore(0), threading.Semaphore(0)
        woken: list[int] = []

        def wake() -> None:
            woken.append(1)
            entered.release()
            go_on.acquire(timeout=PATIENCE)

        receiver = Receiver("127.0.0.1", 0, SignatureJudge(SECRET, OURS), wake)
        listening = Listening(receiver, woken)

        def send(number: int) -> int:
            return listening.post(event(), signed(event(), event_id=str(number)))

        assert send(0) == 200
        assert entered.acquire(timeout=PATIENCE)
        with ThreadPoolExecutor(8) as senders:
            assert set(senders.map(send, range(1, 301))) == {200}
        go_on.release(1000)
        assert entered.acquire(timeout=PATIENCE)
        receiver.close()
        listening.close()
        assert receiver.counts == {Verdict.WAKES: 301}
        assert len(woken) == 2

    @pytest.mark.parametrize("name", ["webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE"])
    @pytest.mark.parametrize("in_front", [True, False])
    def test_a_captured_event_with_a_second_header_of_the_signature_is_forged(
        self, listening: Listening, name: str, *, in_front: bool
    ) -> None:
        """Of two ids the one would be verified, the other looked up: so an old event could wake again and again."""
        genuine = [*signed(event()).items(), ("Content-Length", str(len(event())))]
        second = next((n, v) for n, v in genuine if n.lower() == name.lower())
        for value in ("msg_2", second[1]):
            headers = [(name, value), *genuine] if in_front else [*genuine, (name, value)]
            assert listening.raw(*headers, body=event()) == 401
        assert listening.receiver.counts == {Verdict.FORGED: 2}
        assert listening.raw(*genuine, body=event()) == 200

    def test_what_is_not_understood_is_counted(self, listening: Listening) -> None:
        length = str(len(event()))
        twice = [("Content-Length", length), ("Content-Length", length)]
        assert listening.raw(*signed(event()).items(), *twice, body=event()) == 400
        assert listening.receiver.counts == {Verdict.MALFORMED: 1}

    def test_senders_that_never_finish_hold_up_nobody(self, listening: Listening) -> None:
        with Dripping(listening.receiver.port, CONNECTIONS + 8):
            until(lambda: answered(listening))


def answered(listening: Listening) -> bool:
    try:
        return listening.post(event(), signed(event())) == 200
    except httpx.HTTPError:
        return False


class FakeArgilla(Connection):
    """A connection to a server that knows of webhooks only; ``answers`` may hold errors to raise first."""

    def __init__(self, role: str = "owner") -> None:
        super().__init__(None, "u1", "loop-user", role, "2.8.0")
        self.calls: list[str] = []
        self.held: list[dict[str, Any]] = []
        self.failures: list[Exception] = []

    __setattr__ = object.__setattr__  # the real one is frozen

    @property
    def webhooks(self) -> ArgillaWebhooks:
        """Those of the dataset."""
        return ArgillaWebhooks(self, "argilla", "news")

    def call(self, method: str, path: str, *, where: str, **kwargs: Any) -> Any:  # noqa: ARG002  the real one's
        self.calls.append(f"{method} {path}")
        if self.failures:
            raise self.failures.pop(0)
        if method == "GET":
            return {"items": list(self.held)}
        if method == "PATCH":
            (one,) = (one for one in self.held if path == f"/webhooks/{one['id']}")
            return one.update(kwargs["json"]) or one
        assert method == "POST"
        made = {"id": f"w{len(self.calls)}", "enabled": True, "secret": SECRET, **kwargs["json"]}
        self.held.append(made)
        return made


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def kept(free_port: int) -> Iterator[WebhookKeeper]:
    """A keeper that checks at every look."""
    url = f"http://127.0.0.1:{free_port}"
    settings = WebhookSettings.model_validate({"public_url": url, "port": free_port, "check_interval": 1})
    settings.check_interval = 0.0
    with WebhookKeeper(settings, lambda: None) as keeper:
        yield keeper


class TestKeeper:
    def test_without_a_public_url_nothing_is_asked_and_nothing_listens(self) -> None:
        argilla = FakeArgilla()
        with WebhookKeeper(WebhookSettings.model_validate({}), lambda: None) as keeper:
            keeper.follow(argilla.webhooks, OURS)
            keeper.look_after()
            assert (argilla.calls, keeper._receiver) == ([], None)

    def test_a_key_that_is_no_owners_is_said_once_and_argilla_is_not_asked(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla(role="admin")
        kept.follow(argilla.webhooks, OURS)
        with capture_logs() as logs:
            for _ in range(3):
                kept.look_after()
        (line,) = logs
        assert (line["event"], line["log_level"], line["then"]) == (
            "webhook_unavailable",
            "warning",
            "going on by polling",
        )
        assert "'loop-user' is admin" in line["why"]
        assert argilla.calls == []

    def test_argilla_is_asked_once_in_an_interval(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla()
        kept._settings.check_interval = 3600.0
        kept.follow(argilla.webhooks, OURS)
        for _ in range(5):
            kept.look_after()
        assert argilla.calls == ["GET /webhooks", "POST /webhooks"]

    @pytest.mark.parametrize("failure", [RetryableError("away"), KeyError("items"), RuntimeError("closed")])
    def test_whatever_befalls_a_check_is_told_and_the_next_one_mends_it(
        self, kept: WebhookKeeper, failure: Exception
    ) -> None:
        argilla = FakeArgilla()
        argilla.failures = [failure, failure]
        kept.follow(argilla.webhooks, OURS)
        with capture_logs() as logs:
            for _ in range(4):
                kept.look_after()
        assert [line["event"] for line in logs] == ["webhook_unavailable", "webhook_ready"]

    def test_a_taken_port_is_said_with_what_to_do_and_taken_once_it_is_free(
        self, kept: WebhookKeeper, free_port: int
    ) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        with capture_logs() as logs, socket.socket() as other:
            other.bind(("127.0.0.1", free_port))
            other.listen()
            kept.look_after()
            assert f"127.0.0.1 port {free_port}" in logs[0]["why"]
            assert "set webhook.host or webhook.port" in logs[0]["why"]
        kept.look_after()
        assert kept._receiver is not None
        assert len(argilla.held) == 1

    def test_a_new_secret_and_a_new_dataset_are_taken_over(self, kept: WebhookKeeper, free_port: int) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        kept.look_after()

        def post(body: bytes, secret: str, event_id: str) -> int:
            headers = signed(body, secret=secret, event_id=event_id)
            return httpx.post(f"http://127.0.0.1:{free_port}", content=body, headers=headers).status_code

        assert post(event(), SECRET, "1") == 200
        argilla.held[0] |= {"secret": OTHER_SECRET, "id": "another"}
        kept.look_after()
        assert (post(event(), SECRET, "2"), post(event(), OTHER_SECRET, "3")) == (401, 200)
        kept.follow(argilla.webhooks, "another")
        kept.look_after()
        post(event(dataset="another"), OTHER_SECRET, "4")
        post(event(), OTHER_SECRET, "5")
        assert dict(kept.counts) == {Verdict.WAKES: 3, Verdict.FORGED: 1, Verdict.OTHER_DATASET: 1}

    def test_a_disabled_webhook_is_left_disabled_and_that_is_said_once(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        kept.look_after()
        argilla.held[0]["enabled"] = False
        with capture_logs() as logs:
            kept.look_after()
            kept.look_after()
        assert [line["event"] for line in logs] == ["webhook_disabled"]
        assert argilla.held[0]["enabled"] is False

    def test_a_paused_webhook_is_enabled_by_the_next_check(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        kept.look_after()
        kept.pause(writer=True)
        assert argilla.held[0]["enabled"] is False
        kept.look_after()
        assert argilla.held[0]["enabled"] is True
        assert argilla.held[0]["description"] == "argilla-loop: wakes the service of argilla/news"

    def test_nothing_is_paused_that_was_never_registered(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla()
        kept.pause(writer=True)
        kept.follow(argilla.webhooks, OURS)
        kept.pause(writer=True)
        assert argilla.calls == []

    @pytest.mark.parametrize("failure", [RetryableError("away"), RuntimeError("client has been closed")])
    def test_what_befalls_a_pause_is_told_and_goes_no_further(
        self, kept: WebhookKeeper, failure: Exception
    ) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        kept.look_after()
        argilla.failures = [failure]
        with capture_logs() as logs:
            kept.pause(writer=True)
        assert [(line["event"], line["why"]) for line in logs] == [("webhook_not_paused", str(failure))]

    def test_a_stop_does_not_wait_for_an_argilla_that_does_not_answer(
        self, kept: WebhookKeeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        argilla, answers = FakeArgilla(), threading.Event()
        kept.follow(argilla.webhooks, OURS)
        kept.look_after()
        monkeypatch.setattr(webhook, "PAUSE_SECONDS", 0.1)
        monkeypatch.setattr(argilla, "call", lambda *_, **__: answers.wait(PATIENCE) and {"items": []})
        kept.pause(writer=True)
        assert not answers.is_set()
        answers.set()

    def test_no_line_tells_the_secret(self, kept: WebhookKeeper) -> None:
        argilla = FakeArgilla()
        kept.follow(argilla.webhooks, OURS)
        with capture_logs() as logs:
            kept.look_after()
            argilla.held[0]["events"] = None
            kept.look_after()
        assert len(logs) >= 2
        assert SECRET not in repr(logs)
        assert SECRET not in repr(kept._ours)
