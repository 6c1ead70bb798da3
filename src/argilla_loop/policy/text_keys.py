"""What makes two texts the same one: the same characters, whether they lie in the pool or in Argilla."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from argilla_loop.domain import KeyArray

DIGEST_BYTES = 16  # of a text's BLAKE2b digest, whose first eight bytes are its key
KEPT = 2**63  # what a record keeps of its text's key is below
WORD_JOINER = "\u2060"
# what stands before it in Argilla, so that a browser takes it for no tag, see ``argilla.markup``
GUARD = f"<{WORD_JOINER}"
_GUARDED = re.compile(rf"{GUARD}(?=[A-Za-z/!?])")


def unescape_markup(text: str) -> str:
    """The text that was logged as ``text``."""
    # the look first costs next to nothing, as hardly any text has such a character
    return _GUARDED.sub("<", text) if WORD_JOINER in text else text


def digest(text: str) -> bytes:
    """Return the BLAKE2b digest of ``text`` in UTF-8, ``DIGEST_BYTES`` long: what caches store a text under."""
    return digest_utf8(text.encode("utf-8", "surrogatepass"))


def digest_utf8(content: bytes | memoryview) -> bytes:
    """Return the same as ``digest``, of a text that is already UTF-8."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def keys_of(texts: Sequence[str]) -> KeyArray:
    """Keys of ``texts``: equal where the texts are, and where one is what Argilla makes of the other."""
    return np.frombuffer(b"".join(digest(unescape_markup(text))[:8] for text in texts), dtype=np.uint64)


def kept_of(text: str) -> int:
    """What a record keeps of its text's key: 63 bits, which Argilla takes for an integer."""
    return int(keys_of([text])[0]) >> 1


def own_id(pool_id: str, text: str) -> str:
    """The id in Argilla of the text ``pool_id`` where another text has that id there already."""
    return own_id_of(pool_id, int(keys_of([text])[0]))


def own_id_of(pool_id: str, key: int) -> str:
    """As ``own_id``, of the text's key."""
    return f"{pool_id}@{key:016x}"
