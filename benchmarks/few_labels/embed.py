"""Embeddings of all texts of a run, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.learning.embeddings.cache import CachedEncoder
from shared.encoder import fp32_encoder


class Vectors:
    """``domain.Encoder`` with embeddings in memory, and another encoder for the texts that it lacks (labels' names)."""

    def __init__(self, encoder: Encoder, vectors: Mapping[str, FloatArray]) -> None:
        self.fingerprint = encoder.fingerprint
        self._encoder, self._vectors = encoder, dict(vectors)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Return embeddings, shape (n, d)."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if missing:
            self._vectors |= zip(missing, self._encoder.encode(missing, progress=progress), strict=True)
        return np.stack([self._vectors[text] for text in texts])


def embed(texts: Sequence[str], known: Path | None, cache: Path) -> Encoder:
    """Embed all ``texts`` with fp32 all-MiniLM-L6-v2, in memory.

    Args:
        texts: what will be asked for.
        known: a folder of pairs NAME.npy and NAME.parquet (column ``text``, same rows) embedded before.
        cache: where exported weights and new embeddings go.
    """
    encoder = CachedEncoder(fp32_encoder(cache), cache / "embeddings")
    vectors: dict[str, FloatArray] = {}
    for texts_file in sorted(known.glob("*.parquet")) if known else []:
        rows = pq.read_table(texts_file, columns=["text"])["text"].to_pylist()
        vectors |= zip(rows, np.load(texts_file.with_suffix(".npy")).astype(np.float32), strict=True)
    held = Vectors(encoder, vectors)
    held.encode(texts, progress=True)
    return held
