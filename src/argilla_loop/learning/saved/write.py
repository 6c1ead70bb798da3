"""Write a model's folder: all of it or nothing, the same bytes for the same model."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers

from argilla_loop.errors import FatalError, ModelError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import ModelFiles
from argilla_loop.learning.heads.head import Head
from argilla_loop.learning.heads.svm import PairwiseSvc
from argilla_loop.learning.saved.arrays import arrays_of
from argilla_loop.learning.saved.card import Facts, model_card
from argilla_loop.learning.saved.graph import whole_graph
from argilla_loop.learning.saved.layout import (
    CARD,
    CONFIG,
    GRAPH,
    GRAPH_DATA,
    HEAD,
    LABELS,
    TOKENIZER,
    Description,
    EncoderInfo,
    config_json,
    is_saved_model,
)
from argilla_loop.settings.files import files_digest, replace_folder

# Names of a padding token, in the order in which they are looked for in a tokenizer without padding.
PADDING = ("[PAD]", "<pad>")


def describe(
    encoder: OnnxEncoder,
    *,
    model_version: str,
    head: str,
    labels: tuple[str, ...],
    thresholds: Mapping[str, float],
    argilla_loop: str,
) -> Description:
    """Return the description of a model on ``encoder``; its files are not known yet."""
    files = encoder.files
    # of a folder only its last part: where it lies on this machine is nobody's business
    path = Path(files.name).expanduser()
    name = path.name if path.is_dir() else files.name
    return Description(
        model_version=model_version,
        head=head,
        labels=labels,
        thresholds={label: thresholds.get(label) for label in labels},
        encoder=EncoderInfo(
            name=name,
            fingerprint=encoder.fingerprint,
            pooling=files.pooling,
            max_length=files.max_length,
            precision=files.precision,
            lower_case=files.lower_case,
        ),
        argilla_loop=argilla_loop,
    )


def refuse_folder(folder: Path, *, force: bool) -> None:
    """Check that ``folder`` may be written.

    Args:
        folder: where the model is to go; may be missing or empty.
        force: whether a saved model in it may be replaced.

    Raises:
        FatalError: there is something in it that would be lost.
    """
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
    except OSError as error:
        raise FatalError(f"{folder} cannot be read ({error.strerror}); give another folder") from error
    if not is_saved_model(folder):
        raise FatalError(
            f"{folder} exists and is no saved model, so it is not overwritten: give another folder"
        )
    if not force:
        raise FatalError(
            f"{folder} holds a saved model already: add --force to replace it, or give another folder"
        )


def write_model(
    folder: Path,
    head: Head | PairwiseSvc,
    encoder: OnnxEncoder,
    description: Description,
    facts: Facts,
    *,
    force: bool = False,
) -> Description:
    """Write a model into ``folder``, which appears when it is complete.

    Args:
        folder: made if missing.
        head: of the model.
        encoder: that it was fitted on.
        description: of the model, see ``describe``.
        facts: for the card.
        force: whether a saved model in ``folder`` may be replaced.

    Returns:
        The description, with the digests of the files.

    Raises:
        FatalError: ``folder`` is not empty, or cannot be written.
        ModelError: the encoder's ONNX file cannot be extended, or the head cannot be expressed.
    """
    refuse_folder(folder, force=force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            description = _write_files(unfinished, head, encoder.files, description, facts)
            unfinished.chmod(0o777 & ~_umask())
            replace_folder(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "choose a folder that you can write to"
        raise FatalError(f"{folder} cannot be written ({error.strerror}): {advice}") from error
    return description


def _write_files(
    folder: Path, head: Head | PairwiseSvc, files: ModelFiles, description: Description, facts: Facts
) -> Description:
    try:
        fitted = head.margins() if isinstance(head, PairwiseSvc) else head
    except ValueError as error:
        raise ModelError(f"the model cannot be saved: {error}; set another head") from error
    graph = whole_graph(files, fitted, len(description.labels))
    names = [GRAPH, HEAD, LABELS, TOKENIZER]
    if len(files.weight_files) > 1:
        names.append(GRAPH_DATA)
        onnx.save_model(graph, str(folder / GRAPH), save_as_external_data=True, location=GRAPH_DATA)
    else:
        (folder / GRAPH).write_bytes(graph.SerializeToString(deterministic=True))
    save_file(arrays_of(fitted), folder / HEAD)
    _write(folder / LABELS, json.dumps(list(description.labels), indent=1, ensure_ascii=False) + "\n")
    _write(folder / TOKENIZER, _tokenizer(files).to_str(pretty=True))
    description = replace(description, files={name: files_digest(folder / name) for name in sorted(names)})
    _write(folder / CONFIG, config_json(description))
    _write(folder / CARD, model_card(description, facts))
    for path in folder.iterdir():
        path.chmod(0o666 & ~_umask())
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return description


def _tokenizer(files: ModelFiles) -> Any:
    """Return the encoder's tokenizer, with all that the service does beside it: lower case, truncation, padding."""
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    if files.lower_case:
        before = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])
    padding = tokenizer.padding or {}
    token = padding.get("pad_token") or next(
        (one for one in PADDING if tokenizer.token_to_id(one) is not None), PADDING[0]
    )
    # graphs such as RoBERTa's find the positions of tokens by this id
    number = padding.get("pad_id", tokenizer.token_to_id(token) or 0)
    tokenizer.enable_padding(pad_id=number, pad_token=token)
    tokenizer.enable_truncation(files.max_length)
    return tokenizer


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
