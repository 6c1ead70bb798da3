"""Changing single settings in a file: what is not asked for stays to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.settings.edit import edit_file, edited

FILE = """# my settings
dataset = "news"   # the first one
labels = ["A", "B"]  # of "Ada" # she chose
start_from = "model"

# texts
[pool]
path = [
  "a.csv",  # one
  "[b].csv",
]
label_column = "label"

[http]
port = 0
"""


def test_comments_and_all_else_stay() -> None:
    after = edited(FILE, {"dataset": "news # 2", "labels": ["A", 'C "c"'], "start_from": None})
    assert after == (
        FILE.replace('"news" ', '"news # 2" ')
        .replace('["A", "B"]', r'["A", "C \"c\""]')
        .replace("start_from", "# start_from")
    )


def test_a_key_is_added_to_its_table() -> None:
    after = edited(FILE, {"pool.relabel": {"A": "C", "b b": "C"}, "slice_size": 5})
    assert after is not None
    assert after.startswith("# my settings\n")
    assert 'label_column = "label"\nrelabel = { "A" = "C", "b b" = "C" }\n\n[http]' in after
    assert 'start_from = "model"\nslice_size = 5\n' in after


def test_several_lines_are_replaced_as_a_whole() -> None:
    after = edited(FILE, {"pool.path": "c.csv"})
    assert after is not None
    assert tomllib.loads(after)["pool"]["path"] == "c.csv"
    assert '[pool]\npath = "c.csv"\nlabel_column' in after


@pytest.mark.parametrize(
    "content",
    ['pool.path = "a"\n', 'pool = { path = "a" }\n', "not toml", 'dataset = """a\nb"""\npool.x = 1\n'],
)
def test_what_it_does_not_understand_is_left_alone(content: str) -> None:
    assert edited(content, {"pool.relabel": {"A": "B"}}) is None


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.text())
def test_any_label_comes_back_or_the_file_stays(labels: list[str], dataset: str) -> None:
    after = edited(FILE, {"labels": labels, "dataset": dataset})
    if after is not None:
        assert tomllib.loads(after) == {**tomllib.loads(FILE), "labels": labels, "dataset": dataset}


def test_mode_and_link_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "a.toml", tmp_path / "b.toml"
    file.write_text(FILE)
    file.chmod(0o640)
    link.symlink_to(file)
    assert edit_file(link, {"dataset": "other"})
    assert link.is_symlink()
    assert (file.stat().st_mode & 0o777, tomllib.loads(file.read_text())["dataset"]) == (0o640, "other")


def test_keys_of_a_table_with_a_header_are_set_and_its_comments_stay() -> None:
    before = FILE + '[label_descriptions]\n# what they mean\nA = "first"  # short\n"B b" = """\nlong"""\n'
    after = edited(before, {"label_descriptions": {"A": "first", "C c": "new"}})
    assert after is not None
    assert after.endswith('[label_descriptions]\n# what they mean\nA = "first"  # short\n"C c" = "new"\n')
    assert after.startswith(FILE)


def test_a_table_in_one_line_is_replaced() -> None:
    after = edited('meanings = {A = "first"}\n' + FILE, {"meanings": {"B": "second"}})
    assert after == 'meanings = { "B" = "second" }\n' + FILE
