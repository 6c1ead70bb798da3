"""Hugging Face datasets: the real `load_dataset`, on a folder laid out like a hub repository, and on a bad network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import pytest
import requests
from datasets import ClassLabel, Dataset, Features, Value
from requests.adapters import HTTPAdapter

from argilla_loop.errors import PoolError, RetryableError
from argilla_loop.pool import ArrowPool, PoolReport, load_pool, pool_revision
from argilla_loop.settings import PoolSettings

CARD = """---
configs:
- config_name: news
  data_files:
  - split: train
    path: news/train.parquet
  - split: test
    path: news/test.parquet
- config_name: other
  data_files: other/*.parquet
---
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of the test's own, no progress bars, no waiting between tries."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two subsets, one with two splits and a ClassLabel."""
    root = tmp_path / "repository"
    features = Features({"text": Value("string"), "label": ClassLabel(names=["World", "Sports"])})
    for split, texts in (("train", ["a", "b", "a"]), ("test", ["t"])):
        data = {"text": texts, "label": [1, 0, -1][: len(texts)]}
        (root / "news").mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(data, features=features).to_parquet(root / "news" / f"{split}.parquet")
    (root / "other").mkdir()
    Dataset.from_dict({"body": ["o"]}).to_parquet(root / "other" / "x.parquet")
    (root / "README.md").write_text(CARD)
    return root


def load(folder: Path, name: object, **changed: Any) -> tuple[ArrowPool, PoolReport]:
    settings = PoolSettings.model_validate({"source": "hub", "name": str(name)} | changed)
    return load_pool(settings, labels=None, cache_dir=folder / "cache")


def test_a_dataset_is_read_by_subset_split_and_column(repository: Path, tmp_path: Path) -> None:
    pool, report = load(tmp_path, repository, subset="news", label_column="label")
    assert [(e.text, e.label) for e in pool.examples()] == [("a", "Sports"), ("b", "World")]
    assert (report.rows, report.duplicates) == (3, 1)
    assert load(tmp_path, repository, subset="news", split="test")[0].texts([0]) == ["t"]
    assert load(tmp_path, repository, subset="other", text_column="body")[0].texts([0]) == ["o"]
    assert load(tmp_path, repository, subset="news", split="train[1:2]")[0].texts([0]) == ["b"]
    assert load(tmp_path, repository, subset="news", limit=1)[1].rows == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subset": "nope"}, r"check pool\.subset and pool\.split .*'news', 'other'"),
        ({}, r"check pool\.subset and pool\.split .*\['news', 'other'\]"),
        ({"subset": "news", "split": "dev"}, r"check pool\.subset and pool\.split .*'train', 'test'"),
        ({"subset": "other"}, r"no column 'text': set pool\.text_column to one of its columns \(body\)"),
    ],
)
def test_what_is_not_there_is_fatal_and_says_what_is(
    repository: Path, tmp_path: Path, wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(PoolError, match=message) as raised:
        load(tmp_path, repository, **wrong)
    assert "\n" not in str(raised.value)


def answer(monkeypatch: pytest.MonkeyPatch, status: int | Exception, **headers: str) -> None:
    """Let every HTTP request end so: the lowest place where the hub's client can be reached."""

    def send(_: HTTPAdapter, request: requests.PreparedRequest, **__: object) -> requests.Response:
        if isinstance(status, Exception):
            raise status
        response = requests.Response()
        response.status_code = status
        response.request = request
        response.url = request.url or ""
        response._content = b"{}"
        response.headers.update(headers)
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)


@pytest.mark.parametrize(
    "trouble", [requests.ConnectionError("no route"), requests.Timeout("too slow"), 500, 503, 429]
)
def test_a_hub_that_is_away_or_busy_is_retryable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: int | Exception
) -> None:
    answer(monkeypatch, trouble)
    with pytest.raises(RetryableError, match="hub cannot be reached for dataset 'argilla/news'") as raised:
        load(tmp_path, "argilla/news")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "RepoNotFound"), (404, "RevisionNotFound"), (403, "GatedRepo"), (401, "")]
)
def test_a_dataset_or_revision_that_is_not_there_or_private_is_fatal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int, code: str
) -> None:
    answer(monkeypatch, status, **{"X-Error-Code": code})
    with pytest.raises(PoolError, match="dataset 'argilla/nope'") as raised:
        load(tmp_path, "argilla/nope", revision="941de26")
    assert "\n" not in str(raised.value)


def test_offline_by_order_and_not_cached_is_fatal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Waiting does not unset an environment variable."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PoolError, match="HF_HUB_OFFLINE is set"):
        load(tmp_path, "argilla/news")


def test_a_hub_dataset_keeps_its_revision() -> None:
    """A running service does not change its pool because somebody pushed to the hub."""
    settings = PoolSettings.model_validate({"source": "hub", "name": "argilla/news", "revision": "941de26"})
    assert pool_revision(settings) == pool_revision(settings)
