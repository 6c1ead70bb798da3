"""Change single settings in a TOML file and keep the rest of it, comments included."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from argilla_loop.settings.files import atomic_write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]\s*(#.*)?$")
_HEADER = re.compile(r"\s*\[")


def edit_file(file: Path, changes: Mapping[str, Any]) -> bool:
    """Set ``changes`` in a settings file, which is replaced as a whole; return False if it has to be edited by hand.

    Args:
        file: a TOML file; its mode stays, and so does a link to it.
        changes: values by key, such as ``labels`` or ``pool.limit``; ``None`` comments a setting out.

    Raises:
        OSError: it cannot be read or replaced.
    """
    target = file.resolve()
    before = target.read_text(encoding="utf-8")
    after = edited(before, changes)
    if after is None:
        return False
    if after != before:
        with atomic_write(target) as unfinished:
            unfinished.write_text(after, encoding="utf-8")
            shutil.copymode(target, unfinished)
    return True


def edited(content: str, changes: Mapping[str, Any]) -> str | None:
    """Return TOML with ``changes`` in it; ``None`` if it is written in a way that this function does not understand.

    A key that is missing is added to its table, or before the first table. The result is parsed and compared, so it
    says what was asked for and nothing else has changed.
    """
    try:
        wanted: dict[str, Any] = tomllib.loads(content)
    except ValueError:
        return None
    lines = content.splitlines(keepends=True)
    for key, value in changes.items():
        if not _want(wanted, key, value):
            return None
        _set(lines, key, value)
    result = "".join(lines)
    try:
        return result if tomllib.loads(result) == wanted else None
    except ValueError:
        return None


def written(key: str, value: Any) -> str:
    """Return a line of TOML that sets the last part of ``key``."""
    return f"{key.rpartition('.')[2]} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(name)} = {_toml(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _want(values: dict[str, Any], key: str, value: Any) -> bool:
    """Make the change in parsed values; return whether there is the table that it belongs to."""
    table, _, name = key.rpartition(".")
    inside = values.get(table) if table else values
    if not isinstance(inside, dict):
        return False
    if value is None:
        inside.pop(name, None)
    else:
        inside[name] = deepcopy(value)
    return True


def _set(lines: list[str], key: str, value: Any) -> None:
    table, _, name = key.rpartition(".")
    if isinstance(value, dict) and _set_table(lines, key, value):
        return
    here, insert_at, position = "", None if table else 0, 0
    while position < len(lines):
        line = lines[position]
        if _HEADER.match(line):
            found = _TABLE.match(line)
            here = found[1] if found else "?"
            insert_at = position + 1 if here == table else insert_at
            position += 1
            continue
        key_here = _KEY.match(line)
        if key_here is None:
            position += 1
            continue
        end = _end(lines, position)
        if here == table and key_here[1] == name:
            lines[position:end] = _replaced(lines[position:end], key, value)
            return
        if here == table:
            insert_at = end
        position = end
    if value is not None and insert_at is not None:
        if insert_at and not lines[insert_at - 1].endswith("\n"):
            lines[insert_at - 1] += "\n"
        lines.insert(insert_at, written(key, value) + "\n")


def _set_table(lines: list[str], table: str, values: Mapping[str, Any]) -> bool:
    """Set the keys of a table that has a header of its own; return False if there is none."""
    start = next((n for n, line in enumerate(lines) if (m := _TABLE.match(line)) and m[1] == table), None)
    if start is None:
        return False
    left, position, insert_at = dict(values), start + 1, start + 1
    while position < len(lines) and not _HEADER.match(lines[position]):
        end = _end(lines, position)
        with suppress(ValueError):
            there: dict[str, Any] = tomllib.loads("".join(lines[position:end]))
            if there:
                same = {key: value for key, value in there.items() if left.get(key) == value}
                if same != there:
                    del lines[position:end]
                    continue
                left = {key: value for key, value in left.items() if key not in same}
                insert_at = end
        position = end
    lines[insert_at:insert_at] = [f"{_toml(key)} = {_toml(value)}\n" for key, value in left.items()]
    return True


def _replaced(lines: list[str], key: str, value: Any) -> list[str]:
    if value is None:
        return [f"# {line}" for line in lines]
    return [f"{written(key, value)}{_comment(lines[-1]) if len(lines) == 1 else ''}\n"]


def _end(lines: list[str], start: int) -> int:
    """Return the line after the value that begins in line ``start``; it may take several lines."""
    for end in range(start + 1, len(lines) + 1):
        with suppress(ValueError):
            tomllib.loads("".join(lines[start:end]))
            return end
    return start + 1


def _comment(line: str) -> str:
    """Return the comment behind a value, with the space before it."""
    for position, character in enumerate(line):
        if character == "#":
            with suppress(ValueError):
                tomllib.loads(line[:position])
                value = line[:position].rstrip()
                return line[len(value) :].rstrip("\n")
    return ""
