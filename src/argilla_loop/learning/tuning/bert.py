"""A BERT sentence encoder in plain torch: read from safetensors, its top layers apart from what lies below them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from argilla_loop.errors import ModelError

Weights = Mapping[str, Tensor]

# The families of models that differ from BERT in nothing that is computed here.
FAMILIES = ("bert",)
ACTIVATIONS = ("gelu",)
# Added to the attention's scores where a batch is padded.
MASKED = -1e9


@dataclass(frozen=True, slots=True)
class Bert:
    """The weights and the shape of a BERT model.

    Attributes:
        weights: all of them, by their names in the file, without a prefix.
        prefix: what the file puts before each name.
        layers: number of layers.
        heads: attention heads in each.
        epsilon: of the layer norms.
    """

    weights: dict[str, Tensor]
    prefix: str
    layers: int
    heads: int
    epsilon: float

    @classmethod
    def read(cls, folder: Path) -> Bert:
        """Read the model in ``folder``.

        Raises:
            ModelError: it is not BERT, or has no safetensors.
        """
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            files = sorted(folder.glob("*.safetensors"))
            stored = {name: tensor for file in files for name, tensor in load_file(file).items()}
        except (OSError, ValueError) as error:
            raise ModelError(f"the encoder in {folder} cannot be read: {error}") from error
        family, activation = config.get("model_type"), config.get("hidden_act")
        positions = config.get("position_embedding_type", "absolute")
        if family not in FAMILIES or activation not in ACTIVATIONS or positions != "absolute":
            raise ModelError(
                f"only BERT encoders can be tuned, and that in {folder} is {family} ({activation})"
            )
        if not stored:
            raise ModelError(f"there are no *.safetensors in {folder}, and only these can be tuned")
        marks = [name for name in stored if name.endswith("embeddings.word_embeddings.weight")]
        if len(marks) != 1:
            raise ModelError(f"the weights in {folder} are not those of one BERT encoder")
        prefix = marks[0].removesuffix("embeddings.word_embeddings.weight")
        weights = {
            name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in stored.items()
        }
        return cls(
            weights,
            prefix,
            int(config["num_hidden_layers"]),
            int(config["num_attention_heads"]),
            float(config.get("layer_norm_eps", 1e-12)),
        )

    def top(self, count: int) -> dict[str, Tensor]:
        """Return copies of the weights of the ``count`` topmost layers."""
        prefixes = tuple(f"encoder.layer.{n}." for n in range(self.layers - count, self.layers))
        return {name: tensor.clone() for name, tensor in self.weights.items() if name.startswith(prefixes)}

    def lower(self, ids: Tensor, count: int) -> Tensor:
        """Return the hidden states below the ``count`` topmost layers, for token ids (n, t) without padding."""
        weights = self.weights
        states = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._norm(states, weights, "embeddings.LayerNorm")
        return self.run(states, None, weights, range(self.layers - count))

    def upper(
        self, states: Tensor, mask: Tensor | None, weights: Weights, count: int, *, dropout: float = 0.0
    ) -> Tensor:
        """Return what the ``count`` topmost layers, with ``weights``, make of hidden states."""
        return self.run(states, mask, weights, range(self.layers - count, self.layers), dropout=dropout)

    def run(
        self, states: Tensor, mask: Tensor | None, weights: Weights, layers: range, *, dropout: float = 0.0
    ) -> Tensor:
        """Apply layers to ``states`` (n, t, d).

        Args:
            states: hidden states.
            mask: 1 for a token and 0 for padding, shape (n, t); ``None`` where nothing is padded.
            weights: of these layers at least.
            layers: their numbers.
            dropout: share of numbers that are dropped, in training.
        """
        bias = None if mask is None else (1.0 - mask[:, None, None, :]) * MASKED
        for number in layers:
            name = f"encoder.layer.{number}"
            attended = self._attend(states, bias, weights, f"{name}.attention.self", dropout)
            attended = _dense(attended, weights, f"{name}.attention.output.dense")
            attended = functional.dropout(attended, dropout)
            states = self._norm(states + attended, weights, f"{name}.attention.output.LayerNorm")
            inner = functional.gelu(_dense(states, weights, f"{name}.intermediate.dense"))
            inner = functional.dropout(_dense(inner, weights, f"{name}.output.dense"), dropout)
            states = self._norm(states + inner, weights, f"{name}.output.LayerNorm")
        return states

    def _attend(
        self, states: Tensor, bias: Tensor | None, weights: Weights, name: str, dropout: float
    ) -> Tensor:
        n, tokens, width = states.shape
        query, key, value = (
            _dense(states, weights, f"{name}.{part}").view(n, tokens, self.heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return mixed.transpose(1, 2).reshape(n, tokens, width)

    def _norm(self, states: Tensor, weights: Weights, name: str) -> Tensor:
        shape = (states.shape[-1],)
        return functional.layer_norm(
            states, shape, weights[f"{name}.weight"], weights[f"{name}.bias"], self.epsilon
        )


def pooled(states: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    """Return unit vectors (n, d) of the last hidden states (n, t, d), as ``OnnxEncoder`` makes them."""
    if pooling == "cls":
        vectors = states[:, 0]
    elif mask is None:
        vectors = states.mean(dim=1)
    else:
        vectors = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return functional.normalize(vectors, dim=-1)


def _dense(states: Tensor, weights: Weights, name: str) -> Tensor:
    return functional.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])
