"""The evidence behind the latest model, kept on disk so that ``argilla-loop status`` can show it.

It can be computed again from what Argilla holds, so like everything on disk it may be deleted at any time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from argilla_loop.domain import HeadEvidence, Model
from argilla_loop.loop.turn import Turn
from argilla_loop.observability.heartbeat import heartbeat_file
from argilla_loop.policy.estimate.outlook import Outlook, outlook_from
from argilla_loop.policy.estimate.stability import Stability
from argilla_loop.policy.observation import Observation, model_of_latest
from argilla_loop.settings import Settings
from argilla_loop.settings.files import atomic_write

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a model.

    Attributes:
        model: its version.
        heads: what was found about the heads, that of the chosen one first.
        outlook: how right the labels are, and whether to stop.
    """

    model: str
    heads: tuple[HeadEvidence, ...] = ()
    outlook: Outlook | None = None

    @property
    def held_back(self) -> tuple[int, int] | None:
        """How many held-back answers the model predicts, and how many there are; ``None`` without any."""
        return self.outlook.held_back if self.outlook is not None else None


class EvidenceFile:
    """Called after every turn; writes down the evidence behind its model.

    Args:
        settings: for the cache folder, and to tell services apart.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, turn: Turn) -> None:
        """Keep the evidence behind the model of ``turn``; a disk that takes nothing is logged and no more."""
        if turn.model is not None:
            keep(self._settings, turn.model, turn.outlook)


def keep(settings: Settings, model: Model, outlook: Outlook | None) -> None:
    """Write down the evidence behind ``model``; a disk that takes nothing is logged and no more."""
    file = _file(settings)
    content = asdict(Evidence(model.version, model.evidence, outlook))
    try:
        with atomic_write(file) as unfinished:
            unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        log.warning("evidence_not_kept", file=str(file), reason=str(error))


def known(settings: Settings) -> Evidence | None:
    """Return the evidence behind the latest model that was trained on this machine; ``None`` if there is none."""
    try:
        content = json.loads(_file(settings).read_text(encoding="utf-8"))
        heads = tuple(HeadEvidence(**one) for one in content["heads"])
        outlook = content["outlook"]
        return Evidence(str(content["model"]), heads, None if outlook is None else outlook_from(outlook))
    except (OSError, ValueError, KeyError, TypeError, IndexError):  # not there, or not what we wrote
        return None


def of_latest_model(found: Evidence | None, seen: Observation) -> Evidence | None:
    """Return ``found`` if it is about the model that scored the latest batch; another model's says nothing now."""
    latest = model_of_latest(one.record for one in seen.records)
    return found if found is not None and found.model == latest else None


def latest_outlook(settings: Settings, seen: Observation) -> Outlook | None:
    """Return the outlook of the model that scored the latest batch; ``None`` if this machine did not train it."""
    found = of_latest_model(known(settings), seen)
    return found.outlook if found is not None else None


def latest_stability(settings: Settings) -> Stability:
    """Return what is known of successive models, so that a restart alone changes no advice to stop."""
    found = known(settings)
    if found is None or found.outlook is None:
        return Stability()
    return Stability(found.model, found.outlook.agreement)


def _file(settings: Settings) -> Path:
    return settings.cache_dir / "evidence" / f"{heartbeat_file(settings).name}.json"
