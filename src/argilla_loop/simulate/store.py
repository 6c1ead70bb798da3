"""Runs on disk: one file for each run, named after everything that its figures depend on."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

import argilla_loop
from argilla_loop.domain import Encoder, Learner
from argilla_loop.errors import SettingsError
from argilla_loop.settings.files import text_digest
from argilla_loop.simulate.data import LabelledSet
from argilla_loop.simulate.replay import Row, Run, replay

PACKAGES = ("argilla-loop", "classy-classification", "scikit-learn", "numpy")
# The code that a run's figures depend on. A change anywhere else keeps the finished runs.
CODE = (
    "loop", "domain.py", "policy", "learning", "argilla/memory.py",
    "simulate/annotator.py", "simulate/data.py", "simulate/precomputed.py", "simulate/replay.py", "simulate/stock.py",
)  # fmt: skip
UNFINISHED = ".part.jsonl"
LOCK = ".lock"


def play(
    run: Run,
    file: Path,
    data: LabelledSet,
    encoder: Encoder,
    make_learner: Callable[[Run, Encoder], Learner],
) -> Iterator[int]:
    """Play one run into ``file``; yield the human labels spent in each turn, and at the end those left over.

    The rows are written to a temporary file beside it, which is renamed when the run is finished: a file with the final
    name is always complete.
    """
    spent = 0
    part = file.with_suffix(UNFINISHED)
    with part.open("w", encoding="utf-8") as out:
        for row in replay(run, data, encoder, make_learner=make_learner):
            out.write(json.dumps(row) + "\n")
            out.flush()
            yield int(row["human_labels"] or 0) - spent
            spent = int(row["human_labels"] or 0)
    part.replace(file)
    yield run.budget - spent


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a lock on ``folder``, as two simulations would write the same unfinished file.

    The lock ends with the block, and with the process at the latest.

    Raises:
        SettingsError: another simulation holds the lock, or ``folder`` cannot be written.
    """
    try:
        file = (folder / LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"the folder {folder} cannot be written ({error.strerror}): choose another with --out"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another simulation works in {folder}: wait until it is done, or choose another folder with --out"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield


def run_file(folder: Path, run: Run, data: LabelledSet, encoder: Encoder) -> Path:
    """Return the path of the run's file in ``folder``; the file exists once the run is finished."""
    parts = [asdict(run), data.fingerprint, encoder.fingerprint, _versions(), _code()]
    key = text_digest(json.dumps(parts, sort_keys=True))[:12]
    return folder / f"{run.name}-{run.seed}-{key}.jsonl"


def read_run(file: Path, common: Row) -> Iterator[Row]:
    """Yield the run's rows, each with the columns ``common`` to all; also those of an unfinished run."""
    finished = file.exists()
    source = file if finished else file.with_suffix(UNFINISHED)
    if not source.exists():
        return
    for line in source.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the process was killed in the middle of a line
            return
        yield {"set": common["set"], **row, "finished": finished, **common}


def run_columns(run: Run, data: LabelledSet, encoder: Encoder) -> Row:
    """Return the columns that are the same in all rows of a run."""
    rules = run.rules
    return {
        "set": data.name,
        "pool": len(data.pool),
        "held_back": len(data.held_back),
        "labels": len(data.labels),
        "budget": run.budget,
        "noise": run.noise,
        "slice_size": rules.slice_size,
        "min_examples_per_label": rules.min_examples_per_label,
        "certainty_threshold": rules.certainty_threshold,
        "train_on": "human+model" if rules.train_on_model else "human",
        "encoder": encoder.fingerprint[:12],
        **{f"version_{name.replace('-', '_')}": number for name, number in _versions().items()},
        "code": _code(),
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


@cache
def _code() -> str:
    """Return a digest of the code that the figures depend on, so that runs of two versions are not mixed."""
    root = Path(argilla_loop.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(_sources(root)):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _sources(root: Path) -> Iterable[Path]:
    for name in CODE:
        path = root / name
        yield from path.rglob("*.py") if path.is_dir() else [path]
