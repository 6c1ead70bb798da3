"""Read the settings file once, with bounds on its size, and wrap its secrets. The file may have any content."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from argilla_loop.errors import SettingsError, collapse_whitespace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1 << 20  # far more than a settings file needs. Chosen, not measured.
HINT = "give the path of a TOML file; start from config/example.toml"
SECRET_WORDS = ("key", "token", "secret", "password", "authorization", "headers")
LEAST_SECRET = 4  # characters; shorter texts occur in most messages by chance


class FileValues:
    """The values of a settings file.

    Args:
        path: a TOML file; ``None`` gives no values.

    Attributes:
        values: values by key, with ``SecretStr`` for the API key and the headers.

    Raises:
        SettingsError: the file cannot be read, is too large, is not a regular file or is not valid TOML.
    """

    def __init__(self, path: Path | None) -> None:
        self.values: dict[str, Any] = {} if path is None else _parsed(path)
        self._secrets = sorted(set(_secrets(self.values)), key=len, reverse=True)
        for name in ("api_key", "headers"):
            if name in self.values:
                self.values[name] = _sealed(self.values[name])

    def hide(self, message: str) -> str:
        """Return ``message`` with every secret of the file masked. A secret is any text below a key named like one."""
        for secret in self._secrets:
            message = message.replace(secret, "**********")
        return message


def _parsed(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 (byte {error.start})"
    except RecursionError:
        reason = "it is nested too deeply"
    except MemoryError:
        reason = "there is too little memory to read it"
    except ValueError as error:  # the message gives the position and quotes no value
        reason = collapse_whitespace(error)
    raise SettingsError(f"settings file {path} cannot be read: {reason}")


def _content(path: Path) -> bytes:
    try:
        # non-blocking: opening a pipe that has no writer would block forever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise SettingsError(f"settings file {path} is {kind}: {HINT}")
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, so that the checked file is the one that is read
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(f"settings file {path} does not exist: {HINT}") from None
    except (OSError, ValueError) as error:  # no permission, or an invalid name
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"settings file {path} cannot be read ({reason}): {HINT}") from None
    if len(content) > MOST_BYTES:
        raise SettingsError(f"settings file {path} is larger than {MOST_BYTES:,} bytes: {HINT}")
    return content


def _sealed(value: Any) -> Any:
    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, dict):
        return {name: SecretStr(item) if isinstance(item, str) else item for name, item in value.items()}
    return value


def _secrets(values: dict[str, Any]) -> Iterator[str]:
    """Yield every text at or below a key that is named like a secret. The nesting may have any depth."""
    left: list[tuple[Any, bool]] = [(values, False)]
    while left:
        value, secret = left.pop()
        if isinstance(value, dict):
            named = [(item, secret or any(word in name.casefold() for word in SECRET_WORDS))
                     for name, item in value.items()]  # fmt: skip
            left += named
        elif isinstance(value, list):
            left += [(item, secret) for item in value]
        elif secret and isinstance(value, str) and len(value) >= LEAST_SECRET:
            yield value
