"""Every message is one line, whatever it quotes."""

from __future__ import annotations

import pytest

from argilla_loop.errors import ArgillaLoopError, PoolError, RejectedError, RetryableError


@pytest.mark.parametrize("kind", [ArgillaLoopError, PoolError, RetryableError, RejectedError])
def test_what_does_not_print_is_escaped(kind: type[ArgillaLoopError]) -> None:
    """Line ends of every sort, and what would colour or clear an operator's terminal."""
    error = kind("column 'a\nb\u2028c\x1c\x1b[2J', émoji 🙂 stay")
    assert str(error) == "column 'a\\nb\\u2028c\\x1c\\x1b[2J', émoji 🙂 stay"
    assert len(str(error).splitlines()) == 1
