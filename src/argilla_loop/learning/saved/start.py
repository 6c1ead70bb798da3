"""A saved model as the first model of another dataset: it suggests until there are examples for one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from argilla_loop.domain import Encoder, FloatArray, HeadEvidence
from argilla_loop.errors import ModelError
from argilla_loop.learning.saved.arrays import head_of
from argilla_loop.learning.saved.layout import HEAD, read_description


class StartModel:
    """The head of a saved model on the service's own embeddings; implements ``domain.Model``.

    Args:
        folder: with the model's files.
        encoder: of the service; must be the one that the head was fitted on.

    Raises:
        ModelError: there is no saved model in ``folder``, it is broken, or it is another encoder's.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        description = read_description(folder)
        theirs = description.encoder
        if theirs.fingerprint != encoder.fingerprint:
            raise ModelError(
                f"start_from {folder} was trained on the model {theirs.name!r} ({theirs.precision}, fingerprint "
                f"{theirs.fingerprint[:12]}), and the settings have another one (fingerprint "
                f"{encoder.fingerprint[:12]}): set model and precision to its own, or leave start_from out"
            )
        try:
            arrays = load_file(folder / HEAD)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder}: {HEAD} cannot be read; copy the whole folder again") from error
        self._head = head_of(description.head, arrays)
        self._encoder = encoder
        self.labels, self.version, self.head = description.labels, description.version, "saved"
        self.evidence: tuple[
            HeadEvidence, ...
        ] = ()  # what was found on another dataset says nothing about this one

    def check_labels(self, labels: Sequence[str]) -> None:
        """Refuse a model that would suggest what nobody can answer.

        Args:
            labels: of the dataset. It may have more labels than the model: people find the texts of those.

        Raises:
            ModelError: the model has a label that is not among ``labels``.
        """
        if unknown := [label for label in self.labels if label not in set(labels)]:
            raise ModelError(
                f"start_from: the saved model knows labels that this dataset does not have ({', '.join(unknown)}): "
                "give the dataset the same labels, or leave start_from out"
            )

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return probabilities, float32 of shape (n, len(labels)), rows summing to 1."""
        return np.asarray(self._head.predict_proba(self._encoder.encode(texts)), dtype=np.float32)

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return probabilities of embeddings (n, d)."""
        return self._head.score(vectors)
