"""Plain torch computes what the service's encoder computes, and tuning depends on its arguments only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import tiny_model  # noqa: E402 - after torch is known to be there

from argilla_loop.errors import ModelError, TrainingError  # noqa: E402 - the same
from argilla_loop.learning.encoders.encoder import OnnxEncoder  # noqa: E402 - the same
from argilla_loop.learning.encoders.weights import locate_model, resolve_model  # noqa: E402 - the same
from argilla_loop.learning.tuning.bert import Bert  # noqa: E402 - the same
from argilla_loop.learning.tuning.contrast import Recipe, contrastive_loss, train  # noqa: E402 - the same
from argilla_loop.learning.tuning.eligible import why_not_tunable  # noqa: E402 - the same
from argilla_loop.learning.tuning.folder import write_folder  # noqa: E402 - the same
from argilla_loop.learning.tuning.request import Request  # noqa: E402 - the same
from argilla_loop.learning.tuning.trunk import Trunk  # noqa: E402 - the same
from argilla_loop.learning.tuning.tune import labelled  # noqa: E402 - the same

TEXTS = ["goal match goal", "match", "bank money", "money bank money bank", "film actor", "actor film film"]
LABELS = np.array([0, 0, 1, 1, 2, 2], dtype=np.int64)
RECIPE = Recipe(steps=4, batch=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    cache = tmp_path_factory.mktemp("cache")
    return OnnxEncoder(resolve_model(str(model), precision="fp32", cache_dir=cache), threads=1)


def trunk_of(model: Path, encoder: OnnxEncoder) -> Trunk:
    return Trunk(Bert.read(model), encoder, top=1, max_tokens=16)


def test_the_frozen_trunk_embeds_as_the_service_does(model: Path, encoder: OnnxEncoder) -> None:
    trunk = trunk_of(model, encoder)
    found = trunk.vectors(TEXTS, trunk.bert.top(1))
    np.testing.assert_allclose(found, encoder.encode(TEXTS), atol=2e-3)  # states are kept in half precision


def test_the_same_arguments_give_the_same_weights(model: Path, encoder: OnnxEncoder) -> None:
    first = train(trunk_of(model, encoder), TEXTS, LABELS, RECIPE, seed=1)
    again = train(trunk_of(model, encoder), TEXTS, LABELS, RECIPE, seed=1)
    other = train(trunk_of(model, encoder), TEXTS, LABELS, RECIPE, seed=2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    frozen = Bert.read(model).top(1)
    assert any(not torch.equal(first[name], frozen[name]) for name in first)


def test_the_loss_falls_as_labels_part() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    mixed = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]]), dim=1)
    parted = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), dim=1)
    assert contrastive_loss(parted, labels, 0.1) < contrastive_loss(mixed, labels, 0.1)
    alone = contrastive_loss(parted, torch.tensor([0, 0, 1, 2]), 0.1)
    assert bool(torch.isfinite(alone))  # a text without company says nothing


def test_a_tuned_encoder_is_just_another_encoder(model: Path, encoder: OnnxEncoder, tmp_path: Path) -> None:
    """A folder that sentence-transformers would read, with an ONNX file, its own fingerprint, and the tuned vectors."""
    trunk = trunk_of(model, encoder)
    weights = train(trunk, TEXTS, LABELS, RECIPE, seed=1)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        write_folder(*locate_model(str(model)), trunk.bert, weights, folder)
    tuned, same = (
        OnnxEncoder(resolve_model(str(folder), precision="fp32", cache_dir=tmp_path / "cache"))
        for folder in folders
    )
    assert tuned.fingerprint == same.fingerprint != encoder.fingerprint
    np.testing.assert_allclose(tuned.encode(TEXTS), trunk.vectors(TEXTS, weights), atol=2e-3)
    assert Bert.read(folders[0]).weights.keys() == trunk.bert.weights.keys()
    assert not list(tmp_path.rglob("*.bin"))


def test_what_cannot_be_tuned_is_said(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_tunable(str(model)) is None
    assert "cannot be read" in str(why_not_tunable(str(tmp_path / "nowhere")))
    other = tiny_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "mpnet"}))
    assert "only BERT" in str(why_not_tunable(str(other)))
    with pytest.raises(ModelError, match="only BERT"):
        Bert.read(other)
    (other / "model.safetensors").unlink()
    assert "no *.safetensors" in str(why_not_tunable(str(other)))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "torch is not installed" in str(why_not_tunable(str(model)))


def test_a_trial_uses_each_text_once_and_no_label_without_company() -> None:
    examples = [
        ("1", "goal", "sport"), ("2", "match", "sport"), ("3", "match", "sport"),
        ("4", "bank", "money"), ("5", "coin", "money"), ("6", "both", "sport"), ("7", "both", "money"),
        ("8", "alone", "film"), ("9", " ", "sport"),
    ]  # fmt: skip
    request = Request("model", "fp32", "cache", "folder", 1, "auto", examples)
    data = labelled(Request.from_json(request.to_json()))
    assert sorted(one.text for one in data.examples) == ["bank", "coin", "goal", "match"]
    assert data.names == ("money", "sport")
    assert labelled(Request("m", "fp32", "c", "f", 1, "auto", examples[::-1])).examples == data.examples
    with pytest.raises(TrainingError):
        labelled(Request("m", "fp32", "c", "f", 1, "auto", examples[:3]))
