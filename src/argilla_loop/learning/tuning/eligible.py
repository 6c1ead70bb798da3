"""Whether an encoder can be tuned on this machine: looked up without importing torch."""

from __future__ import annotations

import importlib.util
import json

from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders.weights import locate_model

# The only kind of transformer that ``tuning.bert`` computes.
FAMILY = "bert"


def why_not_tunable(model: str) -> str | None:
    """Return why the encoder ``model`` cannot be tuned here, and what would help; ``None`` if it can."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed: pip install torch"
    try:
        _, transformer = locate_model(model)
        family = json.loads((transformer / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ModelError, OSError, ValueError, AttributeError) as error:
        return f"the configuration of {model!r} cannot be read ({error})"
    if not any(transformer.glob("*.safetensors")):
        return f"{model!r} has no *.safetensors here, and ONNX weights cannot be tuned: give a folder that has them"
    if family != FAMILY:
        return f"only BERT encoders can be tuned, and {model!r} is {family}"
    return None
