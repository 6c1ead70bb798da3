"""The operator's rules as one value: sizes, strategy, and what must hold before anything is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from argilla_loop.policy.query import Strategy
from argilla_loop.policy.second_looks import unseen
from argilla_loop.policy.task import LabelRule
from argilla_loop.policy.validation.granted import Promise
from argilla_loop.policy.validation.promise import THRESHOLDS, AcceptanceCriterion, Scope

# Records that one request to Argilla takes (its own limit for a bulk upsert): a batch is logged whole or not at all.
MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's rules; each field is described at the setting of the same name."""

    slice_size: int = 10
    refill_at: int = 0
    accept_limit: int | None = None  # None: it follows the evidence
    min_examples_per_label: int = 5
    min_accept_examples: int = 10
    strategy: Strategy = "mixed"
    candidates: int = 100_000
    certainty_threshold: float | None = 0.9  # None: people see every record
    target_precision: float | None = None
    min_precision: float | None = None
    confidence: float = 0.95
    promise: Scope = "overall"
    audit_rate: float = 0.1
    second_looks: bool = False
    evaluation_share: float = 0.1
    stop_at_accuracy: float | None = None
    stop_at_labels: int | None = None
    label_rule: LabelRule = "majority"
    train_on_model: bool = False
    self_training_ratio: float = 1.0
    seed: int = 42

    @property
    def criterion(self) -> AcceptanceCriterion | None:
        """What must hold before anything is accepted; ``None`` if nothing ever is."""
        if self.certainty_threshold is None:
            return None
        factor = unseen(second_looks=self.second_looks)
        if self.target_precision is not None:
            return AcceptanceCriterion(THRESHOLDS, self.target_precision, self.confidence, factor)
        return AcceptanceCriterion((self.certainty_threshold,), self.min_precision, self.confidence, factor)

    @property
    def promised(self) -> Promise | None:
        """What is promised of accepted records; ``None`` where nothing is promised or accepted."""
        if self.certainty_threshold is None:
            return None
        if self.target_precision is not None:
            return Promise(
                "target_precision", self.target_precision, self.confidence, self.promise, self.second_looks
            )
        if self.min_precision is not None:
            return Promise(
                "min_precision", self.min_precision, self.confidence, self.promise, self.second_looks
            )
        return None
