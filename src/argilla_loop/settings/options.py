"""Errors of a command whose options are settings under another name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from argilla_loop.errors import FatalError


@contextmanager
def options_named(option_of: Mapping[str, str]) -> Iterator[None]:
    """Name the command's options in place of settings in errors raised inside.

    Args:
        option_of: option by setting.

    Raises:
        FatalError: the error that was raised inside, with its message changed.
    """
    setting = re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, option_of))})(?![\w/])")
    try:
        yield
    except FatalError as error:
        error.args = (setting.sub(lambda found: option_of[found[0]], str(error)), *error.args[1:])
        raise
