"""Print the table of all settings for docs/settings.md: ``python -m argilla_loop.settings.table``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from argilla_loop.settings import ENV_PREFIX, Settings

BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}
# Defaults that depend on the machine, in a form for all machines.
COMPUTED = {"cache_dir": "`~/.cache/argilla-loop`"}


def all_settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting with its key in the TOML file (``pool.source``), in the order of the models."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from all_settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def variable(key: str) -> str:
    """Return the environment variable that sets ``key``."""
    return ENV_PREFIX + key.upper().replace(".", "__")


def settings_table() -> str:
    """Return a Markdown table with a row for each setting: key, default, and meaning with the allowed values."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for key, field in all_settings():
        meaning = " ".join(part for part in (field.description, _allowed(field)) if part)
        cells = (f"`{key}`", _default(key, field), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(key: str, field: FieldInfo) -> str:
    if key in COMPUTED:
        return COMPUTED[key]
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return "-"
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else f'"{value}"'


def _allowed(field: FieldInfo) -> str:
    if choices := _choices(field.annotation):
        return "One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    bounds = [
        sign.format(f"{value:,}" if isinstance(value, int) else value)
        for name, sign in BOUNDS.items()
        for value in [next((getattr(m, name) for m in field.metadata if hasattr(m, name)), None)]
        if value is not None
    ]
    return f"({', '.join(bounds)})" if bounds else ""


def _choices(kind: Any) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


if __name__ == "__main__":
    sys.stdout.write(settings_table() + "\n")
