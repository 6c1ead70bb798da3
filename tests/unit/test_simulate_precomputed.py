"""The look-ups of a simulation give what the service's own give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from worlds import ListPool, sentences

from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.simulate.precomputed import PrecomputedEncoder, PrecomputedVectors

ROWS = sentences(50)
TEXTS = [text for _, text, _ in ROWS]


def known() -> PrecomputedEncoder:
    encoder = HashingEncoder()
    return PrecomputedEncoder(encoder.fingerprint, TEXTS, encoder.encode(TEXTS))


def test_a_known_text_has_the_encoders_embedding_and_an_unknown_one_is_refused() -> None:
    encoder = HashingEncoder()
    assert np.array_equal(known().encode(TEXTS[3:1:-1]), encoder.encode(TEXTS[3:1:-1]))
    assert known().encode([]).shape == (0, encoder.dimension)
    assert known().fingerprint == encoder.fingerprint
    with pytest.raises(KeyError):
        known().encode(["never heard of"])


def test_known_vectors_are_those_that_the_service_keeps(tmp_path: Path) -> None:
    """Same positions, same order, same rows in the same precision."""
    pool = ListPool([(record_id, text, None) for record_id, text, _ in ROWS])
    kept, given = PoolVectors(HashingEncoder(), tmp_path, seed=3), PrecomputedVectors(known(), seed=3)
    positions = kept.ready(pool, at_least=len(pool))
    assert np.array_equal(given.ready(pool, at_least=1), positions)
    some = positions[[7, 3, 30]]
    assert np.array_equal(given.rows(some), kept.rows(some))
    assert given.rows(some).dtype == kept.rows(some).dtype
    assert np.array_equal(given.prefix(20), kept.prefix(20))
    kept.close()
