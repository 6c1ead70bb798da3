"""Embeddings in files: whatever happens to a file costs time only."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from argilla_loop.learning.embeddings.segments import HEADER, KeyArray
from argilla_loop.learning.embeddings.store import VectorsLostError, VectorStore, hash_texts

KEYS = hash_texts([f"text {number}" for number in range(100)])
VECTORS = np.random.default_rng(0).standard_normal((100, 8)).astype(np.float16)
ROW = 4 + 16 + 2 * 8


class Stores:
    """Opens stores on one folder and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.open = folder, list[VectorStore]()

    def __call__(self, *, fingerprint: str = "f" * 32, dimension: int = 8, **seams: int) -> VectorStore:
        self.open.append(VectorStore(self.folder, fingerprint, dimension, **seams))
        return self.open[-1]

    def close(self) -> None:
        while self.open:
            self.open.pop().close()

    @property
    def file(self) -> Path:
        return self.folder / f"vectors-{'f' * 32}.0.f16"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    stores = Stores(tmp_path / "cache")
    yield stores
    stores.close()


def assert_holds(store: VectorStore, keys: KeyArray = KEYS, vectors: NDArray[np.float16] = VECTORS) -> None:
    slots = store.find(keys)
    assert (slots >= 0).all()
    assert store.gather(slots).tobytes() == vectors.tobytes()


def filled(stores: Stores) -> bytes:
    """A file with all rows that nobody has open; its content."""
    stores().append(KEYS, VECTORS)
    stores.close()
    return stores.file.read_bytes()


def test_what_was_appended_is_found(stores: Stores) -> None:
    """In pieces, by any order of keys, by the same store and by the next one; other keys are absent."""
    store = stores()
    assert store.find(KEYS).tolist() == [-1] * 100
    for start in range(0, 100, 30):
        store.append(KEYS[start : start + 30], VECTORS[start : start + 30])
    assert_holds(store)
    assert_holds(store, KEYS[::-1], VECTORS[::-1])
    assert store.find(hash_texts(["other"])).tolist() == [-1]
    stores.close()
    assert_holds(stores())


def test_half_a_key_is_not_enough(stores: Stores) -> None:
    """Two texts whose hashes agree in one half are two texts."""
    twin = KEYS[:1].copy()
    twin[0, 1] ^= np.uint64(1)
    store = stores()
    store.append(KEYS, VECTORS)
    assert store.find(twin).tolist() == [-1]


def test_encoders_do_not_share_vectors(stores: Stores) -> None:
    stores().append(KEYS, VECTORS)
    assert stores(fingerprint="e" * 32).find(KEYS).tolist() == [-1] * 100


@pytest.mark.parametrize("torn", [1, ROW - 1, ROW // 2])
def test_a_torn_tail_is_dropped(stores: Stores, torn: int) -> None:
    """A write that was cut off in the middle of a row costs that row, and rows after it lie where they belong."""
    content = filled(stores)
    stores.file.write_bytes(content[:-torn])
    store = stores()
    assert_holds(store, KEYS[:-1], VECTORS[:-1])
    store.append(KEYS[-1:], VECTORS[-1:])
    stores.close()
    assert stores.file.read_bytes() == content


@pytest.mark.parametrize("offset", [0, 4, 20, ROW - 1])
def test_a_flipped_bit_is_noticed(stores: Stores, offset: int) -> None:
    """In checksum, key or vector: that row is absent and told about, once; the others are served."""
    content = bytearray(filled(stores))
    content[HEADER.size + 7 * ROW + offset] ^= 1
    stores.file.write_bytes(content)
    others = np.delete(np.arange(100), 7)
    for expected in (["pool_vectors_damaged"], []):
        with capture_logs() as logs:
            store = stores()
        assert [entry["event"] for entry in logs] == expected
        assert store.find(KEYS[7:8]).tolist() == [-1]
        assert_holds(store, KEYS[others], VECTORS[others])
        stores.close()


@pytest.mark.parametrize("harm", ["garbage", "cut header", "other dimension"])
def test_a_foreign_file_is_discarded(stores: Stores, harm: str) -> None:
    """What is no file of ours is said, and replaced by one that works."""
    content = filled(stores)
    foreign = {"garbage": os.urandom(5000), "cut header": content[:30], "other dimension": content}[harm]
    stores.file.write_bytes(foreign)
    dimension = 9 if harm == "other dimension" else 8
    with capture_logs() as logs:
        store = stores(dimension=dimension)
    assert [entry["event"] for entry in logs] == ["pool_vectors_discarded"]
    rows = np.ones((100, dimension), dtype=np.float16)
    store.append(KEYS, rows)
    stores.close()
    assert_holds(stores(dimension=dimension), KEYS, rows)


def test_a_file_that_is_all_zeros_behind_its_header_is_empty(stores: Stores) -> None:
    """So a file may look after the power failed."""
    content = filled(stores)
    stores.file.write_bytes(content[: HEADER.size] + bytes(len(content) - HEADER.size))
    assert stores().find(KEYS).tolist() == [-1] * 100


def test_two_writers_have_a_file_each(stores: Stores) -> None:
    """Neither sees a mixed file; who comes later reads both, and takes over one of them when it is free."""
    one, other = stores(), stores()
    for start in range(0, 100, 20):
        one.append(KEYS[start : start + 10], VECTORS[start : start + 10])
        other.append(KEYS[start + 10 : start + 20], VECTORS[start + 10 : start + 20])
    assert_holds(stores())
    stores.close()
    late = stores()
    assert_holds(late)
    late.append(hash_texts(["new"]), VECTORS[:1])
    assert_holds(late)
    assert len(list(stores.folder.iterdir())) == 3


def test_the_folder_may_be_deleted_at_any_moment(stores: Stores) -> None:
    """What was there stays readable, and what comes is stored anew."""
    store = stores()
    store.append(KEYS[:50], VECTORS[:50])
    stores.file.unlink()
    stores.folder.rmdir()
    store.append(KEYS[50:], VECTORS[50:])
    assert_holds(store)
    stores.close()
    assert_holds(stores(), KEYS[50:], VECTORS[50:])


@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_written_means_memory(tmp_path: Path, below: str) -> None:
    """A file is in the folder's place: rows stay in memory, however many, and one line says so."""
    (tmp_path / "taken").write_text("a file")
    with capture_logs() as logs:
        store = VectorStore(tmp_path / "taken" / below, "f" * 32, 8)
        many = hash_texts([f"many {number}" for number in range(5000)])
        rows = np.repeat(VECTORS, 50, axis=0)
        for start in range(0, 5000, 700):
            store.append(many[start : start + 700], rows[start : start + 700])
    assert_holds(store, many, rows)
    assert [entry["event"] for entry in logs] == ["pool_vectors_in_memory"]


def test_a_disk_that_fills_up_means_memory(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written stays, half a row is taken away again, the rest is kept in memory."""
    store = stores()
    store.append(KEYS[:50], VECTORS[:50])
    real = os.pwrite

    def full(file: int, content: Any, offset: int) -> int:
        if len(content) > 100:
            return real(file, content[:100], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with capture_logs() as logs:
        store.append(KEYS[50:60], VECTORS[50:60])
        store.append(KEYS[60:], VECTORS[60:])
    assert [entry["event"] for entry in logs] == ["pool_vectors_in_memory"]
    assert_holds(store)
    assert stores.file.stat().st_size == HEADER.size + 50 * ROW


@pytest.mark.parametrize("left", [0, HEADER.size, HEADER.size + 40 * ROW + 5])
def test_a_file_cut_short_while_it_is_read_is_told_and_ends_nothing(stores: Stores, left: int) -> None:
    """A mapping of it would end the process; what is still there is found by the next store."""
    store = stores()
    store.append(KEYS, VECTORS)
    slots = store.find(KEYS)
    os.truncate(stores.file, left)
    with pytest.raises(VectorsLostError, match="were changed while they were used"):
        store.gather(slots)
    kept = max(left - HEADER.size, 0) // ROW
    assert store.gather(slots[:kept]).tobytes() == VECTORS[:kept].tobytes()
    stores.close()
    again = stores()
    assert (again.find(KEYS) >= 0).tolist() == [True] * kept + [False] * (100 - kept)
    again.append(KEYS[kept:], VECTORS[kept:])
    assert_holds(again)


def test_rows_behind_a_cut_are_not_taken_for_what_was_there(stores: Stores) -> None:
    """A file that grows again has a hole, or what somebody else has put there: neither is an embedding."""
    store = stores()
    store.append(KEYS[:50], VECTORS[:50])
    slots = store.find(KEYS[:50])
    content = stores.file.read_bytes()
    for there in (bytes(len(content)), content[: HEADER.size] + content[HEADER.size :][::-1]):
        stores.file.write_bytes(there)
        with pytest.raises(VectorsLostError):
            store.gather(slots)


def test_what_comes_after_a_cut_goes_to_a_file_of_its_own(stores: Stores) -> None:
    store = stores()
    store.append(KEYS[:50], VECTORS[:50])
    os.truncate(stores.file, HEADER.size + 20 * ROW)
    store.append(KEYS[50:], VECTORS[50:])
    assert_holds(store, KEYS[50:], VECTORS[50:])
    stores.close()
    there = np.r_[:20, 50:100]
    assert_holds(stores(), KEYS[there], VECTORS[there])


def test_rows_are_read_in_any_order_and_as_often_as_asked(stores: Stores) -> None:
    """Few or many, near or far, in blocks of any size."""
    filled(stores)
    rng = np.random.default_rng(0)
    for block, gap in ((1, 1), (7, 3), (1000, 50)):
        store = stores(read_rows=block, max_gap=gap)
        for wanted in (
            rng.integers(0, 100, 300),
            rng.permutation(100)[:20],
            np.array([5, 5, 7]),
            np.arange(0),
        ):
            assert store.gather(store.find(KEYS[wanted])).tobytes() == VECTORS[wanted].tobytes()
        stores.close()
