"""Put the model that a turn would train now into a folder, with what is known about it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from argilla_loop import __version__
from argilla_loop.domain import Model, Origin
from argilla_loop.errors import ModelError, SettingsError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.learner import TrainedModel
from argilla_loop.learning.saved.card import Facts, confirmed
from argilla_loop.learning.saved.layout import Description
from argilla_loop.learning.saved.write import describe, write_model
from argilla_loop.loop.outlook import outlook_of
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.figures import count_people
from argilla_loop.policy.plan import plan
from argilla_loop.policy.rules import Rules
from argilla_loop.service.snapshot import Snapshot

# The hub's own rule, but for what it says about dots and hyphens in a row.
HUB_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]{0,95}")


def save_model(now: Snapshot, folder: Path, *, force: bool = False) -> Description:
    """Train the model of the next turn and write it into ``folder``.

    Args:
        now: the dataset and its pool.
        folder: see ``write.refuse_folder``.
        force: whether a saved model in ``folder`` may be replaced.

    Raises:
        TrainingError: there are too few examples for a model.
        ModelError: the encoder cannot be used, or its graph cannot be extended.
        FatalError: ``folder`` cannot be written, or holds something else.
    """
    encoder = now.learner.uncached_encoder
    model = now.model
    if not isinstance(encoder, OnnxEncoder) or not isinstance(model, TrainedModel):
        raise ModelError("this model does not run on onnxruntime, so it cannot be saved: set another model")
    # as if `auto_validate` were on: the model's thresholds are the same
    rules = replace(now.rules, certainty_threshold=now.settings.certainty_threshold)
    description = describe(
        encoder,
        model_version=model.version,
        head=model.head,
        labels=model.labels,
        thresholds=plan(now.plan.seen, rules).acceptance.granted,
        argilla_loop=__version__,
    )
    return write_model(
        folder, model.classifier, encoder, description, facts_of(now, model, rules), force=force
    )


def facts_of(now: Snapshot, model: Model, rules: Rules) -> Facts:
    """Return what the card says about ``model``, by the ``rules`` for what may be accepted."""
    seen = now.plan.seen
    human, made = (
        Counter(one.label for one in seen.examples if one.origin is origin)
        for origin in (Origin.HUMAN, Origin.MODEL)
    )
    criterion = rules.criterion
    precision = criterion.precision if criterion is not None else None
    return Facts(
        dataset=now.info.name,
        people=count_people(now.records),
        human=human,
        accepted=made,
        audited=confirmed([(check.label, check.right) for check in seen.checks]),
        strategy=now.settings.strategy,
        evidence=model.evidence[0] if model.evidence else None,
        outlook=_outlook(now, model),
        promise=None if precision is None or criterion is None else (precision, criterion.confidence),
    )


def _outlook(now: Snapshot, model: Model) -> Outlook | None:
    left = now.match.left
    if not len(left):
        return None
    scores = now.selection.score(now.pool, left, model)
    return outlook_of(now.plan, model, scores.certainties, ())


def check_target(name: str | None) -> None:
    """Check the name of a hub repository before any work is done.

    Raises:
        SettingsError: it cannot be one.
    """
    if name is not None and not HUB_NAME.fullmatch(name):
        raise SettingsError(f"--push-to-hub {name!r} is no name on the hub: give OWNER/NAME")
