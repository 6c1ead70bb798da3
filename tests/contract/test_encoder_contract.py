"""What every encoder promises (``domain.Encoder``): the fake, the real one, and either behind the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models import NAME, model_cache  # noqa: F401 - a fixture

from argilla_loop.domain import Encoder
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.encoders.weights import Precision, resolve_model

TEXTS = [
    "Wales want rugby league training",
    "Golden rule boost for Chancellor",
    "Pixies take on Reading and Leeds",
    "Brown targets OAPs and homebuyers",
    "Wales",
    "A much longer text about the match in Cardiff, where the home side won by three goals to one in the rain.",
    "Golden rule boost for Chancellor",
]
KINDS = ["hashing", "hashing-cached", "fp32", "int8", "fp32-cached"]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path, model_cache: Path) -> Callable[[], Encoder]:  # noqa: F811 - the fixture
    """Builds a fresh encoder of one kind, as another process would."""
    kind, _, cached = str(request.param).partition("-")

    def onnx(precision: Precision) -> Encoder:
        return OnnxEncoder(resolve_model(NAME, precision=precision, cache_dir=model_cache))

    def build() -> Encoder:
        encoder = HashingEncoder() if kind == "hashing" else onnx("int8" if kind == "int8" else "fp32")
        return CachedEncoder(encoder, tmp_path) if cached else encoder

    return build


def test_rows_are_float32_of_unit_length(make: Callable[[], Encoder]) -> None:
    """So many texts, so many rows: n texts give an (n, d) float32 array of unit rows."""
    vectors = make().encode(TEXTS)
    assert vectors.shape[0] == len(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows_of_the_same_width(make: Callable[[], Encoder]) -> None:
    """An empty list is no error: shape (0, d)."""
    encoder = make()
    assert encoder.encode([]).shape == (0, encoder.encode(TEXTS[:1]).shape[1])


def test_a_vector_depends_on_its_text_only(make: Callable[[], Encoder]) -> None:
    """Alone, among others, in another order, by another instance, with progress: the same bytes for the same text."""
    expected = make().encode(TEXTS)
    alone = make()
    assert b"".join(alone.encode([text]).tobytes() for text in TEXTS) == expected.tobytes()
    assert make().encode(TEXTS[::-1])[::-1].tobytes() == expected.tobytes()
    assert make().encode(TEXTS * 20)[-len(TEXTS) :].tobytes() == expected.tobytes()
    assert make().encode(TEXTS, progress=True).tobytes() == expected.tobytes()


def test_different_texts_get_different_vectors(make: Callable[[], Encoder]) -> None:
    """Six different texts, six different vectors; the repeated one twice the same."""
    assert len({row.tobytes() for row in make().encode(TEXTS)}) == len(set(TEXTS))


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "word " * 5_000, "\ud800 half a character", "\0", "🦙", "   "]
)
def test_any_string_has_a_vector(make: Callable[[], Encoder], text: str) -> None:
    """Long, broken or strange strings are embedded, not refused: refusing is the pool's business."""
    assert np.isfinite(make().encode([text])).all()


def test_the_fingerprint_stays_with_the_encoder(make: Callable[[], Encoder]) -> None:
    """Two instances of one encoder share a fingerprint, which embedding does not change."""
    encoder = make()
    before = encoder.fingerprint
    encoder.encode(TEXTS)
    assert before == encoder.fingerprint == make().fingerprint


def test_fingerprints_tell_encoders_apart(model_cache: Path) -> None:  # noqa: F811 - the fixture
    """Precision and dimension are part of the fingerprint: their embeddings never mix."""
    precisions: tuple[Precision, Precision] = ("fp32", "int8")
    onnx = [OnnxEncoder(resolve_model(NAME, precision=one, cache_dir=model_cache)) for one in precisions]
    encoders: list[Encoder] = [*onnx, HashingEncoder(), HashingEncoder(32)]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)
