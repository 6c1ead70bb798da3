"""The evidence behind the latest model, kept beside the service so that ``argilla-loop status`` can show it.

It can be computed anew from what Argilla holds, so like all that is on disk it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import structlog

from argilla_loop.domain import HeadEvidence, Model
from argilla_loop.settings import Settings

log = structlog.get_logger(__name__)


def keep(settings: Settings, model: Model) -> None:
    """Write down the evidence behind ``model``; where the disk takes nothing, that is logged and no more."""
    file = _file(settings)
    content = {"model": model.version, "evidence": [asdict(one) for one in model.evidence]}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        log.warning("evidence_not_kept", file=str(file), reason=str(error))


def known(settings: Settings) -> tuple[str, tuple[HeadEvidence, ...]] | None:
    """Version of the latest model that was trained on this machine, and its evidence, the chosen head's first."""
    try:
        content = json.loads(_file(settings).read_text(encoding="utf-8"))
        return str(content["model"]), tuple(HeadEvidence(**one) for one in content["evidence"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not what we wrote
        return None


def _file(settings: Settings) -> Path:
    service = f"{settings.api_url} {settings.workspace} {settings.dataset}"
    return settings.cache_dir / "evidence" / f"{hashlib.sha256(service.encode()).hexdigest()[:12]}.json"
