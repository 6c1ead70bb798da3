"""The embedding cache: embeds only what is new, and whatever happens to its file costs time only."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from argilla_loop.domain import FloatArray
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder

TEXTS = [f"text number {number} about the match" for number in range(40)]
PLAIN = HashingEncoder().encode(TEXTS)

# What another process does to the same cache: new texts for ever, in small chunks.
WRITER = """
import sys
from pathlib import Path
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder
encoder = CachedEncoder(HashingEncoder(), Path(sys.argv[1]), chunk=8)
for start in range(0, int(sys.argv[2]), 40):
    encoder.encode([f"text number {number} about the match" for number in range(start, start + 40)])
    print(start, flush=True)
"""


class Interrupted(HashingEncoder):
    """Is interrupted from the keyboard at its third call."""

    calls = 0

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        self.calls += bool(texts)
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().encode(texts, progress=progress)


def cached(folder: Path) -> tuple[CachedEncoder, HashingEncoder]:
    inner = HashingEncoder()
    return CachedEncoder(inner, folder), inner


def assert_sound(folder: Path) -> None:
    """The cache answers rightly, and its file is a whole SQLite database."""
    encoder, _ = cached(folder)
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    with closing(sqlite3.connect(encoder.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_only_new_texts_are_embedded(tmp_path: Path) -> None:
    """A second encoder on the same folder embeds nothing that the first one did, and gives the same bytes."""
    cached(tmp_path)[0].encode(TEXTS[:30])
    encoder, inner = cached(tmp_path)
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == 10


def test_a_text_twice_is_embedded_once(tmp_path: Path) -> None:
    encoder, inner = cached(tmp_path)
    assert len(encoder.encode(["the match"] * 5)) == 5
    assert inner.encoded == 1


def test_encoders_do_not_share_embeddings(tmp_path: Path) -> None:
    """Another fingerprint, another file: an embedding of 32 numbers is never served as one of 64."""
    cached(tmp_path)[0].encode(TEXTS)
    assert CachedEncoder(HashingEncoder(32), tmp_path).encode(TEXTS).shape == (40, 32)
    assert len(list(tmp_path.glob("*.sqlite3"))) == 2


def test_an_interrupted_embedding_keeps_what_is_done(tmp_path: Path) -> None:
    """Ctrl-C in the third chunk of ten texts: twenty are kept."""
    with pytest.raises(KeyboardInterrupt):
        CachedEncoder(Interrupted(), tmp_path, chunk=10).encode(TEXTS)
    encoder, inner = cached(tmp_path)
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == 20


@pytest.mark.parametrize("harm", ["garbage", "cut", "empty", "zeroed page"])
def test_a_broken_file_is_discarded_and_rebuilt(tmp_path: Path, harm: str) -> None:
    """Whatever became of the file, the answer is right, and the next encoder finds a sound cache."""
    encoder, _ = cached(tmp_path)
    encoder.encode(TEXTS)
    content = encoder.path.read_bytes()
    broken = {
        "garbage": b"not a database" * 1000,
        "cut": content[: len(content) // 2 + 13],
        "empty": b"",
        "zeroed page": content[:4096] + bytes(4096) + content[8192:],
    }[harm]
    encoder.path.write_bytes(broken)
    with capture_logs() as logs:
        assert cached(tmp_path)[0].encode(TEXTS).tobytes() == PLAIN.tobytes()
    if harm != "empty":  # an empty file is a new database to SQLite
        assert [entry["event"] for entry in logs] == ["embedding_cache_discarded"]
    assert_sound(tmp_path)
    again, inner = cached(tmp_path)
    again.encode(TEXTS)
    assert inner.encoded == 0


def test_a_flipped_bit_in_a_vector_is_noticed(tmp_path: Path) -> None:
    """SQLite does not see it; the checksum does: that one text is embedded again."""
    encoder, _ = cached(tmp_path)
    encoder.encode(TEXTS)
    with closing(sqlite3.connect(encoder.path)) as connection, connection:
        key, vector = connection.execute("SELECT text_hash, vector FROM embeddings LIMIT 1").fetchone()
        harmed = bytes([vector[0] ^ 1]) + vector[1:]
        connection.execute("UPDATE embeddings SET vector = ? WHERE text_hash = ?", (harmed, key))
    again, inner = cached(tmp_path)
    assert again.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == 1


@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_written_means_memory(tmp_path: Path, below: str) -> None:
    """Where the folder cannot be (a file is in its place), the cache works in memory and says so once."""
    (tmp_path / "taken").write_text("a file")
    encoder, inner = cached(tmp_path / "taken" / below)
    with capture_logs() as logs:
        encoder.encode(TEXTS)
        assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == len(TEXTS)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("embedding_cache_in_memory", "warning")
    ]


def test_a_read_only_database_means_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache file that opens but takes no writes is done without: vectors stay in memory."""
    encoder, inner = cached(tmp_path)
    encoder.encode(TEXTS[:10])
    real = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda path, **options: real(f"file:{path}?mode=ro", uri=True, **options),
    )
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == 40


def test_a_locked_cache_is_done_without(tmp_path: Path) -> None:
    """Another process that never lets go of the file costs a warning, not the service."""
    encoder = CachedEncoder(HashingEncoder(), tmp_path, lock_timeout=0.01)
    encoder.encode(TEXTS[:1])
    with closing(sqlite3.connect(encoder.path, isolation_level=None)) as other, capture_logs() as logs:
        other.execute("BEGIN EXCLUSIVE")
        assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert {entry["event"] for entry in logs} == {"embedding_cache_in_memory"}


def test_the_folder_may_be_deleted_at_any_moment(tmp_path: Path) -> None:
    encoder, _ = cached(tmp_path / "cache")
    encoder.encode(TEXTS[:10])
    encoder.path.unlink()
    encoder.folder.rmdir()
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()


def test_a_kill_at_any_moment_leaves_a_sound_cache(tmp_path: Path) -> None:
    """Ten writers killed (-9) at random moments: what they committed is there, and all of it is right."""
    moments = random.Random(0)
    for _ in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), "1000000"], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline()  # it is at work
        time.sleep(moments.random() * 0.05)
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
    encoder, inner = cached(tmp_path)
    assert encoder.encode(TEXTS).tobytes() == PLAIN.tobytes()
    assert inner.encoded == 0
    assert_sound(tmp_path)


def test_two_processes_may_share_a_cache(tmp_path: Path) -> None:
    """Two writers at once on the same texts: both end well, and the file is sound and complete."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "400"]) for _ in range(2)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert_sound(tmp_path)
    encoder, inner = cached(tmp_path)
    encoder.encode([f"text number {number} about the match" for number in range(400)])
    assert inner.encoded == 0


def test_a_big_request_is_answered_in_order(tmp_path: Path) -> None:
    """Over many chunks, with repeats in several of them, each row belongs to its text."""
    encoder, inner = cached(tmp_path)
    texts = [f"word{number % 1500}" for number in range(4000)]
    np.testing.assert_array_equal(encoder.encode(texts), HashingEncoder().encode(texts))
    assert inner.encoded == 1500
