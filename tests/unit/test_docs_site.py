"""The documentation site: it builds without a warning, and asks nobody outside for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a browser loads by itself. Links that a reader follows may lead outside.
LOADED = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\" >]+)|<link\b[^>]*\bhref=\"?([^\" >]+)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it, elsewhere."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), page


def test_files_outside_docs_are_part_of_it(site: Path) -> None:
    for name in ("index.html", "CONTRIBUTING.html", "benchmarks/turn.html", "config/example.toml"):
        assert (site / name).is_file(), name
    assert (site / "benchmarks" / "accuracy.png").read_bytes() == (
        ROOT / "benchmarks/accuracy.png"
    ).read_bytes()
    assert 'href="benchmarks/turn.html"' in (site / "how-it-works.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_outside(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = [one or other for one, other in re.findall(LOADED, page.read_text(encoding="utf-8"))]
        assert loaded
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?(https?:)?//|@import", text), sheet


def test_lists_are_lists(site: Path) -> None:
    """GitHub takes a list for one where MkDocs wants a blank line before it, or four spaces."""
    for page in site.rglob("*.html"):
        text = re.sub(r"<pre.*?</pre>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        paragraphs = re.findall(r"<p>(.*?)</p>", text, re.DOTALL)
        assert not [one for one in paragraphs if re.search(r"\n\s*(?:[-*]|\d+\.) |```", one)], page


def test_the_search_index_has_every_page(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = ")
    for page in ("settings.html", "troubleshooting.html", "benchmarks/turn.html", "get-started.html"):
        assert f'"{page}' in index
