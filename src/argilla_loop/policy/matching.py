"""Which texts of the pool Argilla holds, told by what they say and not by their ids: either may change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import Example, IndexArray, KeyArray, LoggedRecord, NewRecord, Pool
from argilla_loop.policy.text_keys import keys_of, own_id, own_id_of, unescape_markup

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Match:
    """How a pool and the records of Argilla go together.

    Attributes:
        left: ascending positions of the unlabelled texts that Argilla does not hold.
        changed: ids of the pool under which Argilla holds another text.
        moved: texts of the pool that Argilla holds under another id.
        taken: the ids that Argilla holds.
    """

    left: IndexArray
    changed: int = 0
    moved: int = 0
    taken: Collection[str] = field(default=(), repr=False)

    def named(self, batch: Sequence[NewRecord]) -> list[NewRecord]:
        """``batch`` with ids that overwrite nothing: where another text has a record's id already, one of its own.

        That one is made of the pool's id and the text, so the same batch gets the same ids after a restart.
        """
        used = {record.id for record in batch}
        return [
            replace(record, id=self._free(record, used)) if record.id in self.taken else record
            for record in batch
        ]

    def _free(self, record: NewRecord, used: Collection[str]) -> str:
        own = own_id(record.id, record.text)
        names = chain(
            [own], (f"{own}.{n}" for n in count(2))
        )  # somebody may have put another text there, too
        return next(name for name in names if name not in self.taken and name not in used)


class _Found(NamedTuple):
    """What was found of one record."""

    text: str
    text_key: int | None
    now: int  # position of the text that it has, or NOWHERE
    logged: int  # position of the text that it was logged with, or NOWHERE
    same_now: bool  # whether the pool has it under the record's id
    same_logged: bool

    @property
    def same(self) -> bool:
        """Whether the pool's text of this id is the record's."""
        return self.same_now or self.same_logged


class Matcher:
    """Matches the records of Argilla with a pool; of those that have not changed since it looks at none twice."""

    def __init__(self) -> None:
        self._fingerprint: str | None = None
        self._keys: KeyArray = np.empty(0, np.uint64)
        self._order: IndexArray = np.empty(0, np.int64)  # positions by key
        self._found: dict[str, _Found] = {}
        self._held = np.empty(0, np.bool_)  # whether Argilla holds the text at each position
        self._moved = self._changed = 0
        self._odd: set[str] = set()  # ids of Argilla that do not fit the pool

    def match(self, pool: Pool, records: Sequence[LoggedRecord], *, without: Collection[int] = ()) -> Match:
        """Match ``records`` with ``pool``.

        Args:
            pool: as it is now.
            records: all that Argilla holds.
            without: keys of texts that are not to be asked either.
        """
        anew = pool.fingerprint != self._fingerprint
        if anew:
            self._fingerprint, self._found, self._odd, self._changed = pool.fingerprint, {}, set(), 0
            self._keys = pool.keys()
            self._order = np.argsort(self._keys, kind="stable").astype(np.int32)
        found = self._found
        new = [
            record
            for record in records
            if (one := found.get(record.id)) is None
            or one.text != record.text
            or one.text_key != record.text_key
        ]
        self._look_at(pool, new)
        if gone := len(self._found) > len(records):
            self._found = {record.id: self._found[record.id] for record in records}
        if anew or new or gone:
            self._sum_up(pool)
        refused = self._mask(self._find(np.fromiter(without, np.uint64, len(without))))
        free = pool.unlabelled()
        return Match(free[~(self._held | refused)[free]], self._changed, self._moved, self._found.keys())

    def _sum_up(self, pool: Pool) -> None:
        found, size = self._found.values(), len(self._found)
        now = np.fromiter((one.now for one in found), np.int64, size)
        logged = np.fromiter((one.logged for one in found), np.int64, size)
        same_now = np.fromiter((one.same_now for one in found), np.bool_, size)
        same_logged = np.fromiter((one.same_logged for one in found), np.bool_, size)
        self._held = self._mask(now, logged)
        self._moved = int(self._held.sum() - self._mask(now[same_now], logged[same_logged]).sum())
        fits = (same_now | same_logged).all()
        odd = set() if fits else {id_ for id_, one in self._found.items() if not one.same}
        # only what is new is looked for: ids are strings on disk, and many
        self._changed += _count(pool, odd - self._odd) - _count(pool, self._odd - odd)
        self._odd = odd

    def _look_at(self, pool: Pool, records: Sequence[LoggedRecord]) -> None:
        if not records:
            return
        now = self._find(keys_of([record.text for record in records]))
        kept = [(record.text_key or 0) << 1 for record in records]
        logged = self._find(np.array(kept, np.uint64), kept=True)
        logged[[record.text_key is None for record in records]] = NOWHERE
        rows = zip(
            records,
            now.tolist(),
            logged.tolist(),
            self._has_id(pool, records, now).tolist(),
            self._has_id(pool, records, logged).tolist(),
            strict=True,
        )
        for record, *where in rows:
            self._found[record.id] = _Found(record.text, record.text_key, *where)

    def _find(self, keys: KeyArray, *, kept: bool = False) -> IndexArray:
        """Positions of ``keys``, NOWHERE for those that the pool lacks; ``kept``: of what records keep of them."""
        if not len(self._keys):
            return np.full(len(keys), NOWHERE, np.int64)
        ranks = np.searchsorted(self._keys, keys, sorter=self._order).clip(max=len(self._keys) - 1)
        positions = self._order[ranks].astype(np.int64)
        there = self._keys[positions]
        equal = there >> np.uint64(1) == keys >> np.uint64(1) if kept else there == keys
        return np.where(equal, positions, NOWHERE)

    def _has_id(
        self, pool: Pool, records: Sequence[LoggedRecord], positions: IndexArray
    ) -> NDArray[np.bool_]:
        """Whether the text at each position has the id of that record, or the record the text's own."""
        has = np.zeros(len(records), np.bool_)
        somewhere = np.flatnonzero(positions != NOWHERE)
        at = positions[somewhere]
        for n, id_, key in zip(somewhere.tolist(), pool.ids_at(at), self._keys[at].tolist(), strict=True):
            there = records[n].id
            has[n] = there == id_ or there.startswith(own_id_of(id_, key))
        return has

    def _mask(self, *positions: IndexArray) -> NDArray[np.bool_]:
        """Which texts of the pool are at one of ``positions``."""
        mask = np.zeros(len(self._keys) + 1, np.bool_)
        for some in positions:
            mask[some] = True  # NOWHERE is the last, which no text has
        return mask[:-1]


def _count(pool: Pool, ids: Collection[str]) -> int:
    """How many of ``ids`` the pool has, labelled or not."""
    if not ids:
        return 0
    unlabelled = len(pool.unlabelled()) - len(pool.unlabelled(excluding=ids))
    return unlabelled + sum(example.id in ids for example in pool.examples())


def all_examples(seeds: Iterable[Example], answered: Sequence[Example]) -> list[Example]:
    """The examples that came with the pool and those that Argilla holds; of one text an answer outranks the pool.

    Of two texts of one id the pool's gets the id that it would have in Argilla.
    """
    seeds = list(seeds)
    if not seeds:
        return list(answered)
    texts = {unescape_markup(example.text) for example in answered}
    ids = {example.id for example in answered}
    kept = [seed for seed in seeds if unescape_markup(seed.text) not in texts]
    return [
        *(replace(seed, id=own_id(seed.id, seed.text)) if seed.id in ids else seed for seed in kept),
        *answered,
    ]
