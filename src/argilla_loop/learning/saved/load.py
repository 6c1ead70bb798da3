"""Run a saved model: ``argilla_loop.load_model(folder).predict(texts)``."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from argilla_loop.domain import FloatArray
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import ModelFiles
from argilla_loop.learning.saved.layout import Description, read_description


class Prediction(NamedTuple):
    """What the model says about one text."""

    label: str  # the most probable one
    certainty: float  # its probability, 0 to 1
    abstains: bool  # whether the certainty is not above the threshold that was granted for the label


class SavedModel:
    """A model that ``argilla-loop save-model`` wrote. It runs on the CPU with onnxruntime and knows no Argilla.

    Args:
        folder: with the model's files.
        threads: batches computed at a time; 0 means one for every core that this process may use.

    Raises:
        ModelError: there is no saved model in ``folder``, or it is broken.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        self.description: Description = read_description(folder)
        self._graph = _WholeGraph(self.description.model_files(folder), threads=threads)
        limits = [self.description.thresholds[label] for label in self.labels]
        self._above = np.array([np.inf if one is None else one for one in limits])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels: the columns of ``predict_proba``."""
        return self.description.labels

    @property
    def version(self) -> str:
        """The model's version."""
        return self.description.version

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return the label of each text, how certain it is, and whether the model abstains.

        Raises:
            TypeError: one bare text was given, or something is not a text.
            ModelError: onnxruntime cannot run the graph.
        """
        columns, certainties = self.predict_columns(texts)
        abstains = self.abstains(columns, certainties)
        return [
            Prediction(self.labels[column], float(certainty), bool(doubt))
            for column, certainty, doubt in zip(columns, certainties, abstains, strict=True)
        ]

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return probabilities, float32 of shape (n, len(labels)), rows summing to 1.

        Raises:
            TypeError, ModelError: as ``predict``.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError("expected several texts, got one; put it in a list")
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {position} is {type(text).__name__}, not str; leave it out")
        return self._graph.encode(texts)

    def predict_columns(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the column of the most probable label of each text, and its probability: int64 and float32, (n,)."""
        probabilities = self.predict_proba(texts)
        columns = probabilities.argmax(axis=1)
        return columns, probabilities[np.arange(len(columns)), columns]

    def abstains(self, columns: np.ndarray, certainties: np.ndarray) -> np.ndarray:
        """Return for which of these predictions the certainty is not above the label's threshold; bool, shape (n,)."""
        # as the service: certainties are rounded before they are compared
        return np.asarray(certainties.astype(np.float64).round(6) <= self._above[columns])


def load_model(folder: str | PathLike[str], *, threads: int = 0) -> SavedModel:
    """Return the model that ``argilla-loop save-model`` wrote into ``folder``.

    Args:
        folder: path of the folder.
        threads: batches computed at a time; 0 means one for every core that this process may use.

    Raises:
        ModelError: there is no saved model in ``folder``, or it is broken.
    """
    return SavedModel(Path(folder), threads=threads)


class _WholeGraph(OnnxEncoder):
    """Runs the graph as the service runs its encoder: the same batches, and probabilities in place of embeddings."""

    output_rank = 2

    def __init__(self, files: ModelFiles, *, threads: int) -> None:
        super().__init__(files, threads=threads)

    def _finished(self, hidden: FloatArray) -> FloatArray:
        return hidden
