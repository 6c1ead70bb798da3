"""Real files of each format, good and broken."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from argilla_loop.errors import PoolError
from argilla_loop.pool import ArrowPool, PoolReport, load_pool, pool_revision
from argilla_loop.settings import PoolSettings

ROWS = [("007", "a\nb", "x"), ("8", "NA", ""), ("9", "12", "y"), ("9b", "café 🙂", "y")]
SAME = [{"id": id_, "text": text, "label": label, "other": 1} for id_, text, label in ROWS]


def settings_for(path: object, **changed: Any) -> PoolSettings:
    return PoolSettings.model_validate({"source": "files", "path": path} | changed)


def load(path: object, folder: Path, **changed: Any) -> tuple[ArrowPool, PoolReport]:
    return load_pool(settings_for(path, **changed), labels=None, cache_dir=folder / "cache")


def found(pool: ArrowPool) -> list[str]:
    return pool.texts(range(len(pool)))


def write_csv(path: Path, separator: str = ",", encoding: str = "utf-8") -> None:
    lines = [separator.join(["id", "text", "label", "other"])]
    lines += [separator.join([id_, f'"{text}"', label, "1"]) for id_, text, label in ROWS]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)


def write_gz(path: Path) -> None:
    write_csv(plain := path.with_name("plain"))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def write_lines(path: Path) -> None:
    path.write_text("\n\n".join(json.dumps(row) for row in SAME))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(SAME), path),
    "a.csv": write_csv,
    "bom.csv": lambda path: write_csv(path, encoding="utf-8-sig"),
    "a.tsv": lambda path: write_csv(path, "\t"),
    "A.CSV.gz": write_gz,
    "a.json": lambda path: path.write_text("\n " + json.dumps(SAME, indent=2)),
    "a.jsonl": write_lines,
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress("\n".join(map(json.dumps, SAME)).encode())),
    "saved": lambda path: Dataset.from_list(SAME).save_to_disk(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_pool(tmp_path: Path, name: str) -> None:
    """Ids keep their zeros, a text "NA" is a text, a text "12" too, line breaks stay, blank labels are none."""
    WRITERS[name](tmp_path / name)
    pool, report = load(tmp_path / name, tmp_path, label_column="label", id_column="id")
    assert list(zip(pool.ids(), found(pool), strict=True)) == [(id_, text) for id_, text, _ in ROWS]
    assert [(e.id, e.label) for e in pool.examples()] == [("007", "x"), ("9", "y"), ("9b", "y")]
    assert (report.rows, report.taken, report.skipped) == (4, 4, {})


def test_a_text_file_is_a_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\n\r\ntwo\u2028still two\nthree".encode())
    pool, report = load(tmp_path / "a.txt", tmp_path)
    assert found(pool) == ["one", "two\u2028still two", "three"]
    assert report.skipped == {"blank": 1}


def test_odd_json_values_cost_a_row_not_the_file(tmp_path: Path) -> None:
    """Mixed types, missing keys, bare strings, a lone surrogate as JavaScript leaves behind when it cuts an emoji."""
    values = [
        {"text": "a"},
        {"text": 5},
        {"text": ["q"]},
        {"no": 1},
        {"text": None},
        "bare",
        {"text": "cut \ud83d"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, values)))
    pool, report = load(tmp_path / "a.jsonl", tmp_path)
    assert found(pool) == ["a", "bare", "cut \ufffd"]
    assert report.skipped == {"null": 2, "not_text": 2}


def test_columns_that_are_not_text_have_no_usable_row(tmp_path: Path) -> None:
    """Numbers, bytes, lists and structs are skipped, not written out as text."""
    for column in (pa.array([1]), pa.array([b"x"]), pa.array([["x"]]), pa.array([{"x": "y"}])):
        pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
        with pytest.raises(PoolError, match=r"no usable text \(1 rows, 1 not_text\)"):
            load(tmp_path / "a.parquet", tmp_path)


def test_string_types_of_arrow_are_all_text(tmp_path: Path) -> None:
    texts = pa.array(["a", None, "b", "a"])
    for column in (texts.cast(pa.large_string()), texts.dictionary_encode()):
        pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
        assert found(load(tmp_path / "a.parquet", tmp_path)[0]) == ["a", "b"]


def test_bytes_that_are_not_utf8_are_replaced(tmp_path: Path) -> None:
    """A parquet file may call bytes a string without looking."""
    broken = pa.array([b"ok", b"bro\xffken"]).view(pa.string())
    pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
    pool, report = load(tmp_path / "a.parquet", tmp_path)
    assert found(pool) == ["ok", "bro\ufffdken"]
    assert report.mended == 1


def test_class_labels_are_read_by_name(tmp_path: Path) -> None:
    """Numbers of a ClassLabel column are names; -1 stands for none; from a parquet file and a saved folder alike."""
    features = Features({"text": Value("string"), "label": ClassLabel(names=["World", "Sports"])})
    dataset = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    dataset.to_parquet(tmp_path / "a.parquet")
    dataset.save_to_disk(tmp_path / "saved")
    for name in ("a.parquet", "saved"):
        pool, _ = load(tmp_path / name, tmp_path, label_column="label")
        assert [(e.text, e.label) for e in pool.examples()] == [("a", "Sports"), ("b", "World")]


def test_columns_of_any_type_may_lie_beside_those_that_are_asked_for(tmp_path: Path) -> None:
    """Maps, which ``datasets`` does not know, dictionaries, durations, a struct of them; metadata that is nonsense."""
    maps = pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))
    table = pa.table(
        {
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "label": pa.array(["x", None]).dictionary_encode(),
            "map": maps,
            "struct": pa.StructArray.from_arrays([maps], ["inner"]),
            "duration": pa.array([1, 2], pa.duration("s")),
        }
    ).replace_schema_metadata({"huggingface": '{"info": {"features": ["text"]}}'})
    pq.write_table(table, tmp_path / "a.parquet")
    pool, report = load(tmp_path / "a.parquet", tmp_path, label_column="label")
    assert [(e.text, e.label) for e in pool.examples()] == [("a", "x")]
    assert (report.rows, report.taken) == (2, 2)
    with pytest.raises(PoolError, match="no usable text"):
        load(tmp_path / "a.parquet", tmp_path, text_column="map")


def test_numbers_and_single_item_lists_are_labels_too(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": ["a", "b", "c"], "n": [1, None, 0], "many": [["x"], ["x", "y"], None]}),
        tmp_path / "a.parquet",
    )
    assert load(tmp_path / "a.parquet", tmp_path, label_column="n")[1].labels == {"1": 1, "0": 1}
    _, report = load(tmp_path / "a.parquet", tmp_path, label_column="many")
    assert (report.labels, report.ignored_labels) == ({"x": 1}, {"several": 1})


def test_a_saved_folder_of_several_splits_needs_the_right_one(tmp_path: Path) -> None:
    splits = {"train": Dataset.from_dict({"text": ["a"]}), "test": Dataset.from_dict({"text": ["b"]})}
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert found(load(tmp_path / "saved", tmp_path, split="test")[0]) == ["b"]
    with pytest.raises(PoolError, match=r"no split 'dev': set pool\.split to one of train, test"):
        load(tmp_path / "saved", tmp_path, split="dev")


CUT_SHORT = """
import os, sys
from pathlib import Path
from argilla_loop.errors import PoolError
from argilla_loop.pool.files import read_files
from argilla_loop.settings import PoolSettings
saved = Path(sys.argv[1])
batches = read_files(PoolSettings.model_validate({"source": "files", "path": saved}), 100)
next(batches)
for file in saved.glob("*.arrow"):
    os.truncate(file, file.stat().st_size // 2)
try:
    for _ in batches:
        pass
except PoolError as error:
    print(error)
"""


def test_a_saved_folder_that_is_cut_short_while_it_is_read_is_one_line(tmp_path: Path) -> None:
    """As when it is saved again; were its files mapped, that would end the process (SIGBUS)."""
    texts = [f"text {number} " + "and so on " * 20 for number in range(20_000)]
    Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "saved", num_shards=2)
    done = subprocess.run(
        [sys.executable, "-c", CUT_SHORT, str(tmp_path / "saved")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be read" in done.stdout


def test_folders_globs_and_lists_are_read_in_order_each_file_once(tmp_path: Path) -> None:
    """Formats may be mixed, hidden and unknown files of a folder are left alone, columns may differ between files."""
    data = tmp_path / "data" / "deep"
    data.mkdir(parents=True)
    (data / "b.txt").write_text("from b\n")
    (data / "a.jsonl").write_text('{"text": "from a", "label": "x"}\n')
    (data / ".hidden.txt").write_text("hidden\n")
    (data / "notes.md").write_text("not data\n")
    (data / "c.csv").write_text("other,text\n1,from c\n")
    pool, _ = load(tmp_path / "data", tmp_path)
    assert found(pool) == ["from a", "from b", "from c"]
    pool, _ = load([data / "c.csv", tmp_path / "data" / "**" / "*.[tj]*", data / "c.csv"], tmp_path)
    assert found(pool) == ["from c", "from a", "from b"]


def test_the_limit_leaves_later_files_unread(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("a\nb\nc\n")
    (tmp_path / "2.parquet").write_bytes(b"broken")
    assert found(load([tmp_path / "1.txt", tmp_path / "2.parquet"], tmp_path, limit=2)[0]) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("half.jsonl", b'{"text": "a"}\n{"text": "half', r"half\.jsonl line 2 is not JSON"),
        ("half.json", b'[{"text": "a"}, {"te', r"half\.json cannot be read"),
        ("half.parquet", b"PAR1 and then nothing", r"half\.parquet cannot be read"),
        (
            "half.csv.gz",
            gzip.compress(b"text\n" + b"abc\n" * 99, mtime=0)[:-9],
            r"half\.csv\.gz cannot be read",
        ),
        (
            "ragged.csv",
            b'text,label\n"a",1\n"b",2,3,4\n',
            r"ragged\.csv cannot be read .*Expected 2 columns, got 4\)",
        ),
        ("latin.txt", "caf\u00e9\n".encode("latin-1"), r"latin\.txt cannot be read"),
        ("empty.csv", b"", r"empty\.csv has no column 'text'.*\(none\)"),
        ("empty.jsonl", b"", r"no usable text \(0 rows\)"),
        ("empty.txt", b"", r"no usable text \(0 rows\)"),
        (
            "other.csv",
            b"body,topic\nx,y\n",
            r"no column 'text': set pool\.text_column to one of .*\(body, topic\)",
        ),
        ("other.jsonl", b'{"body": "x"}\n', r"no column 'text': set pool\.text_column to one of .*\(body\)"),
        ("a.docx", b"PK", r"unknown format: its name must end in one of \.parquet, \.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_on_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PoolError, match=message) as raised:
        load(tmp_path / name, tmp_path)
    assert "\n" not in str(raised.value)


def test_missing_columns_are_named_with_their_setting(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,topic\nx,y\n")
    for key in ("label_column", "id_column"):
        with pytest.raises(
            PoolError, match=rf"no column 'nope': set pool\.{key} to one of .*\(text, topic\)"
        ):
            load(tmp_path / "a.csv", tmp_path, **{key: "nope"})


def test_paths_that_match_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (
        ("nope.csv", "does not exist"),
        ("*.csv", "does not exist"),
        ("empty", "holds no file"),
    ):
        with pytest.raises(PoolError, match=message):
            load(tmp_path / path, tmp_path)


def test_the_revision_moves_when_a_file_is_written_to_or_added(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "*.txt")
    (tmp_path / "a.txt").write_text("a\n")
    revisions = [pool_revision(settings)]
    assert pool_revision(settings) == revisions[0]
    (tmp_path / "a.txt").write_text("a\nb\n")
    revisions.append(pool_revision(settings))
    (tmp_path / "b.txt").write_text("b\n")
    revisions.append(pool_revision(settings))
    assert len(set(revisions)) == 3
