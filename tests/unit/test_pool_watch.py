"""A pool that changes under a running service."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from argilla_loop.errors import PoolError, RetryableError
from argilla_loop.pool import WatchedPool
from argilla_loop.pool.read import ArgillaRow
from argilla_loop.settings import PoolSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "a"}\n')
    return file


def watch(file: Path) -> WatchedPool:
    settings = PoolSettings.model_validate({"source": "files", "path": file})
    return WatchedPool(settings, labels=None, cache_dir=file.parent / "cache")


def test_it_is_read_once_while_nothing_changes(file: Path) -> None:
    watched = watch(file)
    assert watched.report is None
    revision, pool = watched.revision(), watched.current()
    assert (watched.revision(), watched.current()) == (revision, pool)
    assert watched.current() is pool
    assert watched.report is not None
    assert watched.report.taken == 1


def test_new_rows_appear_once_two_looks_agree(file: Path) -> None:
    """A file that is still growing is left alone."""
    watched = watch(file)
    before, pool = watched.revision(), watched.current()
    for growing in ('{"text": "a"}\n{"te', '{"text": "a"}\n{"text": "b"}\n'):
        file.write_text(growing)
        assert watched.revision() == before
        assert watched.current() is pool
    assert watched.revision() != before
    assert len(watched.current()) == 2


def test_a_broken_file_is_fatal_at_start_only(file: Path) -> None:
    """Later the pool stays as it was, the log says so once, and the next change is read."""
    watched = watch(file)
    watched.revision()
    pool = watched.current()
    file.write_text('{"text": "half')
    with capture_logs() as logs:
        for _ in range(4):
            watched.revision()
            assert watched.current() is pool
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["pool_kept_as_it_was"]
    with pytest.raises(PoolError, match="line 1"):
        watch(file).current()
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    for _ in range(2):
        watched.revision()
    assert len(watched.current()) == 2


def test_a_file_that_is_gone_is_fatal_at_start_only(file: Path) -> None:
    watched = watch(file)
    revision, pool = watched.revision(), watched.current()
    file.unlink()
    assert watched.revision() == revision
    assert watched.current() is pool
    with pytest.raises(PoolError, match="does not exist"):
        watch(file).revision()


def test_an_argilla_pool_follows_the_revision_it_is_given(tmp_path: Path) -> None:
    """While Argilla is away the error passes, and the next try reads what is there by then."""
    rows: list[ArgillaRow] = [("1", "a", "x")]
    away = False

    def read() -> list[ArgillaRow]:
        if away:
            raise RetryableError("Argilla is away")
        return rows

    settings = PoolSettings.model_validate({"source": "argilla", "dataset": "news-unlabelled"})
    watched = WatchedPool(
        settings,
        labels=["x"],
        cache_dir=tmp_path,
        argilla_rows=read,
        argilla_revision=lambda: str(len(rows)),
    )
    assert [(e.id, e.text, e.label) for e in watched.current().examples()] == [("1", "a", "x")]
    rows.append(("2", "b", None))
    away = True
    watched.revision()
    watched.revision()
    with pytest.raises(RetryableError):
        watched.current()
    away = False
    assert watched.current().unlabelled().tolist() == [1]
