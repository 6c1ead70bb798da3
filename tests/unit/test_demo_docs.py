"""README and the pages keep to what is really there."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from argilla_loop.pool import load_pool
from argilla_loop.settings import PoolSettings

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_tutorials_script_makes_a_file_that_the_pool_reads_as_argilla_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- make-news -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    exec(compile(found[1], "docs/tutorial.md", "exec"), {})  # noqa: S102  the docs' own code, as a reader runs it
    assert pq.read_schema("news.parquet").names[:3] == ["text", "inputs", "prediction"]
    pool, report = load_pool(
        PoolSettings.model_validate({"path": "news.parquet"}),
        labels=("World", "Sports", "Sci/Tech", "Business"),
        cache_dir=tmp_path / "cache",
    )
    assert len(pool) == report.rows == 500
    assert pool.examples() == []
    assert pool.ids()[0].startswith("bbc-")


def test_events_and_settings_of_the_tutorial_exist() -> None:
    """Every event its log excerpts show is one that the package logs; its settings are those of the preset."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    events = set(re.findall(r"^(\w+)  +\w+=", text, re.MULTILINE))
    assert {"dataset_created", "pool_loaded", "batch_done", "classifier_trained", "batch_logged"} <= events
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert not {event for event in events if f'"{event}"' not in code}
    preset = (ROOT / "config" / "tutorial.toml").read_text(encoding="utf-8")
    shown = text.split("```toml\n")[1].split("```")[0]
    values = [line for line in shown.splitlines() if "=" in line]
    assert len(values) > 10
    assert not [line for line in values if line not in preset]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_what_a_guide_links_to_is_there(guide: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", guide.read_text(encoding="utf-8"))
    assert not [link for link in links if not (guide.parent / link).exists()]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("place", ["README.md", "docs/demo.md", "Makefile"])
def test_the_number_of_packages_is_that_of_the_pins(place: str) -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    told = re.findall(r"(\d+) (?:pinned )?packages", (ROOT / place).read_text(encoding="utf-8"))
    assert told == [str(sum("==" in pin for pin in pins))]


def test_every_page_is_linked_from_the_readme() -> None:
    """Or from a page that is."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        links = re.findall(r"\]\((?!https?:|#)([^)#]+\.md)", page.read_text(encoding="utf-8"))
        waiting += {(page.parent / link).resolve() for link in links} - seen
    assert not set((ROOT / "docs").rglob("*.md")) - seen


def test_pictures_are_small() -> None:
    assert not [p.name for p in (ROOT / "docs" / "images").iterdir() if p.stat().st_size > 200_000]
