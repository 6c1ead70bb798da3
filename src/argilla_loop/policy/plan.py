"""The next step, from what was observed: a pure function, the heart of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from argilla_loop.domain import Origin
from argilla_loop.policy import second_looks
from argilla_loop.policy.answers import AdjudicatedRecord, count_accepted, count_labelled
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.observation import Batch, Observation
from argilla_loop.policy.rules import MAX_BATCH, Rules
from argilla_loop.policy.validation.acceptance import Acceptance, decide_acceptance

# The most human examples that are asked for before there is a model; see docs/strategies.md.
COLD_START = 50
LEAST_LABELS = 2  # a model can tell apart; scikit-learn's classifiers fit no fewer


@dataclass(frozen=True, slots=True)
class Wait:
    """People have not finished the latest batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class ColdStart:
    """There are too few examples for a model: ask for texts that represent the pool, without suggestions."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class NextBatch:
    """Train a model, score the pool, and log the next slice, with the audits that people are asked ``again``."""

    number: int
    size: int  # new texts
    again: Sequence[AdjudicatedRecord] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The pool is exhausted and everything in it is done; keep watching."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What you asked for is reached (``stop_at_accuracy`` or ``stop_at_labels``); keep watching."""

    reason: str


Step = Wait | ColdStart | NextBatch | Finished | Stopped


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision of one turn: what was seen, what comes next, and what that may accept.

    The loop acts on it and ``argilla-loop status`` explains it.
    """

    seen: Observation
    step: Step
    acceptance: Acceptance


def plan(seen: Observation, rules: Rules, *, largest: int = MAX_BATCH) -> Plan:
    """Decide the next step.

    A cold start asks for as many texts as would give each label its minimum if labels were even, but for no more than
    ``COLD_START``: from then on a model finds the texts of a rare label better than chance does.

    Args:
        seen: what was observed.
        rules: the operator's rules.
        largest: the most records that a batch may have.
    """
    acceptance = decide_acceptance(
        seen.examples,
        seen.checks,
        seen.labels,
        rules,
        labelled=count_labelled(seen.records),
        accepted=count_accepted(seen.records),
        min_submitted=seen.min_submitted,
        last_audit_threshold=seen.last_audit_threshold,
        task=seen.task,
    )
    return Plan(seen, _step(seen, acceptance, largest), acceptance)


def stopped_by(decided: Plan, outlook: Outlook) -> Plan:
    """Return ``decided``, or the plan to stop if ``outlook`` reaches ``stop_at_accuracy``."""
    target = decided.acceptance.rules.stop_at_accuracy
    if target is None or not outlook.can_stop:
        return decided
    reason = (
        f"stop_at_accuracy = {target}: {outlook.labels.value:.1%} of all labels are estimated to be right"
    )
    return replace(decided, step=Stopped(reason))


def _step(seen: Observation, acceptance: Acceptance, largest: int) -> Step:
    rules = acceptance.rules
    if (
        seen.batch is not None
        and not seen.batch.is_done
        and (seen.waiting > rules.refill_at or not seen.pool_left)
    ):
        return Wait(seen.batch)
    if not seen.pool_left:
        return Finished()
    answered = sum(bool(one.answers) for one in seen.records)
    if rules.stop_at_labels is not None and answered >= rules.stop_at_labels:
        return Stopped(f"stop_at_labels = {rules.stop_at_labels}: people have answered {answered} records")
    most = min(largest, seen.pool_left)
    human = [example.label for example in seen.examples if example.origin is Origin.HUMAN]
    found = {name for label in human for name in seen.task.names(label)}
    wanted = min(rules.min_examples_per_label * len(seen.labels), COLD_START) - len(human)
    if acceptance.missing and (wanted > 0 or len(found) < LEAST_LABELS):
        return ColdStart(seen.next_number, min(max(rules.slice_size, wanted), most))
    again = second_looks.due(seen.records, rules.slice_size) if rules.second_looks else ()
    return NextBatch(seen.next_number, min(rules.slice_size - len(again), most), again)
