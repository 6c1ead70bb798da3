"""The embeddings of a pool: each text embedded once, in a fixed random order, in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from worlds import ListPool, sentences

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.errors import ModelError, RetryableError
from argilla_loop.learning.embeddings.store import VectorsLostError
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.observability.progress import progress
from argilla_loop.policy.query import shuffled

# Embeds a pool of its own for ever, in small chunks, and says when a chunk is stored.
WRITER = """
import sys
from pathlib import Path
import structlog
from worlds import ListPool, sentences
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.encoders.fake import HashingEncoder
structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
ours = PoolVectors(HashingEncoder(), Path(sys.argv[1]), seed=0, chunk=5)
pool = ListPool([(id_, text, None) for id_, text, _ in sentences(int(sys.argv[2]))])
for wanted in range(20, len(pool) + 1, 20):
    ours.ready(pool, at_least=wanted)
    print(wanted, flush=True)
"""


def pool_of(count: int, start: int = 0) -> ListPool:
    return ListPool([(id_, text, None) for id_, text, _ in sentences(count)[start:]])


def positions_of(pool: ListPool) -> IndexArray:
    return np.arange(len(pool), dtype=np.int64)


def assert_right(ours: PoolVectors, pool: ListPool, positions: IndexArray) -> None:
    """Each row is the float16 embedding of the text at its position, in the order asked for."""
    expected = HashingEncoder().encode(pool.texts(positions)).astype(np.float16)
    assert ours.rows(positions).tobytes() == expected.tobytes()


class Gated(HashingEncoder):
    """Embeds only as many calls as it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.asked: list[list[str]] = []
        self.called = threading.Event()

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        if len(texts):
            self.asked.append(list(texts))
            self.called.set()
            self.gate.acquire()
        return super().encode(texts, progress=progress)


class Broken(HashingEncoder):
    """Fails until it is mended."""

    mended = False

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        if not self.mended:
            raise ModelError("model 'x': weights are broken; fetch them again")
        return super().encode(texts, progress=progress)


class Opened:
    """Makes ``PoolVectors`` of small chunks and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, list[PoolVectors]()

    def __call__(self, encoder: HashingEncoder | None = None, *, seed: int = 0, **seams: Any) -> PoolVectors:
        seams = {"chunk": 10, "hash_chunk": 17, "block_rows": 16, **seams}
        self.made.append(PoolVectors(encoder or HashingEncoder(), self.folder, seed=seed, **seams))
        return self.made[-1]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = Opened(tmp_path / "vectors")
    yield opened
    for one in opened.made:
        one.close()


def test_a_small_pool_is_complete(opened: Opened) -> None:
    """Whatever is not larger than what is waited for is there whole: no result depends on time."""
    pool, ours = pool_of(60), opened()
    assert ours.ready(pool).tolist() == list(range(60))
    assert_right(ours, pool, positions_of(pool)[::-1])
    blocks = list(ours.chunks(positions_of(pool)))
    assert [len(block) for block in blocks] == [16, 16, 16, 12]
    assert blocks[0].dtype == np.float32
    assert np.concatenate(blocks).astype(np.float16).tobytes() == ours.rows(positions_of(pool)).tobytes()


def test_files_cut_short_under_it_are_told_once_and_their_texts_embedded_again(opened: Opened) -> None:
    """A mapping of them would end the process."""
    pool, ours = pool_of(60), opened()
    ours.ready(pool)
    for left in (0, 700):
        (file,) = opened.folder.iterdir()
        os.truncate(file, left)
        with capture_logs() as logs:
            with pytest.raises(VectorsLostError):
                ours.rows(positions_of(pool))
            assert ours.ready(pool).tolist() == list(range(60))
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["pool_vectors_lost"]
        assert_right(ours, pool, positions_of(pool))


def test_an_empty_pool_is_ready(opened: Opened) -> None:
    """No texts, no positions, and rows of the right width all the same."""
    ours = opened()
    assert ours.ready(pool_of(0)).tolist() == []
    assert ours.rows(np.empty(0, dtype=np.int64)).shape == (0, 64)


def test_a_large_pool_is_not_waited_for(opened: Opened) -> None:
    """With one chunk of six let through, its ten texts are ready, and they are the first of the random order."""
    pool, encoder = pool_of(60), Gated()
    ours = opened(encoder)
    encoder.gate.release()
    ready = ours.ready(pool, at_least=10)
    expected = shuffled(positions_of(pool), 0)
    assert ready.tolist() == sorted(expected[:10].tolist())
    assert ours.prefix(10).tolist() == expected[:10].tolist()
    assert_right(ours, pool, ready)
    with pytest.raises(ValueError, match="50 of 60 positions have no embedding yet"):
        ours.rows(positions_of(pool))
    encoder.gate.release(5)
    assert len(ours.ready(pool)) == 60


def test_the_order_is_the_seeds(opened: Opened) -> None:
    """Another seed, another order; a pool that grows keeps the order of what was there."""
    one, other = opened(seed=1), opened(seed=2)
    for ours in (one, other):
        ours.ready(pool_of(60))
    before = one.prefix(60)
    assert before.tolist() != other.prefix(60).tolist()
    one.ready(pool_of(90))
    grown = one.prefix(90)
    assert grown[grown < 60].tolist() == before.tolist()


def test_texts_are_embedded_once_ever(opened: Opened) -> None:
    """A pool that grows, one that shares texts, and a new process embed only what is new."""
    encoder = HashingEncoder()
    ours = opened(encoder)
    ours.ready(pool_of(40))
    ours.ready(pool_of(60))
    assert encoder.encoded == 60
    shifted = pool_of(70, start=30)  # other positions, ten new texts
    assert len(ours.ready(shifted)) == 40
    assert_right(ours, shifted, positions_of(shifted))
    assert encoder.encoded == 70
    ours.close()
    again = HashingEncoder()
    restarted = opened(again)
    assert len(restarted.ready(pool_of(70))) == 70
    assert_right(restarted, pool_of(70), positions_of(pool_of(70)))
    assert again.encoded == 0


def test_following_the_same_pool_again_changes_nothing(opened: Opened) -> None:
    """A pool that was read anew, with the same content, is the same pool."""
    encoder = Gated()
    ours = opened(encoder)
    encoder.gate.release()
    ours.ready(pool_of(60), at_least=10)
    ours.follow(pool_of(60))
    encoder.gate.release(5)
    ours.ready(pool_of(60))
    assert len(encoder.asked) == 6


def test_another_pool_is_followed_instead(opened: Opened) -> None:
    """The chunk in hand is kept, the rest of the old pool is not embedded, and who waited for it is told."""
    encoder = Gated()
    ours = opened(encoder)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            ours.ready(pool_of(60))
        except RetryableError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert encoder.called.wait(timeout=30)
    other = pool_of(100, start=60)
    ours.follow(other)
    waiting.join(timeout=30)
    assert len(told) == 1
    encoder.gate.release(5)
    assert len(ours.ready(other)) == 40
    assert_right(ours, other, positions_of(other))
    ours.close()
    again = HashingEncoder()
    opened(again).ready(pool_of(100))
    assert again.encoded == 50  # forty and the chunk in hand were there


def test_a_failure_is_raised_where_it_is_waited_for(opened: Opened) -> None:
    """What the background thread died of is no silent wait; when it is mended, the next call goes on."""
    encoder = Broken()
    ours = opened(encoder)
    with capture_logs() as logs, pytest.raises(ModelError, match="weights are broken"):
        ours.ready(pool_of(30))
    assert [entry["event"] for entry in logs] == ["pool_embedding_failed"]
    encoder.mended = True
    assert len(ours.ready(pool_of(30))) == 30


def test_how_far_it_is_is_told_once_whether_somebody_waits_or_not(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal: lines with done, total and the seconds left, for those who wait and the background alike."""
    monkeypatch.setattr("argilla_loop.observability.progress.LOG_EVERY_SECONDS", 0.0)
    encoder = Gated()

    def begun(task: str, total: int, **how: bool) -> AbstractContextManager[Callable[[int], None]]:
        encoder.gate.release(3)  # now somebody waits
        return progress(task, total, **how)

    with capture_logs() as logs:
        ours = opened(encoder, log_every=0.0, progress=begun)
        ours.ready(pool_of(30))
        ours.close()
    told = [entry for entry in logs if entry["event"] == "progress"]
    assert told
    assert {entry["task"] for entry in told} == {"embedding_pool"}
    done = [entry["done"] for entry in told]
    assert len(done) == len(set(done))
    assert all({"done", "total", "seconds_left"} <= set(entry) for entry in told)
    assert [entry["done"] for entry in logs if entry["event"] == "pool_embedded"] == [30]


@pytest.mark.skipif(sys.platform != "linux", reason="niceness by thread is Linux's")
def test_only_what_nobody_waits_for_gives_way(opened: Opened) -> None:
    """The first texts are embedded at the process's own priority, the rest behind it."""
    seen: list[int] = []

    class Watching(HashingEncoder):
        def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
            if len(texts):
                seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().encode(texts, progress=progress)

    own = os.getpriority(os.PRIO_PROCESS, 0)
    opened(Watching(), awaited=20).ready(pool_of(40))
    assert seen == [own, own, max(own, 10), max(own, 10)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_two_at_once_disturb_each_other_in_nothing(opened: Opened) -> None:
    """Two services with one cache folder: each has a file of its own, and a third one reads both."""
    one, other = opened(), opened()
    one.ready(pool_of(40))
    other.ready(pool_of(80, start=40))
    assert len(list(opened.folder.iterdir())) == 2
    reader = HashingEncoder()
    third = opened(reader)
    third.ready(pool_of(80))
    assert_right(third, pool_of(80), positions_of(pool_of(80)))
    assert reader.encoded == 0


def test_a_kill_at_any_moment_loses_the_chunk_in_hand(opened: Opened) -> None:
    """Writers killed (-9) in the middle: what they said is stored is there, and all of it is right."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    kept = 0
    for wanted in (1, 4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(opened.folder), "100000"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert writer.stdout is not None
        for _ in range(wanted):
            kept = max(kept, int(writer.stdout.readline()))
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
    pool, encoder = pool_of(100_000), Gated()  # Gated: embeds nothing
    ours = opened(encoder)
    ready = ours.ready(pool, at_least=kept)
    assert len(ready) >= kept >= 80
    assert_right(ours, pool, ready)
    assert len(list(opened.folder.iterdir())) == 1
    encoder.gate.release(100_000)
