"""Translate text queries to SQL: Elasticsearch's simple query string syntax on SQLite's FTS5.

The syntax is that of Lucene's SimpleQueryParser, which Argilla's own engines use with AND between words:
``word``, ``pre*``, ``"a phrase"``, ``+`` (and), ``|`` (or), ``-word`` (not), parentheses, and backslash to escape.
Operators are evaluated from left to right, and no input is a syntax error. The words of ``"a phrase"~3`` may be some
positions apart (see ``slop``). Fuzziness is ignored: ``word~1`` means ``word``. A word with punctuation (``e-mail``) is
a phrase of its parts.
"""

# ruff: noqa: S608 - values are bound as parameters; only constant names are formatted into the SQL

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from argilla_embedded.slop import FUNCTION, words_of

TEXT_TABLE = "argilla_loop_text"
FTS_TABLE = "argilla_loop_text_fts"

MAX_WORDS = 200  # below the number that makes the statement too large for SQLite
MAX_SLOP, MAX_SLOP_DIGITS = 10_000, 6  # more words than a text usually has. Chosen, not measured.
MAX_DEPTH = 15  # SQLite's parser stack has 100 entries, and each level takes a few of them


@dataclass(frozen=True, slots=True)
class Phrase:
    """Consecutive words, of which the last may be a prefix. With ``slop``, they may be that many positions apart."""

    text: str
    prefix: bool = False
    slop: int = 0

    def fts(self) -> str:
        """Return the FTS5 query, quoted so that no character is an operator. With slop, it requires just the words."""
        if self.slop:
            return "(" + " AND ".join(f'"{word}"' for word in words_of(self.text)) + ")"
        quoted = self.text.replace('"', '""')
        return f'"{quoted}"*' if self.prefix else f'"{quoted}"'


@dataclass(frozen=True, slots=True)
class Not:
    """Records that do not match ``node``."""

    node: Node


@dataclass(frozen=True, slots=True)
class Both:
    """Records that match all of ``nodes``."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Records that match any of ``nodes``."""

    nodes: tuple[Node, ...]


Node: TypeAlias = "Phrase | Not | Both | Either"

EVERYTHING = Both(())
NOTHING = Either(())

_PIECE = re.compile(
    r"""\s+ | "(?P<phrase>(?:\\.|[^"\\])*)"(?:~(?P<slop>\d*))? | (?P<mark>[()+|"]) | (?P<not>-)(?=[^\s]) |
        (?P<word>(?:\\.|[^\s()+|"\\])+|\\)""",
    re.VERBOSE | re.DOTALL,
)


def parse(query: str) -> Node:
    """Parse ``query``. Every string is valid.

    Words after the 200th are ignored. A query with more than 15 levels of nesting matches texts with all of its words.
    """
    # FTS5 ends a query at a NUL and cannot encode a lone surrogate.
    query = query.replace("\0", " ").encode("utf-8", "ignore").decode("utf-8")
    if query.strip() == "*":
        return EVERYTHING
    node = _Parser(query).node or NOTHING
    return node if _depth(node) <= MAX_DEPTH else Both(tuple(_positive(node)))


class _Group:
    """One level of parentheses during parsing."""

    def __init__(self) -> None:
        self.node: Node | None = None
        self.operator: type[Both | Either] | None = None

    def add(self, node: Node | None) -> None:
        if node is None:
            return
        operator = self.operator or Both
        if self.node is None:
            self.node = node
        elif isinstance(self.node, operator):
            self.node = operator((*self.node.nodes, node))
        else:
            self.node = operator((self.node, node))
        self.operator = None


class _Parser:
    """Parses from left to right with a stack of open parentheses."""

    def __init__(self, query: str) -> None:
        self._open: list[tuple[_Group, bool]] = [(_Group(), False)]
        self._negated = False
        words = 0
        for piece in _PIECE.finditer(query):
            if piece["not"]:
                self._negated = not self._negated
                continue
            if piece["mark"]:
                self._mark(piece["mark"])
                continue
            text = piece["phrase"] if piece["phrase"] is not None else piece["word"]
            if text is not None and words < MAX_WORDS:
                words += 1
                self._add(_phrase(text, may_be_prefix=piece["word"] is not None, slop=piece["slop"] or "0"))
            self._negated = False
        while len(self._open) > 1:
            self._close()
        self.node = self._open[0][0].node

    def _mark(self, mark: str) -> None:
        group = self._open[-1][0]
        if mark == "(":
            if len(self._open) < MAX_DEPTH:
                self._open.append((_Group(), self._negated))
        elif mark == ")":
            if len(self._open) > 1:
                self._close()
        elif mark in "+|" and group.node is not None and group.operator is None:
            group.operator = Both if mark == "+" else Either
        self._negated = False

    def _close(self) -> None:
        group, negated = self._open.pop()
        self._negated = negated
        self._add(group.node)
        self._negated = False

    def _add(self, node: Node | None) -> None:
        if node is not None and self._negated:
            node = Not(node)
        self._open[-1][0].add(node)


def _phrase(text: str, *, may_be_prefix: bool, slop: str) -> Phrase | None:
    """Return the phrase for ``text``, or None if it has no letter or digit."""
    prefix = may_be_prefix and text.endswith("*") and not text.endswith("\\*")
    if may_be_prefix:
        text = re.sub(r"~\d*$", "", text.removesuffix("*") if prefix else text)
    text = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
    if not any(_is_token_character(character) for character in text):
        return None
    # A prefix must end in a letter or digit; otherwise FTS5 would search for the prefix of an empty word.
    # Slop needs at least two words; with too many words the phrase is searched for without slop.
    apart = min(int(slop[:MAX_SLOP_DIGITS]), MAX_SLOP) if 1 < len(words_of(text)) <= MAX_WORDS else 0
    return Phrase(text, prefix=prefix and _is_token_character(text[-1]), slop=apart)


def _is_token_character(character: str) -> bool:
    # The default categories of FTS5's unicode61 tokenizer.
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "Co"


class TextSql:
    """Builds SQL for a parsed query over ``records r``.

    Args:
        node: the parsed query.
        bind: adds a value as a parameter and returns its placeholder.
        field: search this field only.
        single_field: whether records have only one searchable field, so that words can be combined in one lookup.
    """

    def __init__(
        self, node: Node, bind: Callable[[object], str], *, field: str | None, single_field: bool
    ) -> None:
        self._bind = bind
        self._together = single_field or field is not None
        self._of_field = f" AND t.field = {bind(field)}" if field is not None else ""
        self.node = node

    def condition(self) -> str:
        """Return a boolean expression that is true for matching records."""
        return self._condition(self.node)

    def scores(self) -> str | None:
        """Return a subquery (record_id, score), or None if there is nothing to score.

        The score is BM25 summed over the fields; higher is better.
        """
        phrases = list(_positive(self.node))
        if not phrases:
            return None
        query = self._bind(" OR ".join(phrase.fts() for phrase in phrases))
        return (
            "(SELECT record_id, -sum(rank) AS score FROM ("
            f"SELECT t.record_id AS record_id, f.rank AS rank FROM {FTS_TABLE} f JOIN {TEXT_TABLE} t"
            f" ON t.id = f.rowid WHERE f.{FTS_TABLE} MATCH {query}{self._of_field}) GROUP BY record_id)"
        )

    def _condition(self, node: Node) -> str:
        if isinstance(node, Phrase):
            return self._match(node.fts(), node)
        if isinstance(node, Not):
            return f"NOT ({self._condition(node.node)})"
        nodes = list(node.nodes)
        phrases = [each for each in nodes if isinstance(each, Phrase) and not each.slop]
        parts = []
        if len(phrases) > 1 and (self._together or isinstance(node, Either)):
            nodes = [each for each in nodes if each not in phrases]
            word = " AND " if isinstance(node, Both) else " OR "
            parts.append(self._match(word.join(phrase.fts() for phrase in phrases)))
        parts += [self._condition(each) for each in nodes]
        return _balanced(parts, "AND", "1") if isinstance(node, Both) else _balanced(parts, "OR", "0")

    def _match(self, query: str, apart: Phrase | None = None) -> str:
        near = ""
        if apart is not None and apart.slop:
            near = f" AND {FUNCTION}(t.text, {self._bind(apart.text)}, {self._bind(apart.slop)})"
        return (
            f"r.id IN (SELECT t.record_id FROM {FTS_TABLE} f JOIN {TEXT_TABLE} t ON t.id = f.rowid"
            f" WHERE f.{FTS_TABLE} MATCH {self._bind(query)}{self._of_field}{near})"
        )


def _positive(node: Node) -> list[Phrase]:
    if isinstance(node, Phrase):
        return [node]
    if isinstance(node, Not):
        return []
    return [phrase for each in node.nodes for phrase in _positive(each)]


def _depth(node: Node) -> int:
    if isinstance(node, Phrase):
        return 1
    if isinstance(node, Not):
        return 1 + _depth(node.node)
    return 1 + max(map(_depth, node.nodes), default=0)


def _balanced(parts: list[str], word: str, empty: str) -> str:
    """Join in a balanced tree, because SQLite limits the depth of expressions and a long chain is deep."""
    if len(parts) <= 1:
        return parts[0] if parts else empty
    middle = len(parts) // 2
    return f"({_balanced(parts[:middle], word, empty)} {word} {_balanced(parts[middle:], word, empty)})"
