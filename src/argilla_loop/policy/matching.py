"""Match the texts of the pool with the records in Argilla by their content, as ids may change on either side."""

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
    """The relation of a pool and the records in Argilla.

    Attributes:
        left: ascending positions of the unlabelled texts without a record in Argilla.
        changed: the number of ids of the pool that have another text in Argilla.
        moved: the number of texts of the pool that have another id in Argilla.
        taken: the ids of all records in Argilla.
    """

    left: IndexArray
    changed: int = 0
    moved: int = 0
    taken: Collection[str] = field(default=(), repr=False)

    def named(self, batch: Sequence[NewRecord]) -> list[NewRecord]:
        """Return ``batch`` with ids that overwrite nothing: a record whose id is taken gets another one.

        That id is made from the pool's id and the text, so the same batch gets the same ids after a restart.
        """
        used = {record.id for record in batch}
        return [
            replace(record, id=self._unused_id(record, used)) if record.id in self.taken else record
            for record in batch
        ]

    def _unused_id(self, record: NewRecord, used: Collection[str]) -> str:
        own = own_id(record.id, record.text)
        names = chain([own], (f"{own}.{n}" for n in count(2)))  # another text may have that id too
        return next(name for name in names if name not in self.taken and name not in used)


class _Found(NamedTuple):
    """The positions that match one record."""

    text: str
    text_key: int | None
    now: int  # position of its present text, or NOWHERE
    logged: int  # position of the text that it was logged with, or NOWHERE
    same_now: bool  # whether the pool's text there has the record's id
    same_logged: bool

    @property
    def same(self) -> bool:
        """Whether the pool's text of this id is the record's."""
        return self.same_now or self.same_logged


class Matcher:
    """Matches records in Argilla with a pool, and remembers the matches of records that have not changed."""

    def __init__(self) -> None:
        self._fingerprint: str | None = None
        self._keys: KeyArray = np.empty(0, np.uint64)
        self._order: IndexArray = np.empty(0, np.int64)  # positions by key
        self._found: dict[str, _Found] = {}
        self._held = np.empty(0, np.bool_)  # whether the text at each position has a record
        self._moved = self._changed = 0
        self._odd: set[str] = set()  # ids of records that do not match the pool

    def match(self, pool: Pool, records: Sequence[LoggedRecord], *, without: Collection[int] = ()) -> Match:
        """Match ``records`` with ``pool``.

        Args:
            pool: the present pool.
            records: all records in Argilla.
            without: keys of further texts to leave out.
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
        self._match_new(pool, new)
        if gone := len(self._found) > len(records):
            self._found = {record.id: self._found[record.id] for record in records}
        if anew or new or gone:
            self._summarise(pool)
        refused = self._mask(self._find(np.fromiter(without, np.uint64, len(without))))
        free = pool.unlabelled()
        return Match(free[~(self._held | refused)[free]], self._changed, self._moved, self._found.keys())

    def positions(self, records: Sequence[LoggedRecord]) -> IndexArray:
        """Return the position of each record's text in the pool that was matched last, NOWHERE where it has none.

        A record belongs to the text that it was logged with, even if somebody has edited it in Argilla since.

        Args:
            records: some of those that were matched last.
        """
        found = (self._found[record.id] for record in records)
        places = (one.now if one.logged == NOWHERE else one.logged for one in found)
        return np.fromiter(places, np.int64, len(records))

    def _summarise(self, pool: Pool) -> None:
        found, size = self._found.values(), len(self._found)
        now = np.fromiter((one.now for one in found), np.int64, size)
        logged = np.fromiter((one.logged for one in found), np.int64, size)
        same_now = np.fromiter((one.same_now for one in found), np.bool_, size)
        same_logged = np.fromiter((one.same_logged for one in found), np.bool_, size)
        self._held = self._mask(now, logged)
        self._moved = int(self._held.sum() - self._mask(now[same_now], logged[same_logged]).sum())
        fits = (same_now | same_logged).all()
        odd = set() if fits else {id_ for id_, one in self._found.items() if not one.same}
        # search for new ids only: the pool's ids are strings on disk, and many
        self._changed += _count(pool, odd - self._odd) - _count(pool, self._odd - odd)
        self._odd = odd

    def _match_new(self, pool: Pool, records: Sequence[LoggedRecord]) -> None:
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
        """Return positions of ``keys``, NOWHERE where missing; ``kept``: compare only the part that records keep."""
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
        """Return whether record and text at each position share an id, or the record has the text's ``own_id``."""
        has = np.zeros(len(records), np.bool_)
        somewhere = np.flatnonzero(positions != NOWHERE)
        at = positions[somewhere]
        for n, id_, key in zip(somewhere.tolist(), pool.ids_at(at), self._keys[at].tolist(), strict=True):
            there = records[n].id
            has[n] = there == id_ or there.startswith(own_id_of(id_, key))
        return has

    def _mask(self, *positions: IndexArray) -> NDArray[np.bool_]:
        """Return a mask of the pool's texts at any of ``positions``."""
        mask = np.zeros(len(self._keys) + 1, np.bool_)
        for some in positions:
            mask[some] = True  # NOWHERE is the last element, which no text has
        return mask[:-1]


def _count(pool: Pool, ids: Collection[str]) -> int:
    """Return how many of ``ids`` are in the pool, labelled or not."""
    if not ids:
        return 0
    unlabelled = len(pool.unlabelled()) - len(pool.unlabelled(excluding=ids))
    return unlabelled + sum(example.id in ids for example in pool.examples())


def all_examples(seeds: Iterable[Example], answered: Sequence[Example]) -> list[Example]:
    """Return the examples of the pool and of Argilla; for a text in both, Argilla's label counts.

    If two texts have the same id, the pool's text gets its ``own_id``.
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
