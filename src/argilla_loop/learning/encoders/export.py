"""Convert models, once, into the cache: safetensors to ONNX, and fp32 to int8."""

from __future__ import annotations

import errno
import importlib.util
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from argilla_loop.errors import ModelError, collapse_whitespace
from argilla_loop.settings.files import atomic_write, files_digest

log = structlog.get_logger(__name__)

# The version of ONNX's operators to export. Chosen, not measured.
OPSET = 17
# Hexadecimal digits of a digest in a file's name: 96 bits. Chosen, not measured.
DIGEST_DIGITS = 24
# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 200
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"


def export_onnx(transformer: Path, *, name: str, cache_dir: Path) -> Path:
    """Export the safetensors weights in ``transformer`` to an fp32 ONNX file in ``cache_dir``, unless it exists.

    Takes about ten seconds, most of them importing torch. Pickled weights (``*.bin``) are never loaded.

    Raises:
        ModelError: no safetensors, a broken file, or the package ``onnx`` is missing.
    """
    weights = sorted(transformer.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            f"model {name!r}: neither onnx/model.onnx nor *.safetensors in {transformer} "
            "(pickled weights are never loaded); save it as safetensors"
        )
    config = transformer / "config.json"
    if not config.is_file():
        raise ModelError(f"model {name!r}: {config} is missing; is this a sentence-transformers model?")
    target = cache_dir / "models" / f"{files_digest(config, *weights)[:DIGEST_DIGITS]}-fp32.onnx"
    _convert_once(target, name, "export to ONNX", lambda path: _export(transformer, path))
    return target


def quantise(onnx: Path, *, name: str, cache_dir: Path) -> Path:
    """Quantise ``onnx`` to int8 (dynamic, per channel) into ``cache_dir``, unless it exists.

    Raises:
        ModelError: a broken file, or the package ``onnx`` is missing.
    """
    target = cache_dir / "models" / f"{files_digest(onnx)[:DIGEST_DIGITS]}-int8.onnx"
    _convert_once(target, name, "quantise to int8", lambda path: _quantise(onnx, path))
    return target


def _convert_once(target: Path, name: str, what: str, make: Callable[[Path], None]) -> None:
    if target.is_file():
        return
    if importlib.util.find_spec("onnx") is None:
        raise ModelError(
            f"model {name!r}: to {what} needs the package onnx; pip install onnx, or give a model with onnx/model.onnx"
        )
    log.info("model_conversion_started", model=name, what=what)
    try:
        with atomic_write(target) as temporary:
            make(temporary)
    except ModelError:
        raise
    except Exception as error:  # torch, transformers, onnx and protobuf each raise their own kinds
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"model {name!r}: cannot {what}: no space left in {target.parent}; free some, or set another cache_dir"
            ) from error
        reason = collapse_whitespace(error)[:MAX_REASON]
        raise ModelError(
            f"model {name!r}: cannot {what} ({type(error).__name__}: {reason}); "
            f"is the file whole, and {target.parent} writable?"
        ) from error


def _export(transformer: Path, target: Path) -> None:
    """Trace the model with torch; cosine to torch's own output is 1.000000 for all-MiniLM-L6-v2."""
    import torch  # noqa: PLC0415 - seconds and hundreds of megabytes, needed once
    from transformers import AutoModel  # noqa: PLC0415 - the same
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - the same

    verbosity = transformers_logging.get_verbosity()
    # It warns about missing heads that no sentence encoder uses, such as BERT's pooler.
    transformers_logging.set_verbosity_error()
    try:
        model = AutoModel.from_pretrained(
            str(transformer), local_files_only=True, use_safetensors=True, attn_implementation="eager"
        ).eval()
    finally:
        transformers_logging.set_verbosity(verbosity)
    # Models like BERT take token types; models like RoBERTa and DistilBERT do not.
    names = INPUTS if getattr(model.config, "type_vocab_size", 0) > 1 else INPUTS[:2]

    class Hidden(torch.nn.Module):
        """The model with positional inputs and one output, as the tracer needs it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True)), return_dict=True).last_hidden_state

    ids = torch.ones(2, 8, dtype=torch.int64)
    example = {"input_ids": ids, "attention_mask": ids, "token_type_ids": torch.zeros_like(ids)}
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        # Torch warns that the tracer behind dynamo=False is legacy; the new one needs the package onnxscript.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Hidden(),
            tuple(example[name] for name in names),
            str(target),
            input_names=list(names),
            output_names=[OUTPUT],
            dynamic_axes=dict.fromkeys((*names, OUTPUT), axes),
            opset_version=OPSET,
            dynamo=False,
        )


def _quantise(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - needs onnx, an extra

    root = logging.getLogger()

    def without_advice(record: logging.LogRecord) -> bool:
        # The quantiser recommends pre-processing through the root logger; for transformers it changes nothing.
        return "pre-processing before quantization" not in record.getMessage()

    root.addFilter(without_advice)
    try:
        quantize_dynamic(str(source), str(target), per_channel=True, weight_type=QuantType.QInt8)
    finally:
        root.removeFilter(without_advice)
