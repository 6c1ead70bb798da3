"""What a report says of how it was made: settings without secrets, versions, and when."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import PurePath

from argilla_loop import __version__
from argilla_loop.settings import Settings
from argilla_loop.settings.table import all_settings

PACKAGES = ("argilla", "classy-classification", "scikit-learn", "onnxruntime", "tokenizers", "numpy")
# Whoever gets the report need not know these: keys, addresses and folders (by type), names, and how the service runs.
HIDDEN_TYPES = ("SecretStr", "Url", "Path")
HIDDEN = (
    "workspace", "pool.workspace", "dataset", "labels", "guidelines", "question_title", "question_description",
    "label_descriptions", "comments", "notices", "webhook.", "http.", "log_", "poll_interval", "retry_max_wait",
    "request_timeout", "lease_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """How a report was made.

    Attributes:
        dataset: name of the working dataset.
        made: when, in words.
        settings: key, value, and whether it differs from the default.
        versions: of what, and which.
        version: of argilla-loop.
    """

    dataset: str
    made: str
    settings: Sequence[tuple[str, str, bool]] = ()
    versions: Sequence[tuple[str, str]] = ()
    version: str = __version__


def about(
    settings: Settings, *, dataset: str, server_version: str, models: Sequence[str], made: datetime
) -> About:
    """Describe how the report is made.

    Args:
        settings: of the service.
        dataset: name of the working dataset.
        server_version: of Argilla.
        models: versions of the models in use, the latest last.
        made: now, with a time zone.
    """
    versions = [("argilla-loop", __version__), ("Argilla server", server_version)]
    versions += [("latest model", models[-1])] if models else []
    versions += [("Python", platform.python_version())]
    versions += [(name, found) for name in PACKAGES if (found := _installed(name))]
    when = made.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return About(dataset, when, shown_settings(settings), versions)


def shown_settings(settings: Settings) -> list[tuple[str, str, bool]]:
    """Return key, value, and whether it differs from the default, of each setting that is set and may be shown."""
    found = []
    for key, field in all_settings():
        if key.startswith(HIDDEN) or any(kind in str(field.annotation) for kind in HIDDEN_TYPES):
            continue
        value: object = settings
        for part in key.split("."):
            value = getattr(value, part)
        if value is None:
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        found.append((key, _written(value), value != default))
    return found


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    words = str(value)
    # a model may be a folder, whose path may name a person
    return PurePath(words).name if words.startswith(("/", "~", ".")) else words


def _installed(package: str) -> str | None:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return None
