"""Labelled files: parquet or CSV with the columns ``text`` and ``label``, and their embeddings."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours

from argilla_loop.domain import FloatArray


def read_frame(path: Path) -> pd.DataFrame:
    """Return the rows of a parquet or CSV file."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def embeddings_of(path: Path, texts: Sequence[str]) -> FloatArray:
    """Return the embeddings of a file's texts: from the ``.npy`` of the same name beside it, or from the encoder."""
    beside = path.with_suffix(".npy")
    if beside.is_file():
        vectors: FloatArray = np.load(beside, mmap_mode="r")
        assert len(vectors) == len(texts), f"{beside} has {len(vectors)} rows, {path} {len(texts)}"
        return vectors
    from shared.encoder import fp32_encoder  # noqa: PLC0415 - slow to import, not needed with prepared embeddings

    with tempfile.TemporaryDirectory() as cache:
        return fp32_encoder(Path(cache)).encode(texts, progress=True)
