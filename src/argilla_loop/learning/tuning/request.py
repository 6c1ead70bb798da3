"""What a tuner is asked and what it answers, as JSON: no torch here, so that the service can read and write it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from argilla_loop.domain import HeadEvidence
from argilla_loop.learning.encoders.weights import Precision

OUTCOME = "outcome.json"
# Held-out folds, each with a training of its own. More cost more and find the same.
FOLDS = 4
# Examples that a trial learns from, and texts of the pool that its heads see: both bound time and memory.
MAX_EXAMPLES, MAX_POOL = 1024, 500


@dataclass(frozen=True, slots=True)
class Request:
    """What a tuner is to do.

    Attributes:
        model: name of the frozen encoder, see ``weights.resolve_model``.
        precision: in which the service runs it.
        cache_dir: of the service.
        folder: where the tuned encoder goes; must not exist.
        seed: the same request gives the same weights.
        head: the setting.
        examples: id, text and label of each answer of people.
        pool: some texts of the pool, for the heads.
        folds: number of folds.
        steps: of each training; ``None`` for the usual number.
    """

    model: str
    precision: Precision
    cache_dir: str
    folder: str
    seed: int
    head: str
    examples: Sequence[tuple[str, str, str]]
    pool: Sequence[str] = ()
    folds: int = FOLDS
    steps: int | None = None

    def to_json(self) -> bytes:
        """Return the request as JSON; lone surrogates survive."""
        return json.dumps(asdict(self)).encode("ascii")

    @classmethod
    def from_json(cls, content: bytes) -> Request:
        """Return what ``to_json`` wrote."""
        fields = json.loads(content)
        return cls(**(fields | {"examples": [tuple(one) for one in fields["examples"]]}))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tuner found.

    Attributes:
        base: fingerprint of the frozen encoder.
        is_better: whether a tuned encoder was written.
        frozen: share of held-out examples that are right with the frozen encoder.
        tuned: the same with the tuned one.
        certainty: mean gain in log-likelihood over its standard error.
        folds: that were trained.
        examples: that were learnt from.
        labels: number of labels.
        cpu_seconds: of the whole trial.
        peak_mib: memory at most.
        fingerprint: of the tuned encoder; empty if none was written.
        exponent: see ``verdict.Verdict``.
        evidence: about heads on the tuned encoder.
    """

    base: str
    is_better: bool
    frozen: float
    tuned: float
    certainty: float
    folds: int
    examples: int
    labels: int
    cpu_seconds: float
    peak_mib: int
    fingerprint: str = ""
    exponent: float = 1.0
    evidence: HeadEvidence | None = field(default=None)

    def to_json(self) -> str:
        """Return the outcome as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """Return what a tuner wrote into ``folder``.

        Raises:
            OSError: it wrote nothing.
            ValueError: somebody changed it.
        """
        try:
            fields: dict[str, Any] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
            evidence = fields.pop("evidence")
            return cls(**fields, evidence=None if evidence is None else HeadEvidence(**evidence))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / OUTCOME} is not what a tuner writes: {error}") from error
