"""Heads on a tuned encoder, made as sure of themselves as they are right.

A head is calibrated on held-out examples. Its encoder has learnt from these examples, so that they flatter
it. The tuner's cross-validation, in which encoder and head are trained apart from the held-out examples, says how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from argilla_loop.domain import HeadEvidence
from argilla_loop.learning.heads.head import Head


@dataclass(frozen=True, slots=True)
class Tempering:
    """What a tuner found about heads on its encoder.

    Attributes:
        exponent: for their probabilities; 1 changes nothing.
        evidence: about them, with that exponent.
    """

    exponent: float
    evidence: HeadEvidence | None = None


def tempered(head: Head, tempering: Tempering) -> Head:
    """Return ``head`` with its probabilities raised to the exponent, and with evidence that is not flattered."""
    exponent = tempering.exponent
    evidence = head.evidence
    if tempering.evidence is not None:
        evidence = (replace(tempering.evidence, head=head.name),)
    return replace(
        head,
        scale=head.scale * exponent,
        offsets=None if head.offsets is None else head.offsets * exponent,
        evidence=evidence,
    )
