"""What was tried, and which encoder is in use: on disk, so that a restart goes on with it.

Like everything on disk it may be deleted at any moment: the service then goes on with the frozen encoder, and tunes it
anew when the next turn finds that enough is labelled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from argilla_loop.observability.heartbeat import heartbeat_file
from argilla_loop.policy.tuning import Trial
from argilla_loop.settings import Settings
from argilla_loop.settings.files import atomic_write

log = structlog.get_logger(__name__)


class Ledger:
    """The trials of one service, the latest last.

    Args:
        settings: for the cache folder, and to tell services apart.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.cache_dir / "tuned" / heartbeat_file(settings).name
        self._file = self.folder / "trials.json"
        self.trials: list[Trial] = []
        self.in_use = ""
        self._read()

    def of_base(self, base: str) -> list[Trial]:
        """Return the trials that began with the frozen encoder ``base``."""
        return [one for one in self.trials if one.base == base]

    def encoder_folder(self, fingerprint: str) -> Path:
        """Return the folder of a tuned encoder."""
        return self.folder / fingerprint

    def note(self, trial: Trial) -> None:
        """Add ``trial``, in place of an unfinished or failed one of its level."""
        self.trials = [
            one for one in self.trials if one.is_judged or (one.base, one.level) != (trial.base, trial.level)
        ] + [trial]
        self._write()

    def use(self, fingerprint: str) -> None:
        """Note that the encoder ``fingerprint`` is in use from now on; empty for the frozen one."""
        self.in_use = fingerprint
        self._write()

    def forget(self) -> None:
        """Forget all trials: their examples are gone, or what they made is."""
        self.trials = []
        self._write()

    def sweep(self, keep: Sequence[str]) -> None:
        """Remove what no trial of ``keep`` needs: other encoders, and what an ended tuner left."""
        wanted = {*keep, self.in_use}
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.is_dir() and path.name not in wanted:
                    shutil.rmtree(path, ignore_errors=True)

    def _read(self) -> None:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            self.trials = [Trial(**one) for one in content["trials"]]
            self.in_use = str(content["in_use"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:  # somebody else's, or half of it
            self.trials, self.in_use = [], ""
            log.warning("tuning_ledger_discarded", file=str(self._file), reason=str(error))

    def _write(self) -> None:
        content = {"trials": [asdict(one) for one in self.trials], "in_use": self.in_use}
        try:
            with atomic_write(self._file) as unfinished:
                unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except OSError as error:
            log.warning("tuning_ledger_not_kept", file=str(self._file), reason=str(error))
