"""Nothing that is read may run: no pickle in any guise, in our code or by our calls of others'."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import tiny_model
from structlog.testing import capture_logs

from argilla_loop.errors import ModelError
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.embeddings.store import VectorStore
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.learner import build_learner
from argilla_loop.observability.heartbeat import heartbeat
from argilla_loop.pool.collect import Collector
from argilla_loop.service.identity import Identity
from argilla_loop.settings.files import atomic_write, make_private

SOURCES = sorted((Path(__file__).parents[2] / "src").rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "shelve", "dill", "cloudpickle", "joblib", "marshal", "jsonpickle"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
}  # as plain names: `re.compile` and `model.eval()` are others
METHODS = {
    ("torch", "load"),
    ("yaml", "load"),
    ("pd", "read_pickle"),
    ("pandas", "read_pickle"),
    ("joblib", "load"),
}
KEYWORDS = {"allow_pickle", "trust_remote_code"}  # that must not be given as true


def dangers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (f"import of {name}" for name in names if name.split(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield f"call of {node.func.id}"
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            called = (node.func.value.id, node.func.attr)
            if called in METHODS:
                yield f"call of {'.'.join(called)}"
        for keyword in node.keywords:
            given = isinstance(keyword.value, ast.Constant) and keyword.value.value in (False, None)
            if keyword.arg in KEYWORDS and not given:
                yield f"{keyword.arg} is given"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_source_can_load_code_from_data(path: Path) -> None:
    assert list(dangers(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import torch\ntorch.load('x')",
        "load_dataset('x', trust_remote_code=flag)",
        "eval('1')",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(dangers(ast.parse(source)))


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def exploded(tmp_path: Path) -> Path:
    return tmp_path / "exploded"


@pytest.fixture
def bomb(exploded: Path) -> bytes:
    content = pickle.dumps(Bomb(exploded))
    pickle.loads(content)  # noqa: S301  it does go off, or the tests below would show nothing
    exploded.rmdir()
    return content


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "onnx/model.onnx", "tokenizer.json", "model.safetensors"]
)
def test_a_pickle_among_the_models_files_does_not_go_off(
    name: str, bomb: bytes, exploded: Path, tmp_path: Path
) -> None:
    """Where it stands in for weights or tokenizer, one line says so."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model(tmp_path / "made"), folder)
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    if name != "tokenizer.json":
        for weights in [*folder.rglob("*.onnx"), *folder.rglob("*.safetensors")]:
            weights.unlink()
    target.write_bytes(bomb)
    with pytest.raises(ModelError) as caught:
        build_learner(str(folder), "fp32", tmp_path / "cache", 1).encoder.encode(["a text"])
    assert "\n" not in str(caught.value)
    assert not exploded.exists()


def test_a_pickle_in_the_cache_does_not_go_off(bomb: bytes, exploded: Path, tmp_path: Path) -> None:
    """As the whole file, and as one embedding of it: both are made anew."""
    encoder = CachedEncoder(HashingEncoder(), tmp_path)
    right = encoder.encode(["a text"])
    with sqlite3.connect(encoder.path) as cache:
        cache.execute("UPDATE embeddings SET vector = ?", (bomb,))
    cache.close()
    np.testing.assert_array_equal(encoder.encode(["a text"]), right)
    encoder.path.write_bytes(bomb)
    np.testing.assert_array_equal(CachedEncoder(HashingEncoder(), tmp_path).encode(["a text"]), right)
    assert not exploded.exists()


def test_a_model_that_is_not_the_one_that_was_pinned_is_refused(tmp_path: Path) -> None:
    model, cache = tmp_path / "model", tmp_path / "cache"
    tiny_model(model)
    fingerprint = build_learner(str(model), "fp32", cache, 1).encoder.fingerprint
    build_learner(str(model), "fp32", cache, 1, fingerprint=fingerprint)
    build_learner(str(model), "fp32", cache, 1, fingerprint=fingerprint[:12])
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="its files are not the ones that you tried"):
        build_learner(str(model), "fp32", cache, 1, fingerprint=fingerprint)


def test_whoever_makes_the_cache_folder_first_makes_it_our_own(tmp_path: Path) -> None:
    """Not only ``run``: ``check``, ``pool`` and a service whose cache was deleted under it do, too."""

    def collect(cache: Path) -> None:
        Collector(cache / "pool").close()

    def write(cache: Path) -> None:
        with atomic_write(cache / "models" / "x.onnx") as unfinished:
            unfinished.write_bytes(b"x")

    def embed(cache: Path) -> None:
        CachedEncoder(HashingEncoder(), cache).encode(["a text"])

    def follow(cache: Path) -> None:
        VectorStore(cache / "vectors", "fingerprint", 4).close()

    def beat(cache: Path) -> None:
        with heartbeat.kept_in(cache / "heartbeat" / "x"):
            heartbeat.beat()

    def start(cache: Path) -> None:
        Identity(cache / "writer" / "x").close()

    for maker in (collect, write, embed, follow, beat, start):
        cache = tmp_path / maker.__name__ / "above" / "cache"
        maker(cache)
        assert cache.stat().st_mode & 0o777 == 0o700, maker
        assert cache.parent.stat().st_mode & 0o777 == 0o700, maker


def test_the_cache_folder_is_our_own_and_one_that_others_can_write_to_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "cache"
    with capture_logs() as logs:
        make_private(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        make_private(folder)
        assert logs == []
        folder.chmod(0o777)
        make_private(folder)
    assert [entry["event"] for entry in logs] == ["cache_open_to_others"]
