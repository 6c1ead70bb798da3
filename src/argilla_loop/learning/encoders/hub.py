"""Models by name from the Hugging Face hub; a model in its local cache is preferred."""

from __future__ import annotations

from pathlib import Path

import structlog

from argilla_loop.errors import ModelError

log = structlog.get_logger(__name__)

CONFIGS = ["*.json", "1_Pooling/*.json", "*_Transformer/*.json"]
ONNX = ["onnx/model.onnx", "onnx/model.onnx_data"]
# Not *.bin: those are pickles, which run code when they are loaded.
SAFETENSORS = ["*.safetensors", "*_Transformer/*.safetensors"]


def hub_folder(repository: str, *, hint: str | None = None) -> Path:
    """Return the folder of ``repository``, from the hub's local cache or downloaded.

    Only what an encoder needs is fetched: configuration, tokenizer, and the ONNX file, or else safetensors.
    A model that is complete in the cache is used without asking the network.

    Args:
        repository: ``owner/name``.
        hint: an installable package with the same weights, named in the error.

    Raises:
        ModelError: neither cached nor available from the hub.
    """
    # The import takes half a second, which only models by name spend.
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415 - the same

    try:
        # no commit is pinned here: the setting model_fingerprint pins the files themselves
        cached = Path(snapshot_download(repository, local_files_only=True))
        if _is_complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise ModelError(
            f"model {repository!r}: neither a folder nor a possible hub name; give one"
        ) from None

    log.info("model_download_started", model=repository)
    try:
        folder = Path(snapshot_download(repository, allow_patterns=CONFIGS + ONNX))
        if not any((folder / name).is_file() for name in ONNX):
            folder = Path(snapshot_download(repository, allow_patterns=CONFIGS + SAFETENSORS))
    except OSError as error:  # the hub's errors and requests' are all OSErrors
        package = f", install the package {hint.replace('_', '-')}" if hint else ""
        raise ModelError(
            f"model {repository!r}: not on this machine and not available from the hub "
            f"({type(error).__name__}); give a folder{package}, or connect to the hub once"
        ) from error
    if not _is_complete(folder):
        raise ModelError(
            f"model {repository!r}: the hub has no ONNX or safetensors sentence-transformers model of that name "
            "(pickled weights are never loaded); choose another"
        )
    return folder


def _is_complete(folder: Path) -> bool:
    """Return whether an encoder can be built from ``folder``."""
    has_weights = (folder / ONNX[0]).is_file() or any(
        match for pattern in SAFETENSORS for match in folder.glob(pattern)
    )
    has_tokenizer = any(folder.glob("tokenizer.json")) or any(folder.glob("*_Transformer/tokenizer.json"))
    return (folder / "modules.json").is_file() and has_weights and has_tokenizer
