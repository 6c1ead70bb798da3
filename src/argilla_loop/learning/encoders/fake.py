"""A small deterministic encoder that replaces real weights in tests and dry runs, under the same contract."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from argilla_loop.domain import FloatArray
from argilla_loop.settings.files import text_digest

WORD = re.compile(r"\w+")


class HashingEncoder:
    """Bag of words, each word hashed to a signed dimension (Weinberger et al. 2009, "Feature Hashing").

    Texts that share words lie near each other, which is enough for a classifier to learn something.
    """

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension
        self.encoded = 0  # texts embedded so far: a test sees what came from a cache

    @property
    def fingerprint(self) -> str:
        """A digest of the dimension."""
        return text_digest(f"hashing-{self.dimension}")[:32]

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Embed ``texts``: float32 of shape (n, dimension), rows of unit length; ``progress`` has no effect."""
        del progress
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in WORD.findall(text.lower()) or [text]:
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                column = int.from_bytes(digest[:4], "little") % (self.dimension - 1)
                vectors[row, column] += 1.0 if digest[4] & 1 else -1.0
        # The last dimension is constant, so that there is a vector to normalise even if all words cancel out.
        vectors[:, -1] = 0.1
        self.encoded += len(texts)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
