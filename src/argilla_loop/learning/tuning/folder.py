"""A tuned encoder as a folder of a sentence-transformers model, with its ONNX file: just another encoder."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from argilla_loop.learning.encoders.export import export_onnx
from argilla_loop.learning.tuning.bert import Bert, Weights

WEIGHTS = "model.safetensors"
# What a sentence-transformers model consists of, but for its weights.
COPIED = (".json", ".txt")


def write_folder(base: Path, transformer: Path, bert: Bert, top: Weights, folder: Path) -> None:
    """Write the model in ``base``, with other top layers, into ``folder``.

    Args:
        base: folder of the frozen encoder.
        transformer: the folder in it that has the weights.
        bert: the frozen encoder.
        top: weights of its top layers.
        folder: made; must not exist.

    Raises:
        ModelError: it cannot be exported to ONNX.
        OSError: the disk takes nothing.
    """
    for source in sorted(base.rglob("*")):
        if source.suffix in COPIED and source.is_file():
            target = folder / source.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    inner = folder / transformer.relative_to(base)
    inner.mkdir(parents=True, exist_ok=True)
    weights: dict[str, Tensor] = {**bert.weights, **top}
    save_file(
        {f"{bert.prefix}{name}": tensor.contiguous() for name, tensor in weights.items()},
        inner / WEIGHTS,
        metadata={"format": "pt"},
    )
    work = folder / "work"
    exported = export_onnx(inner, name=str(base), cache_dir=work)
    (folder / "onnx").mkdir()
    exported.rename(folder / "onnx" / "model.onnx")
    shutil.rmtree(work)
