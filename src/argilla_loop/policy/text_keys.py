"""Keys by which a text is recognised, in the pool and in Argilla, and the digest by which caches find it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from argilla_loop.domain import KeyArray

# Length of a text's BLAKE2b digest, whose first eight bytes are its key. Chosen, not measured: with 128 bits two texts
# of a million share a digest with a chance of 1e-27.
DIGEST_BYTES = 16
KEPT = 2**63  # upper limit of the part of a text's key that its record keeps
WORD_JOINER = "\u2060"
# ``<`` as Argilla stores it where a tag could start, so that a browser shows it as text, see ``argilla.v2.markup``
GUARD = f"<{WORD_JOINER}"
_GUARDED = re.compile(rf"{GUARD}(?=[A-Za-z/!?])")


def unescape_markup(text: str) -> str:
    """Return the pool's text of a record whose text in Argilla is ``text``."""
    # testing first is cheap, and hardly any text has such a character
    return _GUARDED.sub("<", text) if WORD_JOINER in text else text


def digest(text: str) -> bytes:
    """Return the BLAKE2b digest of ``text`` in UTF-8, ``DIGEST_BYTES`` long: what caches store a text under."""
    return digest_utf8(text.encode("utf-8", "surrogatepass"))


def digest_utf8(content: bytes | memoryview) -> bytes:
    """Return the same as ``digest``, of a text that is already UTF-8."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def keys_of(texts: Sequence[str]) -> KeyArray:
    """Return a key for each of ``texts``: the first 64 bits of its digest, the same in the pool and in Argilla."""
    return np.frombuffer(b"".join(digest(unescape_markup(text))[:8] for text in texts), dtype=np.uint64)


def kept_of(text: str) -> int:
    """Return the part of a text's key that its record keeps: 63 bits, which fit into Argilla's integers."""
    return int(keys_of([text])[0]) >> 1


def own_id(pool_id: str, text: str) -> str:
    """Return the id in Argilla of the text ``pool_id`` if another text has that id there already."""
    return own_id_of(pool_id, int(keys_of([text])[0]))


def own_id_of(pool_id: str, key: int) -> str:
    """Return the same as ``own_id``, for a text's key."""
    return f"{pool_id}@{key:016x}"
