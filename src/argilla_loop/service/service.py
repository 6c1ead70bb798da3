"""The process: wake-ups, starting over when Argilla was emptied, ending cleanly on a signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import structlog

from argilla_loop import __version__
from argilla_loop.argilla.protocol import Backend, DatasetInfo, Lease
from argilla_loop.errors import (
    ArgillaLoopError,
    CredentialsError,
    FatalError,
    ForeignReplyError,
    GoneError,
    RetryableError,
)
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.observability import systemd
from argilla_loop.observability.heartbeat import heartbeat, heartbeat_file
from argilla_loop.pool import WatchedPool
from argilla_loop.service.blindness import Blindness
from argilla_loop.service.http.monitor import Monitor
from argilla_loop.service.http.page.live import LivePage
from argilla_loop.service.http.webhook_keeper import WebhookKeeper
from argilla_loop.service.identity import Identity, identity_of, remember_dataset, working_dataset
from argilla_loop.service.listener import Listener
from argilla_loop.service.observers.evidence import EvidenceFile, latest_outlook, latest_stability
from argilla_loop.service.observers.failed_audits import FailedAudits
from argilla_loop.service.observers.log import StatusLine, TurnLog
from argilla_loop.service.observers.metrics import update_metrics
from argilla_loop.service.observers.notices import Notices
from argilla_loop.service.observers.other_users import OtherUsers
from argilla_loop.service.retries import retry_until_stopped
from argilla_loop.service.rounds import Rounds
from argilla_loop.service.tuning.encoding import Encoding
from argilla_loop.service.tuning.tuner import Tuner
from argilla_loop.service.wiring import (
    connect_with,
    dataset_of,
    encoder_in_words,
    ensured_dataset,
    learner_of,
    pool_source,
    rules,
    start_model_of,
    tuner_of,
    vectors_of,
)
from argilla_loop.service.writer import heartbeats
from argilla_loop.settings import Settings
from argilla_loop.settings.files import make_private

log = structlog.get_logger(__name__)


class Service:
    """argilla-loop for one working dataset.

    Args:
        settings: everything it is told.
        on_turn: called after every turn, for whoever watches from the same process (the demo).
        reload: reads the settings again, of which only the secrets are taken: asked when Argilla refuses the key.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_turn: Callable[[Turn], object] = lambda _: None,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings, self._reload = settings, reload
        self._wired = settings  # those that the connection was made with
        self._reading = threading.Lock()  # the thread of the signals and the service's own
        self._stopping = threading.Event()
        self._listener: Listener | None = None
        self._encoding: Encoding | None = None
        self._tuner: Tuner | None = None
        self._connection: Backend | None = None
        self._pool: WatchedPool | None = None
        self._lease: Lease | None = None
        self._identity: Identity | None = None
        self._webhook = WebhookKeeper(settings.webhook, self.wake)
        self._page = LivePage(
            settings.dataset, partial(latest_outlook, settings), lambda: encoder_in_words(settings)
        )
        self._monitor = Monitor(settings, self._page)
        self._stability = latest_stability(settings)
        self._observers: list[Callable[[Turn], object]] = [
            TurnLog(),
            EvidenceFile(settings),
            update_metrics,
            StatusLine(self._monitor),
            self._page,
            on_turn,
        ]

    def run(self) -> None:
        """Run until ``stop()``.

        Raises:
            FatalError: what no waiting mends; see ``errors``.
        """
        log.info(
            "service_started",
            version=__version__,
            dataset=self._settings.dataset,
            url=str(self._settings.api_url),
        )
        make_private(self._settings.cache_dir)
        kept = heartbeat.kept_in(heartbeat_file(self._settings))
        with kept, self._monitor, self._webhook, self._one_writer():
            while not self._stopping.is_set():
                try:
                    listener = self._retry_until_stopped(self._start, "start")
                    if listener is not None:
                        self._listener = listener
                        systemd.ready()
                        # stop() or reload() may have come before there was a listener to stop
                        if not self._stopping.is_set() and self._settings is self._wired:
                            listener.run()
                except GoneError as error:
                    log.warning(
                        "dataset_gone", error=str(error), then="starting over; nothing of ours is lost"
                    )
                    self._stopping.wait(self._settings.poll_interval)
                except CredentialsError:
                    if not self._has_new_secrets("Argilla refuses those we had"):
                        raise
        if self._encoding is not None:
            self._encoding.pool_vectors.close()
        log.info("service_stopped")

    @property
    def page_url(self) -> str | None:
        """Address of its page on this machine; ``None`` if it does not listen."""
        return None if self._monitor.port is None else f"http://127.0.0.1:{self._monitor.port}/"

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.stop()

    def reload(self) -> None:
        """Read key and headers again, and start over with them where they are others. Never raises."""
        if self._has_new_secrets("we were asked to"):
            if self._listener is not None:
                self._listener.stop()
        else:
            log.info("reloaded", secrets="as they were")

    def wake(self) -> None:
        """Look at Argilla now."""
        if self._listener is not None:
            self._listener.wake()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """Signs of life for the lease, in a long turn too; none while the loop hangs, so that another may go on."""
        try:
            with heartbeats(lambda: self._lease, self._settings.lease_seconds):
                yield
        finally:
            if self._tuner is not None:
                self._tuner.close()
            writer = self._lease is not None and self._lease.is_held
            if self._lease is not None:
                self._lease.release()
            self._webhook.pause(writer=writer)
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._identity is not None:
                self._identity.close()
                self._identity = None

    def _has_new_secrets(self, why: str) -> bool:
        """Whether key or headers are others than we connected with, as after a rotation; they are ours from then on."""
        with self._reading:
            return self._read_secrets(why)

    def _read_secrets(self, why: str) -> bool:
        try:
            fresh = self._reload() if self._reload else self._settings
        except Exception as error:  # noqa: BLE001  half written, gone, wrong: the old ones may still do
            said = str(error) if isinstance(error, ArgillaLoopError) else type(error).__name__
            log.warning("settings_not_read_again", error=said, then="keeping those we have")
            return False
        secrets = {"api_key": fresh.api_key, "headers": fresh.headers}
        if any(getattr(self._settings, name) != value for name, value in secrets.items()):
            self._settings = self._settings.model_copy(update=secrets)
        if all(getattr(self._wired, name) == value for name, value in secrets.items()):
            return False
        log.info("secrets_read_again", why=why)
        return True

    @contextmanager
    def _let_in_again(self) -> Iterator[None]:
        """Where a proxy shuts us out, see whether our headers were rotated, and start over with the new ones."""
        try:
            yield
        except ForeignReplyError as error:
            if error.denies_access and self._has_new_secrets("a proxy shuts us out") and self._listener:
                self._listener.stop()
            raise

    def _start(self) -> Listener:
        systemd.alive()
        try:
            with self._let_in_again():
                return self._wire()
        except RetryableError as error:
            systemd.ready()  # nothing is wrong with us: a boot must not wait until Argilla is back
            # where something else answers, api_url may be wrong: people must be able to see it
            why = f": {error}" if isinstance(error, ForeignReplyError) else ""
            self._monitor.status = f"waiting for Argilla{why}"
            systemd.alive(self._monitor.status)
            raise

    def _wire(self) -> Listener:
        """Connect anew; the connection before stays open until then, as the lease may have to be let go over it."""
        settings = self._wired = self._settings
        with ExitStack() as in_vain:
            connection = connect_with(settings)
            in_vain.callback(connection.close)
            listener = self._listener_over(connection, settings)
            in_vain.pop_all()
        before, self._connection = self._connection, connection
        if before is not None:
            before.close()
        return listener

    def _listener_over(self, connection: Backend, settings: Settings) -> Listener:
        log.info(
            "connected", server=connection.server_version, user=connection.username, role=connection.role
        )
        info, pool = self._dataset_and_pool(connection)
        encoding = self._encoding or self._encode(settings)
        start = start_model_of(settings, encoding.learner, info.labels)
        encoding.follow(pool.current())
        if self._tuner is not None:
            self._tuner.follow(pool)
        threading.Thread(target=self._warm_up, args=(encoding.learner,), name="warm-up", daemon=True).start()

        identity = self._identity = self._identity or identity_of(settings)
        lease = self._lease = connection.lease(
            info, holder=identity.holder, token=identity.token, seconds=settings.lease_seconds
        )
        dataset = dataset_of(settings, connection, info, before_write=lease.confirm)
        decided = rules(settings, info)
        if settings.auto_validate and decided.criterion is None:
            log.warning(
                "auto_validation_off", why=f"records of this dataset need {info.min_submitted} answers"
            )
        observers: list[Callable[[Turn], object]] = [
            *self._observers,
            OtherUsers(connection, info.workspace),
            FailedAudits(
                dataset, pool, encoding, encoding, decided, revoke=settings.on_failed_audit == "revoke"
            ),
        ]
        if self._tuner is not None:
            observers.append(self._tuner)
        if settings.notices:
            board = connection.notice_board(info, before_write=lease.confirm)
            observers.append(Notices(board, partial(latest_outlook, settings)))
        loop = Loop(
            dataset,
            pool,
            encoding,
            encoding,
            decided,
            observers=observers,
            start=start,
            guess=partial(encoding.guess, info.labels),
            stability=self._stability,
        )
        self._page.follow(loop.view)
        visibility = connection.visibility(info.id, before_write=lease.confirm)
        blindness = Blindness(visibility, dataset, loop.answer_rule)
        rounds = Rounds(loop, lease, blindness, self._monitor, self._let_in_again)

        # by the name in the settings, whatever the dataset is called now
        self._webhook.follow(connection.webhooks(settings.workspace, settings.dataset), info.id)
        return Listener(
            rounds.due,
            partial(self._act, rounds),
            interval=settings.poll_interval,
            max_wait=settings.retry_max_wait,
            on_look=self._on_look,
            ends_with=(FatalError, GoneError),
        )

    def _encode(self, settings: Settings) -> Encoding:
        """Make what stands on the encoder, once; it outlives a connection."""
        learner = learner_of(settings)
        self._encoding = Encoding(learner, vectors_of(settings, learner))
        self._tuner = tuner_of(settings, self._encoding)
        return self._encoding

    def _act(self, rounds: Rounds) -> bool:
        if self._tuner is not None:
            self._tuner.settle()
        return rounds.act()

    def _dataset_and_pool(self, connection: Backend) -> tuple[DatasetInfo, WatchedPool]:
        """The working dataset, made where it is missing, and the pool, which may have to say what labels there are."""
        settings = self._settings
        existing = working_dataset(settings, connection)
        labels = tuple(settings.labels) or (existing.labels() if existing else ())
        # a foreign schema shows before a long pool is read
        info = ensured_dataset(settings, connection, labels) if labels else None

        pool = pool_source(settings, labels, connection)
        pool.fall_back_on(self._pool)
        pool.current()
        self._pool = pool
        if info is None:
            found = tuple(pool.report.labels) if pool.report else ()
            info = ensured_dataset(settings, connection, found)
        remember_dataset(settings, info.id)
        return info, pool

    def _on_look(self) -> None:
        heartbeat.looked()
        if self._tuner is not None:
            self._tuner.look_after()
        self._webhook.look_after()
        self._monitor.look_after()

    def _warm_up(self, learner: ClassyLearner) -> None:
        with suppress(Exception):  # the first training says it again, where it can be acted upon
            learner.warm_up()

    def _retry_until_stopped(self, action: Callable[[], Listener], what: str) -> Listener | None:
        return retry_until_stopped(
            action,
            what=what,
            stopping=self._stopping,
            max_wait=self._settings.retry_max_wait,
            ends_with=(FatalError,),
        )
