"""Making ONNX files, once, into the cache: from safetensors, and from fp32 to int8."""

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
from argilla_loop.settings.files import atomic_write, digest_of

log = structlog.get_logger(__name__)

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"


def export_onnx(transformer: Path, *, name: str, cache_dir: Path) -> Path:
    """Export the safetensors weights in ``transformer`` to a fp32 ONNX file in ``cache_dir``, if not yet there.

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
    target = cache_dir / "models" / f"{digest_of(config, *weights)[:24]}-fp32.onnx"
    _make_once(target, name, "export to ONNX", lambda path: _export(transformer, path))
    return target


def quantise(onnx: Path, *, name: str, cache_dir: Path) -> Path:
    """Quantise ``onnx`` to int8 (dynamic, per channel) into ``cache_dir``, if not yet there.

    Raises:
        ModelError: a broken file, or the package ``onnx`` is missing.
    """
    target = cache_dir / "models" / f"{digest_of(onnx)[:24]}-int8.onnx"
    _make_once(target, name, "quantise to int8", lambda path: _quantise(onnx, path))
    return target


def _make_once(target: Path, name: str, what: str, make: Callable[[Path], None]) -> None:
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
        reason = collapse_whitespace(error)[:200]
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
    # It warns that heads which no sentence encoder uses, such as BERT's pooler, are missing.
    transformers_logging.set_verbosity_error()
    try:
        model = AutoModel.from_pretrained(
            str(transformer), local_files_only=True, use_safetensors=True, attn_implementation="eager"
        ).eval()
    finally:
        transformers_logging.set_verbosity(verbosity)
    # Models of BERT's kind know token types; RoBERTa's and DistilBERT's are happier without.
    names = INPUTS if getattr(model.config, "type_vocab_size", 0) > 1 else INPUTS[:2]

    class Hidden(torch.nn.Module):
        """The model with positional inputs and one output, as the tracer wants it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True)), return_dict=True).last_hidden_state

    ids = torch.ones(2, 8, dtype=torch.int64)
    example = {"input_ids": ids, "attention_mask": ids, "token_type_ids": torch.zeros_like(ids)}
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        # The tracer behind dynamo=False is announced as legacy; the new one wants onnxscript.
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
