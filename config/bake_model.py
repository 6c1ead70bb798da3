"""Save a sentence-embedding model as a self-contained folder: ``bake_model.py NAME FOLDER`` creates ``FOLDER/NAME``.

The image build runs this script. The service then finds the model by its name, without hub, package or conversion.
"""  # noqa: INP001  a script of the image build, not part of a package

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from argilla_loop.learning.encoders.weights import resolve_model

WEIGHTS = ("*.safetensors", "*.bin", "*.h5", "*.onnx", "onnx", "openvino")


def bake(name: str, folder: Path) -> Path:
    """Copy the model's configuration and its fp32 ONNX file (exported if there is none) to ``folder/name``.

    Raises:
        ModelError: If the model cannot be found or converted.
    """
    target = folder / name
    with tempfile.TemporaryDirectory() as cache:
        files = resolve_model(name, precision="fp32", cache_dir=Path(cache))
        source = next(f for f in files.tokenizer.parents if (f / "modules.json").is_file())
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*WEIGHTS))
        (target / "onnx").mkdir()
        for file in files.weight_files:
            shutil.copyfile(file, target / "onnx" / file.name.replace(files.onnx.stem, "model", 1))
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{bake(sys.argv[1], Path(sys.argv[2]))}\n")
