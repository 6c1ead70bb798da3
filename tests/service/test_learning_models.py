"""Real models: exported, quantised, from the hub's cache, broken; and the same bytes from separate processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from models import FOLDER, NAME, describe_model, model_cache, news, tiny_model  # noqa: F401 - model_cache is a fixture

from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model

TEXTS = ["goal match goal", "bank money", "film actor film actor", "goal"]

# The transformers library warns about its own future in several places while a model is read.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*"),
]

TRAIN_AND_SCORE = """
import random, sys
from pathlib import Path
from models import news
from argilla_loop.domain import Example
from argilla_loop.learning.learner import build_learner
texts = news()
examples = [Example(f"{topic}-{n}", text, topic) for topic in sorted(texts) for n, text in enumerate(texts[topic][:12])]
random.Random(int(sys.argv[2])).shuffle(examples)
learner = build_learner("all-MiniLM-L6-v2", sys.argv[3], Path(sys.argv[1]), seed=3)
learner.encoder.encode([example.text for example in examples[: int(sys.argv[2])]])
model = learner.fit(examples)
asked = [text for topic in sorted(texts) for text in texts[topic][50:60]]
print("model", model.version, model.predict_proba(asked).tobytes().hex())
"""

RESOLVE = """
import sys
from pathlib import Path
from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model
try:
    files = resolve_model(sys.argv[1], precision="fp32", cache_dir=Path(sys.argv[2]))
    print("vectors", OnnxEncoder(files).encode(["goal match goal", "bank money"]).tobytes().hex())
except ModelError as error:
    print("error", error)
"""


def run(script: str, *arguments: str, **environment: str) -> list[str]:
    """The last line that ``script`` prints in a process of its own, split at its first two spaces."""
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": support, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split(" ", 2)


def fp32(folder: Path, cache: Path) -> OnnxEncoder:
    return OnnxEncoder(resolve_model(str(folder), precision="fp32", cache_dir=cache))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny")


@pytest.mark.parametrize("pooling", ["pooling_mode_mean_tokens", "pooling_mode_cls_token"])
def test_an_exported_model_embeds_as_sentence_transformers_does(tmp_path: Path, pooling: str) -> None:
    """Real architecture, small: mean and cls pooling, cut at the model's own length."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds; only where it is used

    folder = tiny_model(tmp_path / "tiny", pooling=pooling)
    texts = [*TEXTS, "goal " * 40]
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(fp32(folder, tmp_path / "cache").encode(texts), expected, atol=1e-5)


def test_an_export_is_made_once(tiny: Path, tmp_path: Path) -> None:
    """The second resolution finds the file; nothing else is left in the folder."""
    cache = tmp_path / "cache"
    made = resolve_model(str(tiny), precision="fp32", cache_dir=cache).onnx
    written = made.stat().st_mtime_ns
    assert resolve_model(str(tiny), precision="fp32", cache_dir=cache).onnx == made
    assert made.stat().st_mtime_ns == written
    assert list(made.parent.iterdir()) == [made]


def test_two_processes_may_export_at_once(tiny: Path, tmp_path: Path) -> None:
    """Both end well, with the same vectors, and one whole file remains."""
    command = [sys.executable, "-c", RESOLVE, str(tiny), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=240)[0].splitlines()[-1] for process in both]
    assert said[0] == said[1]
    assert said[0].startswith("vectors ")
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_same_bytes_from_separate_processes(model_cache: Path, tmp_path: Path, precision: str) -> None:  # noqa: F811 - the fixture
    """Same examples in another order, same seed, other texts cached before: same version, same probabilities."""
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "models").symlink_to(model_cache / "models")
    resolve_model(NAME, precision="int8", cache_dir=model_cache)
    one = run(TRAIN_AND_SCORE, str(tmp_path / "0"), "0", precision)
    two = run(TRAIN_AND_SCORE, str(tmp_path / "1"), "17", precision)
    again = run(TRAIN_AND_SCORE, str(tmp_path / "1"), "5", precision, OMP_NUM_THREADS="1")
    assert one[0] == "model"
    assert one == two == again


def test_int8_stays_near_fp32(model_cache: Path) -> None:  # noqa: F811 - the fixture
    """Quantised vectors of real news point where the exact ones do: mean cosine above 0.98."""
    texts = news()["sports"][:20]
    exact, coarse = (
        OnnxEncoder(resolve_model(NAME, precision=one, cache_dir=model_cache)).encode(texts)
        for one in ("fp32", "int8")
    )
    assert 0.98 < float((exact * coarse).sum(axis=1).mean()) < 0.99999


def test_quantising_says_nothing(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The quantiser's advice, given through the root logger, stays out of our logs."""
    files = resolve_model(str(tiny), precision="int8", cache_dir=tmp_path / "cache")
    assert files.precision == "int8"
    assert OnnxEncoder(files).encode(TEXTS).shape == (4, 8)
    assert "pre-processing" not in caplog.text


# The hub, which cannot be reached here: a folder in its cache's layout stands in for what it left on disk.


def hub_cache(home: Path, repository: str, model: Path) -> None:
    """Put ``model`` where the hub's client keeps a downloaded snapshot of ``repository``."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    shutil.copytree(model, folder / "snapshots" / ("0" * 40))


@pytest.mark.parametrize("with_onnx", [True, False])
def test_a_model_in_the_hubs_cache_needs_no_network(tiny: Path, tmp_path: Path, with_onnx: bool) -> None:  # noqa: FBT001 - a parameter
    """By name, from the cache, with the repository's own ONNX file or exported from its safetensors."""
    expected = fp32(tiny, tmp_path / "cache")
    if with_onnx:
        (tiny / "onnx").mkdir()
        shutil.copy(expected.files.onnx, tiny / "onnx" / "model.onnx")
        (tiny / "model.safetensors").unlink()
    hub_cache(tmp_path / "home", "owner/tiny", tiny)
    said = run(
        RESOLVE, "owner/tiny", str(tmp_path / "other"), HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1"
    )
    assert said == ["vectors", expected.encode(TEXTS[:2]).tobytes().hex()]
    assert (tmp_path / "other" / "models").exists() is not with_onnx


def test_a_name_without_owner_is_sentence_transformers(tiny: Path, tmp_path: Path) -> None:
    hub_cache(tmp_path / "home", "sentence-transformers/tiny", tiny)
    said = run(RESOLVE, "tiny", str(tmp_path / "cache"), HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    assert said[0] == "vectors"


@pytest.mark.parametrize("offline", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_no_network_and_no_model_is_one_clear_line(tmp_path: Path, offline: dict[str, str]) -> None:
    """Forbidden or unreachable alike: the name, and what to do."""
    said = " ".join(run(RESOLVE, "owner/absent", str(tmp_path), HF_HOME=str(tmp_path / "home"), **offline))
    assert said.startswith("error model 'owner/absent': not on this machine")
    assert "give a folder" in said


def test_half_a_model_in_the_hubs_cache_is_no_model(tiny: Path, tmp_path: Path) -> None:
    """A download that broke off before the weights does not count as there."""
    (tiny / "model.safetensors").unlink()
    hub_cache(tmp_path / "home", "owner/tiny", tiny)
    said = run(RESOLVE, "owner/tiny", str(tmp_path), HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    assert said[0] == "error"


# Broken files


def test_cut_safetensors_are_one_clear_line(tiny: Path, tmp_path: Path) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="is the file whole") as caught:
        resolve_model(str(tiny), precision="fp32", cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_cut_onnx_file_is_one_clear_line(model_cache: Path, tmp_path: Path, keep: float) -> None:  # noqa: F811 - the fixture
    """The real model's file, cut short anywhere."""
    whole = resolve_model(NAME, precision="fp32", cache_dir=model_cache).onnx.read_bytes()
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.onnx").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError, match=r"model\.onnx is broken") as caught:
        fp32(folder, tmp_path).encode(["a text"])
    assert "\n" not in str(caught.value)


def test_a_cut_onnx_file_cannot_be_quantised(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.onnx").write_bytes(b"not onnx")
    with pytest.raises(ModelError, match="quantise") as caught:
        resolve_model(str(tiny), precision="int8", cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_clear_line(tiny: Path, tmp_path: Path) -> None:
    """An export has to go somewhere."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ModelError, match="writable"):
        resolve_model(str(tiny), precision="fp32", cache_dir=tmp_path / "taken")


def test_an_onnx_file_of_another_kind_is_one_clear_line(tiny: Path, tmp_path: Path) -> None:
    """A classifier's ONNX file, with its logits for an output, is no sentence encoder."""
    import onnx  # noqa: PLC0415 - only here
    from onnx import TensorProto, helper  # noqa: PLC0415 - the same

    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["logits"])],
        "other",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(tiny / "model.onnx"),
    )
    onnxruntime.InferenceSession(str(tiny / "model.onnx"))  # sound by itself
    with pytest.raises(ModelError, match="not those of a sentence encoder"):
        fp32(tiny, tmp_path).encode(TEXTS)


CUT_SHORT = """
import os, sys
from pathlib import Path
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model
files = resolve_model(sys.argv[1], precision="fp32", cache_dir=Path(sys.argv[1]) / "cache")
encoder = OnnxEncoder(files)
before = encoder.encode(["goal match goal", "bank money"])
assert len(files.weight_files) == 2
for path in (*files.weight_files, files.tokenizer):
    os.truncate(path, 0)
assert (encoder.encode(["goal match goal", "bank money"]) == before).all()
print("the same")
"""


def test_a_loaded_model_outlives_its_files(tmp_path: Path, model_cache: Path) -> None:  # noqa: F811 - the fixture
    """Weights beside the ONNX file, as large models have them, would be mapped: cut short, they end the process."""
    import onnx  # noqa: PLC0415 - a second, and only for this test

    files = resolve_model(NAME, precision="fp32", cache_dir=model_cache)
    describe_model(tmp_path)
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "onnx").mkdir()
    onnx.save_model(
        onnx.load(str(files.onnx)),
        str(tmp_path / "onnx" / "model.onnx"),
        save_as_external_data=True,
        location="model.onnx_data",
    )
    assert run(CUT_SHORT, str(tmp_path))[:2] == ["the", "same"]
