"""Inputs that nobody means, by chance: settings, environments, pool files; for the tests and ``benchmarks/fuzz.py``."""

from __future__ import annotations

import gzip
import json
import string
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from argilla_loop.errors import PoolError
from argilla_loop.pool import load_pool
from argilla_loop.settings import ENV_PREFIX, PoolSettings, Settings

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
pool_keys = st.sampled_from([*PoolSettings.model_fields, "nonsense"])
values = st.fixed_dictionaries(
    {},
    optional={name: anything for name in Settings.model_fields if name != "pool"}
    | {"pool": anything | st.dictionaries(pool_keys, anything | st.just("files"))},
)
environment_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from(string.punctuation), max_size=30
)
variables = st.dictionaries(
    st.sampled_from([ENV_PREFIX + n.upper() for n in Settings.model_fields])
    | st.sampled_from([f"{ENV_PREFIX}POOL__{n.upper()}" for n in PoolSettings.model_fields]),
    environment_text | anything.map(lambda value: json.dumps(value).replace("\0", "")),
    max_size=4,
)

ROWS = [{"id": str(n), "text": f"text number {n}", "label": "AB"[n % 2]} for n in range(6)]
JSONL = "\n".join(map(json.dumps, ROWS)).encode()
CSV = ("id,text,label\n" + "\n".join(",".join(row.values()) for row in ROWS) + "\n").encode()
WELL_FORMED = {
    "pool.jsonl": JSONL,
    "pool.json": json.dumps(ROWS).encode(),
    "pool.csv": CSV,
    "pool.tsv": CSV.replace(b",", b"\t"),
    "pool.txt": b"one text\nanother\n",
    "pool.csv.gz": gzip.compress(CSV, mtime=0),
}


@dataclass(frozen=True)
class PoolFile:
    """A file's name and content."""

    name: str
    content: bytes


@st.composite
def damaged(draw: st.DrawFn) -> PoolFile:
    """A file of a known format that was cut, had bytes changed or inserted, or was put together from two."""
    name = draw(st.sampled_from(sorted(WELL_FORMED)))
    content = bytearray(WELL_FORMED[name])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(["cut", "change", "insert", "repeat"]))
        if how == "cut":
            del content[at:]
        elif how == "repeat":
            content += content[at:]
        else:
            content[at : at + (how == "change")] = draw(st.binary(max_size=3))
    return PoolFile(name, bytes(content))


odd_values = anything | st.text(st.characters(), max_size=30)  # lone surrogates, control characters
odd_rows = st.lists(
    st.fixed_dictionaries(
        {}, optional={"id": odd_values, "text": odd_values, "label": odd_values, "x": odd_values}
    ),
    max_size=8,
)
# NaN and infinity as Python writes them, which is not quite JSON
pool_files = (
    damaged()
    | odd_rows.map(lambda rows: PoolFile("pool.jsonl", "\n".join(map(json.dumps, rows)).encode()))
    | odd_rows.map(lambda rows: PoolFile("pool.json", json.dumps(rows).encode()))
    | st.builds(PoolFile, st.sampled_from([*WELL_FORMED, "pool.parquet"]), st.binary(max_size=80))
)

columns = st.sampled_from([{}, {"label_column": "label"}, {"label_column": "label", "id_column": "id"}])


def read(file: PoolFile, named: Mapping[str, str]) -> str:
    """Read ``file`` as a pool: ``"read"``, or the refusal; fails where rows are lost, or texts cannot be stored."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_bytes(file.content)
        source = PoolSettings.model_validate({"path": str(path), **named})
        try:
            pool, report = load_pool(source, labels=None, cache_dir=Path(folder) / "cache")
        except PoolError as error:
            return str(error)
        texts, ids = pool.texts(range(len(pool))), pool.ids()
    assert report.rows == report.taken + report.duplicates + sum(report.skipped.values())
    assert len(set(texts)) == len(texts) == len(set(ids)) == report.taken
    for text in texts:
        assert text.strip()
        assert "\0" not in text
        text.encode("utf-8")  # no lone surrogate: neither Arrow nor PostgreSQL would take it
    return "read"
