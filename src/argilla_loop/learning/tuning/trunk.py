"""The frozen lower layers of an encoder: what they make of a text is computed once, and then kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from argilla_loop.domain import FloatArray
from argilla_loop.learning.encoders.batches import plan_batches
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.tuning.bert import Bert, Weights, pooled


class Trunk:
    """A BERT model and the hidden states of texts below its top layers.

    Args:
        bert: the model.
        encoder: the same model as the service runs it, for tokens and pooling.
        top: number of top layers, which are tuned.
        max_tokens: tokens of a text that are used.
    """

    def __init__(self, bert: Bert, encoder: OnnxEncoder, *, top: int, max_tokens: int) -> None:
        self.bert, self.top, self.pooling = bert, top, encoder.files.pooling
        self._encoder, self._max_tokens = encoder, max_tokens
        self._states: dict[str, Tensor] = {}

    def states(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the hidden states (t, d) of each text, in half precision."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._states]
        tokens = [ids[: self._max_tokens] for ids in self._encoder.tokens(missing)]
        with torch.inference_mode():
            for rows in plan_batches([len(ids) for ids in tokens], "fp32"):
                ids = torch.tensor([tokens[row] for row in rows], dtype=torch.int64)
                for row, states in zip(rows, self.bert.lower(ids, self.top), strict=True):
                    self._states[missing[row]] = states.half()
        return [self._states[text] for text in texts]

    def vectors(self, texts: Sequence[str], weights: Weights) -> FloatArray:
        """Return the embeddings (n, d) of ``texts`` with top layers of these ``weights``."""
        states = self.states(texts)
        found: dict[int, Tensor] = {}
        with torch.inference_mode():
            for rows in plan_batches([len(one) for one in states], "fp32"):
                batch = torch.stack([states[row] for row in rows]).float()
                hidden = self.bert.upper(batch, None, weights, self.top)
                found |= zip(rows, pooled(hidden, None, self.pooling), strict=True)
        return np.stack([found[row].numpy() for row in range(len(texts))])


class TopEncoder:
    """The encoder that a trunk and top layers make together; implements ``domain.Encoder``.

    Args:
        trunk: the lower layers.
        weights: of the top layers.
        fingerprint: what is said to name it.
    """

    def __init__(self, trunk: Trunk, weights: Weights, fingerprint: str) -> None:
        self._trunk, self._weights, self.fingerprint = trunk, weights, fingerprint

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:  # noqa: ARG002 - the protocol's
        """Return the embeddings of ``texts``, shape (n, d)."""
        return self._trunk.vectors(texts, self._weights)
