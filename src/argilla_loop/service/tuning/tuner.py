"""The encoder that learns: starts trials when enough is labelled, looks after them, and switches when all is embedded.

No step of it waits: a trial is another process, loading and embedding are other threads, and the switch itself is the
change of two references between two turns. Until then everything goes on with the encoder in use, and whatever fails
on the way leaves it in use.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from argilla_loop.domain import Origin
from argilla_loop.errors import ModelError
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.learning.tuning.request import MAX_POOL, Outcome, Request
from argilla_loop.loop.turn import PoolSource, Turn
from argilla_loop.policy.tuning import (
    Trial,
    attempts_at,
    encoder_to_use,
    has_lost_examples,
    level_due,
)
from argilla_loop.service.tuning.encoding import Encoding
from argilla_loop.service.tuning.ledger import Ledger
from argilla_loop.service.tuning.process import TunerProcess
from argilla_loop.settings import Settings

log = structlog.get_logger(__name__)

# Makes learner and embeddings for a tuned encoder (its fingerprint), or for the frozen one (empty).
Make = Callable[[str], tuple[ClassyLearner, PoolVectors]]


class Tuner:
    """Called after every turn; also asked at every look, and before every turn.

    Args:
        settings: for the schedule and the request.
        encoding: what is switched.
        ledger: what was tried, and what is in use.
        make: makes what stands on another encoder.
        base: fingerprint of the frozen encoder.
    """

    def __init__(
        self, settings: Settings, encoding: Encoding, ledger: Ledger, make: Make, *, base: str
    ) -> None:
        self._settings, self._encoding, self._ledger, self._make = settings, encoding, ledger, make
        self._base = base
        self._process: TunerProcess | None = None
        self._trial: Trial | None = None
        self._folder = ledger.folder
        self._next: _Next | None = None
        self._pool: PoolSource | None = None

    def follow(self, pool: PoolSource) -> None:
        """Take the texts of ``pool`` from now on."""
        self._pool = pool

    def __call__(self, turn: Turn) -> None:
        """Start a trial if ``turn`` saw enough new examples."""
        if self._process is not None or self._pool is None:
            return
        examples = [one for one in turn.seen.examples if one.origin is Origin.HUMAN]
        counts = Counter(one.label for one in examples)
        trials = self._ledger.of_base(self._base)
        if trials and has_lost_examples(counts, trials[-1]):
            log.info("encoder_tuning_forgotten", why="most of the answers that it learnt from are gone")
            self._ledger.forget()
            trials = []
        level = level_due(counts, self._settings.tune_from, trials)
        if level:
            self._start(level, counts, [(one.id, one.text, one.label) for one in examples])

    def look_after(self) -> None:
        """See whether the trial has ended, and prepare the encoder that is to be used. Never waits or raises."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self._reap(self._process, code)
        wanted = encoder_to_use(self._ledger.of_base(self._base))
        if self._next is not None and self._next.encoder != wanted:
            self._next.close()
            self._next = None
        if self._next is None and wanted != self._ledger.in_use:
            self._next = _Next(wanted, self._make)
        if self._next is not None and self._next.failure is not None:
            log.warning("tuned_encoder_lost", encoder=wanted[:12], reason=self._next.failure, then="going on")
            self._next = None
            self._ledger.forget()
        elif self._next is not None and self._next.is_loaded and self._pool is not None:
            self._next.embed(self._pool)

    def settle(self) -> None:
        """Switch, if all texts of the pool are embedded for the next encoder: only between two turns."""
        coming = self._next
        if coming is None or self._pool is None or not coming.is_loaded:
            return
        learner, vectors = coming.loaded()
        pool = self._pool.current()
        if not vectors.is_complete(pool):
            return
        before = self._encoding.fingerprint
        self._encoding.switch(learner, vectors)
        self._next = None
        self._ledger.use(coming.encoder)
        log.info(
            "encoder_switched",
            encoder=self._encoding.fingerprint[:12],
            before=before[:12],
            tuned=bool(coming.encoder),
            texts=len(pool),
            seconds=round(time.monotonic() - coming.since, 1),
        )

    def close(self) -> None:
        """End the trial and the preparation, if there are any."""
        if self._process is not None:
            log.info("encoder_tuning_ended", why="the service ends", then="trying again after the next start")
            self._process.close()
            self._process = None
        if self._next is not None:
            self._next.close()
            self._next = None

    def _start(self, level: int, counts: Mapping[str, int], examples: list[tuple[str, str, str]]) -> None:
        pool = self._pool
        assert pool is not None  # noqa: S101 - the caller has looked
        trials = self._ledger.of_base(self._base)
        trial = Trial(
            self._base,
            level,
            len(examples),
            len(counts),
            "unfinished",
            attempts=attempts_at(level, trials) + 1,
        )
        texts = pool.current().texts(self._encoding.prefix(MAX_POOL))
        self._ledger.sweep([encoder_to_use(trials)])
        self._folder = self._ledger.encoder_folder(f"work-{level}")
        settings = self._settings
        request = Request(
            model=settings.model,
            precision=settings.precision,
            cache_dir=str(settings.cache_dir),
            folder=str(self._folder),
            seed=settings.seed,
            head=settings.head,
            examples=examples,
            pool=texts,
        )
        self._trial = trial
        self._ledger.note(trial)  # before it starts: what kills us as well is not tried for ever
        try:
            self._process = TunerProcess(request)
        except OSError as error:
            self._failed(trial, str(error))
            return
        log.info(
            "encoder_tuning_started",
            labels_a_class=level,
            examples=len(examples),
            labels=len(counts),
            attempt=trial.attempts,
            process=self._process.pid,
        )

    def _reap(self, process: TunerProcess, code: int) -> None:
        trial = self._trial
        assert trial is not None  # noqa: S101 - there is a trial where there is a process
        self._process = self._trial = None
        reason = process.reason() if code else ""
        process.close()
        if code:
            self._failed(trial, reason)
            return
        try:
            outcome = Outcome.read(self._folder)
            if outcome.is_better:
                target = self._ledger.encoder_folder(outcome.fingerprint)
                if not target.exists():
                    self._folder.rename(target)
        except (OSError, ValueError) as error:
            self._failed(trial, str(error))
            return
        found = replace(
            trial,
            result="better" if outcome.is_better else "not better",
            frozen=outcome.frozen,
            tuned=outcome.tuned,
            certainty=outcome.certainty,
            cpu_seconds=outcome.cpu_seconds,
            encoder=outcome.fingerprint,
        )
        self._ledger.note(found)
        log.info(
            "encoder_tuned",
            result=found.result,
            labels_a_class=found.level,
            examples=outcome.examples,
            frozen=round(found.frozen, 3),
            tuned=round(found.tuned, 3),
            gain_over_error=round(found.certainty, 2),
            folds=outcome.folds,
            cpu_seconds=found.cpu_seconds,
            peak_mib=outcome.peak_mib,
            then="embedding the pool anew" if outcome.is_better else "the frozen encoder",
        )

    def _failed(self, trial: Trial, reason: str) -> None:
        self._ledger.note(replace(trial, result="failed"))
        log.warning("encoder_tuning_failed", reason=reason, attempt=trial.attempts, then="going on as before")


class _Next:
    """The encoder that is to be used, while it is loaded and the pool is embedded, both in the background."""

    def __init__(self, encoder: str, make: Make) -> None:
        self.encoder, self.since = encoder, time.monotonic()
        self.failure: str | None = None
        self._made: tuple[ClassyLearner, PoolVectors] | None = None
        self._make = make
        threading.Thread(target=self._load, name="next-encoder", daemon=True).start()

    @property
    def is_loaded(self) -> bool:
        return self._made is not None

    def loaded(self) -> tuple[ClassyLearner, PoolVectors]:
        assert self._made is not None  # noqa: S101 - the caller has asked is_loaded
        return self._made

    def embed(self, pool: PoolSource) -> None:
        """Go on to embed what ``pool`` holds now."""
        self.loaded()[1].follow(pool.current())

    def close(self) -> None:
        if self._made is not None:
            self._made[1].close()

    def _load(self) -> None:
        try:
            self._made = self._make(self.encoder)
        except (ModelError, OSError, ValueError) as error:
            self.failure = str(error)
