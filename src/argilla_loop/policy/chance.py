"""Random draws that a restart does not change, and that nobody can influence."""

from __future__ import annotations

import hashlib


def chance(key: str) -> float:
    """Return a pseudo-random number in [0, 1) that depends on ``key`` alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") / 2**64
