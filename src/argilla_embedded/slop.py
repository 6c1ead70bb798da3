"""Words of a phrase that may lie apart: what Elasticsearch means by ``"play song"~3``.

FTS5 finds the texts that hold all the words; this looks at where they are. Registered with SQLite as ``FUNCTION``.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from functools import lru_cache
from heapq import merge

FUNCTION = "argilla_loop_within"

# Letters and digits, as FTS5's default tokenizer takes them.
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case."""
    return tuple(_WORD.findall(text.lower()))


def within(text: str | None, phrase: str, slop: int) -> bool:
    """Whether the words of ``phrase`` are in ``text``, moved by at most ``slop`` places in all from being the phrase.

    As Lucene counts: a word between the phrase's takes one place, two words the other way round take two.
    """
    wanted = _wanted(phrase)
    # Where the phrase would begin, were this word in its place; each with the word's own position.
    found = [
        [(place - index, place, index) for place, word in enumerate(words_of(text or "")) if word == one]
        for index, one in enumerate(wanted)
    ]
    if not wanted or not all(found):
        return False
    return _fit(list(merge(*found)), wanted, slop)


def register(connection: sqlite3.Connection) -> None:
    """Let SQL on this connection call ``within``."""
    connection.create_function(FUNCTION, 3, within, deterministic=True)


def _fit(starts: list[tuple[int, int, int]], wanted: tuple[str, ...], slop: int) -> bool:
    """Whether some stretch of ``starts`` no longer than ``slop`` holds every word, a repeated one at several places."""
    needed = Counter(wanted)
    inside, held = [0] * len(wanted), 0  # by index in the phrase, and how many of them are not 0
    places: Counter[int] = Counter()
    different: Counter[str] = Counter()  # places by word
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
