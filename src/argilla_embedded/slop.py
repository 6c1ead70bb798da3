"""Phrase queries with slop, such as Elasticsearch's ``"play song"~3``, whose words may be some positions apart.

FTS5 finds the texts that contain all the words; this module checks their positions. It is registered with SQLite as the
function ``FUNCTION``.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from functools import lru_cache
from heapq import merge

FUNCTION = "argilla_loop_within"

# Letters and digits, as in FTS5's default tokenizer.
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, in lower case."""
    return tuple(_WORD.findall(text.lower()))


def within(text: str | None, phrase: str, slop: int) -> bool:
    """Return whether ``text`` contains the words of ``phrase`` with at most ``slop`` moves in total.

    Moves are counted as in Lucene: a word between two words of the phrase costs one, two swapped words cost two.
    """
    wanted = _wanted(phrase)
    # For each occurrence of a word: the start of the phrase that it implies, its position, its index in the phrase.
    found = [
        [(place - index, place, index) for place, word in enumerate(words_of(text or "")) if word == one]
        for index, one in enumerate(wanted)
    ]
    if not wanted or not all(found):
        return False
    return _fit(list(merge(*found)), wanted, slop)


def register(connection: sqlite3.Connection) -> None:
    """Register ``within`` as an SQL function on this connection."""
    connection.create_function(FUNCTION, 3, within, deterministic=True)


def _fit(starts: list[tuple[int, int, int]], wanted: tuple[str, ...], slop: int) -> bool:
    """Return whether a window of ``starts`` of size ``slop`` has every word, each at a position of its own."""
    needed = Counter(wanted)
    inside, held = [0] * len(wanted), 0  # counts by index in the phrase, and how many are not 0
    places: Counter[int] = Counter()
    different: Counter[str] = Counter()  # distinct positions by word
    first = 0
    for start, place, index in starts:
        inside[index] += 1
        held += inside[index] == 1
        places[place] += 1
        different[wanted[index]] += places[place] == 1
        while start - starts[first][0] > slop:
            _, left, gone = starts[first]
            inside[gone] -= 1
            held -= inside[gone] == 0
            places[left] -= 1
            different[wanted[gone]] -= places[left] == 0
            first += 1
        if held == len(wanted) and needed <= different:
            return True
    return False


@lru_cache(maxsize=256)
def _wanted(phrase: str) -> tuple[str, ...]:
    return words_of(phrase)
