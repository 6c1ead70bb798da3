"""Whatever lies in a pool's file: it is read and every row accounted for, or refused in one line."""

from __future__ import annotations

from hypothesis import given, settings
from odd_inputs import PoolFile, columns, pool_files, read


@settings(max_examples=150)
@given(pool_files, columns)
def test_whatever_lies_in_a_file_it_is_read_and_accounted_for_or_refused_in_one_line(
    file: PoolFile, named: dict[str, str]
) -> None:
    assert len(read(file, named).splitlines()) == 1
