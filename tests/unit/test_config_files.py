"""The settings files that we ship, and the table in docs/settings.md, say what the settings are."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from argilla_loop.settings import CONFIG_ENV, ENV_PREFIX, Settings, load_settings, table_of
from argilla_loop.settings.table import all_settings, settings_table, variable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example.toml"
TUTORIAL = ROOT / "config" / "tutorial.toml"
KEYS = dict(all_settings())
# What the example sets, and a service of an earlier version's settings does not get: a promise.
RECOMMENDED = {"target_precision": 0.95, "promise": "dataset", "refill_at": 1}
DEFAULTS = {
    key: field.get_default(call_default_factory=True)
    for key, field in KEYS.items()
    if not field.is_required() and key not in ("cache_dir", "dataset")  # of the machine; set by the example
}


@pytest.fixture(autouse=True)
def _only_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_ENV, raising=False)
    monkeypatch.setenv(f"{ENV_PREFIX}API_KEY", "a-key-of-the-service")


def uncommented() -> dict[str, Any]:
    """All that config/example.toml shows, by key, with what is behind a ``#`` taken as if it were not."""
    shown = re.sub(r"^# (?=[a-z_]+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    values = tomllib.loads(shown)
    tables = {key for key in values if table_of(key) is not None}
    return {key: value for key, value in values.items() if key not in tables} | {
        f"{table}.{key}": value for table in tables for key, value in values[table].items()
    }


def test_the_example_shows_every_setting_and_no_other() -> None:
    assert set(uncommented()) == set(KEYS)


def test_the_example_explains_every_setting_right_above_it() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for key in KEYS:
        name = key.rpartition(".")[2]
        at = next(n for n, line in enumerate(lines) if re.match(rf"(# )?{name} = ", line))
        above = at - 1
        while re.match(r"(# )?[a-z_]+ = ", lines[above]):  # a group shares its explanation
            above -= 1
        assert re.match(r"# \S+ ", lines[above]), f"{key} is not explained"


@pytest.mark.parametrize(
    "key",
    [key for key, default in DEFAULTS.items() if default not in (None, [], {}) and key not in RECOMMENDED],
)
def test_what_the_example_comments_out_is_the_default(key: str) -> None:
    default = DEFAULTS[key]
    assert uncommented()[key] == (str(default).rstrip("/") if key == "api_url" else default)


def test_the_example_loads_as_it_is() -> None:
    loaded = load_settings(EXAMPLE)
    assert {key: getattr(loaded, key) for key in RECOMMENDED} == RECOMMENDED
    assert loaded.labels == ["World", "Sports", "Sci/Tech", "Business"]
    assert loaded.pool.source == "files"


def test_the_tutorial_preset_is_the_tutorials() -> None:
    loaded = load_settings(TUTORIAL)
    pool = loaded.pool
    assert (pool.source, pool.name, pool.revision, pool.split, pool.limit) == (
        "hub",
        "argilla/news",
        "941de26",
        "train",
        500,
    )
    assert loaded.labels == ["World", "Sports", "Sci/Tech", "Business"]
    assert (loaded.min_examples_per_label, loaded.slice_size, loaded.certainty_threshold) == (5, 5, 0.9)
    assert (loaded.strategy, loaded.train_on, loaded.poll_interval) == ("sequential", "human+model", 1.0)
    assert loaded.auto_validate


def test_the_tutorial_preset_goes_offline_as_its_comment_says(tmp_path: Path) -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    instead = "\n".join(re.findall(r"^#   ((?:source|path) = .*)$", text, re.MULTILINE))
    offline = tmp_path / "offline.toml"
    offline.write_text(
        re.sub(r'^source = "hub"\nname = .*\nrevision = .*$', instead, text, flags=re.MULTILINE),
        encoding="utf-8",
    )
    pool = load_settings(offline).pool
    assert (pool.source, pool.path, pool.name, pool.limit) == ("files", [Path("news.parquet")], None, 500)


def test_the_table_of_settings_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    parts = re.findall(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", page, re.DOTALL)
    assert parts == [settings_table()], (
        "run `python -m argilla_loop.settings.table` and put it into docs/settings.md"
    )


def test_the_table_has_a_described_row_for_every_setting() -> None:
    rows = {}
    for line in settings_table().splitlines()[2:]:
        cells = re.split(r"(?<!\\)\|", line)
        assert len(cells) == 5  # three cells, and the line's own two ends
        rows[cells[1].strip(" `")] = cells[3].strip()
    assert set(rows) == set(KEYS)
    assert all(rows.values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("slice_size", "7"),
        ("pool.limit", "7"),
        ("api_url", "http://argilla:6900"),
        ("train_on", "human+model"),
    ],
)
def test_the_variable_of_a_key_sets_it(key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(key), value)
    holder: Any = load_settings(EXAMPLE)
    for name in key.split("."):
        holder = getattr(holder, name)
    assert str(holder).rstrip("/") == value


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in KEYS.values())
    assert set(Settings.model_fields) == {key.partition(".")[0] for key in KEYS}
