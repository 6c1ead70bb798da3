"""Which records are taken next."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.query import shuffled

positions = st.sets(st.integers(0, 5000), max_size=60).map(lambda s: np.asarray(sorted(s), dtype=np.int64))


@given(left=positions, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_taking_some_away_never_reorders_the_rest(left: np.ndarray, seed: int, data: st.DataObject) -> None:
    """So that a restart in the middle of the pool goes on exactly where it was."""
    gone = data.draw(st.sets(st.sampled_from(left.tolist()))) if len(left) else set()
    rest = np.asarray([p for p in left if p not in gone], dtype=np.int64)
    assert [p for p in shuffled(left, seed).tolist() if p not in gone] == shuffled(rest, seed).tolist()
