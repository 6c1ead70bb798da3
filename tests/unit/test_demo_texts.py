"""The demo's texts: real, parted without overlap, and with no answer where the service could read it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from argilla_loop.cli.demo.texts import Article, choose, opening, read_articles
from argilla_loop.errors import SettingsError


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    return read_articles()


def test_articles_are_all_of_the_corpus_without_duplicates(articles: list[Article]) -> None:
    topics = {one.topic for one in articles}
    assert topics == {"business", "entertainment", "politics", "sports", "tech"}
    assert len(articles) > 2000
    assert len({one.text for one in articles}) == len({one.id for one in articles}) == len(articles)
    assert all(one.text.strip() for one in articles)


def test_pool_and_held_back_texts_never_overlap(articles: list[Article]) -> None:
    corpus = choose(articles, texts=None, held_back=400, seed=1)
    assert len(corpus.held_back) == 400
    assert len(corpus.pool) == len(articles) - 400
    assert not {one.text for one in corpus.pool} & {one.text for one in corpus.held_back}


def test_the_seed_decides_the_choice(articles: list[Article]) -> None:
    first, again, other = (choose(articles, texts=50, held_back=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert {one.id for one in first.pool} != {one.id for one in other.pool}


def test_the_pool_file_gives_no_topic_away(articles: list[Article], tmp_path: Path) -> None:
    corpus = choose(articles, texts=100, held_back=20, seed=1)
    corpus.write_pool(tmp_path / "pool.parquet")
    table = pq.read_table(tmp_path / "pool.parquet")
    assert table.column_names == ["id", "text"]
    assert table["id"].to_pylist() == [one.id for one in corpus.pool]
    assert not any(topic in name for topic in corpus.labels for name in table["id"].to_pylist())
    assert set(corpus.gold) == set(table["id"].to_pylist())


def test_more_texts_than_there_are_is_refused_with_what_to_do(articles: list[Article]) -> None:
    with pytest.raises(SettingsError, match=r"there are \d+ texts, not 5020: lower --texts"):
        choose(articles, texts=5000, held_back=20, seed=1)


def test_a_text_is_headline_and_first_paragraph() -> None:
    assert opening("\n Headline \n\n First. \nSecond.\n") == "Headline\n\nFirst."
