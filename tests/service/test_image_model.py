"""The image's build lays a model so that its name alone finds it, with nothing to convert or download."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from models import tiny_model

from argilla_loop.learning.learner import build_learner

SCRIPT = Path(__file__).parents[2] / "config" / "bake_model.py"
NAME = "somebody/tiny"
TEXTS = ["a text", "another one, which is longer"]


def test_a_baked_model_is_found_by_name_from_its_folder_and_is_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(tmp_path / "hub" / NAME)
    monkeypatch.chdir(tmp_path / "hub")
    before = build_learner(NAME, "fp32", tmp_path / "cache", 1).encoder.encode(TEXTS)
    runpy.run_path(str(SCRIPT))["bake"](NAME, tmp_path / "models")

    monkeypatch.chdir(tmp_path / "models")
    after = build_learner(NAME, "fp32", tmp_path / "fresh", 1).encoder.encode(TEXTS)
    np.testing.assert_array_equal(before, after)
    assert not list((tmp_path / "fresh").rglob("*.onnx"))
    assert [file.name for file in (tmp_path / "models" / NAME).rglob("*.onnx")] == ["model.onnx"]
    assert not list((tmp_path / "models").rglob("*.safetensors"))
