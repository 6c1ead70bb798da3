"""The files of a saved model, and what ``config.json`` says about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders.weights import ModelFiles, Pooling, Precision
from argilla_loop.settings.files import files_digest

FORMAT = "argilla-loop model"
FORMAT_VERSION = 1
GRAPH, TOKENIZER, HEAD, LABELS = "model.onnx", "tokenizer.json", "head.safetensors", "labels.json"
CONFIG, CARD = "config.json", "README.md"
# Weights beside the graph, for a model that is too large for one file.
GRAPH_DATA = f"{GRAPH}_data"


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """The sentence encoder inside the graph."""

    name: str  # of the settings; of a folder only its last part
    fingerprint: str
    pooling: Pooling
    max_length: int  # tokens; longer texts are cut
    precision: Precision
    lower_case: bool


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a saved model.

    Attributes:
        model_version: of the model that was saved.
        head: its name.
        labels: the columns of the output, in order.
        thresholds: label -> certainty above which the service accepted that label; None where it did not.
        encoder: inside the graph.
        argilla_loop: version of the program that wrote it.
        files: SHA-256 by name.
    """

    model_version: str
    head: str
    labels: tuple[str, ...]
    thresholds: Mapping[str, float | None]
    encoder: EncoderInfo
    argilla_loop: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The version of its predictions: ``saved-`` and what follows the head in the version of the saved model."""
        return f"saved-{self.model_version.rpartition('-')[2]}"

    def model_files(self, folder: Path) -> ModelFiles:
        """Return what runs the graph in ``folder``."""
        one = self.encoder
        return ModelFiles(
            name=str(folder),
            onnx=folder / GRAPH,
            tokenizer=folder / TOKENIZER,
            max_length=one.max_length,
            pooling=one.pooling,
            precision=one.precision,
            lower_case=False,  # the tokenizer that was saved does it
        )


def config_json(description: Description) -> str:
    """Return the content of ``config.json``; the labels have a file of their own."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(description)}
    del content["labels"]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def is_saved_model(folder: Path) -> bool:
    """Return whether ``folder`` holds what ``save-model`` wrote, whole or not."""
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def read_description(folder: Path) -> Description:
    """Read what a folder says about its model, and check that its files are those that were written.

    Raises:
        ModelError: there is no saved model in ``folder``, or it is broken; in one line.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        labels = json.loads((folder / LABELS).read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise ModelError(
                f"{folder} holds no model that `argilla-loop save-model` wrote; give another folder"
            )
        if config["format_version"] != FORMAT_VERSION:
            raise ModelError(
                f"{folder} was written by argilla-loop {config['argilla_loop']} in another format; "
                "save the model again with this version"
            )
        description = _description(config, labels)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} holds no saved model ({Path(str(error.filename)).name} is missing); "
            "give a folder that `argilla-loop save-model` wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder}: {CONFIG} or {LABELS} cannot be read ({type(error).__name__}); save the model again"
        ) from error
    for name, expected in description.files.items():
        try:
            digest = files_digest(folder / name)
        except OSError:
            raise ModelError(f"{folder}: {name} is missing; copy the whole folder again") from None
        if digest != expected:
            raise ModelError(f"{folder}: {name} is not the file that was saved; copy the whole folder again")
    return description


def _description(config: Mapping[str, Any], labels: Any) -> Description:
    encoder = EncoderInfo(**config["encoder"])
    thresholds = {
        str(label): None if one is None else float(one) for label, one in config["thresholds"].items()
    }
    files = {str(name): str(digest) for name, digest in config["files"].items()}
    right = (
        isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
        and set(labels) == set(thresholds)
        and encoder.pooling in get_args(Pooling)
        and encoder.precision in get_args(Precision)
        and {GRAPH, TOKENIZER, HEAD, LABELS} <= set(files)
        and all(Path(name).name == name for name in files)
    )
    if not right:
        raise ValueError
    return Description(
        model_version=str(config["model_version"]),
        head=str(config["head"]),
        labels=tuple(labels),
        thresholds=thresholds,
        encoder=encoder,
        argilla_loop=str(config["argilla_loop"]),
        files=files,
    )
