"""Supervised contrastive training (Khosla et al. 2020): texts of a label move together, those of others apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from argilla_loop.domain import IndexArray
from argilla_loop.learning.tuning.bert import Weights, pooled
from argilla_loop.learning.tuning.trunk import Trunk


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the top layers are trained.

    Attributes:
        steps: of the optimiser.
        batch: texts of a step.
        rate: of learning, at its highest.
        temperature: of the loss.
        warm_up: share of the steps in which the rate rises; it falls to zero in the others.
        dropout: share of numbers that are dropped.
        keep: how much of the frozen weights is left in the end (Wortsman et al. 2022).
    """

    steps: int = 30
    batch: int = 32
    rate: float = 3e-4
    temperature: float = 0.1
    warm_up: float = 0.1
    dropout: float = 0.1
    keep: float = 0.0


def train(trunk: Trunk, texts: Sequence[str], labels: IndexArray, recipe: Recipe, seed: int) -> Weights:
    """Return the trunk's top layers, trained on labelled texts.

    Args:
        trunk: the encoder.
        texts: n of them.
        labels: class numbers, shape (n,).
        recipe: how.
        seed: of the batches and of what is dropped; the same arguments give the same weights.
    """
    torch.manual_seed(seed)
    states = trunk.states(texts)
    frozen = trunk.bert.top(trunk.top)
    weights = {name: tensor.clone().requires_grad_() for name, tensor in frozen.items()}
    optimiser = torch.optim.AdamW(weights.values(), lr=recipe.rate, weight_decay=0.01)
    batches = _batches(labels, recipe.batch, seed)
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _schedule(step, recipe)
        rows = next(batches)
        padded, mask = _padded([states[row] for row in rows])
        hidden = trunk.bert.upper(padded, mask, weights, trunk.top, dropout=recipe.dropout)
        vectors = pooled(hidden, mask, trunk.pooling)
        loss = contrastive_loss(vectors, torch.from_numpy(labels[rows]), recipe.temperature)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        return {
            name: (recipe.keep * frozen[name] + (1 - recipe.keep) * tensor).detach()
            for name, tensor in weights.items()
        }


def contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the loss of unit ``vectors`` (n, d) with ``labels`` (n,): equation 2 of Khosla et al. (2020)."""
    itself = torch.eye(len(vectors), dtype=torch.bool)
    scores = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    alike = (labels[:, None] == labels[None, :]) & ~itself
    logs = scores.log_softmax(dim=1).masked_fill(~alike, 0.0).sum(dim=1)
    counts = alike.sum(dim=1)
    return -(logs / counts.clamp(min=1))[counts > 0].mean()


def _batches(labels: IndexArray, size: int, seed: int) -> Iterator[list[int]]:
    """Yield batches without end: labels in turn, each label's texts in a new order once all were taken."""
    chance = np.random.default_rng(seed)
    queues: dict[int, list[int]] = {}
    kinds = np.unique(labels).tolist()
    per_label = max(2, size // len(kinds))
    order: list[int] = []
    while True:
        batch: list[int] = []
        while len(batch) < size:
            if not order:
                order = chance.permutation(kinds).tolist()
            kind = order.pop()
            for _ in range(per_label):
                if not queues.get(kind):
                    queues[kind] = chance.permutation(np.flatnonzero(labels == kind)).tolist()
                row = queues[kind].pop()
                if row not in batch:
                    batch.append(row)
            if len(batch) >= len(labels):
                break
        yield batch


def _schedule(step: int, recipe: Recipe) -> float:
    rising = max(1, round(recipe.warm_up * recipe.steps))
    if step < rising:
        return (step + 1) / rising
    return (recipe.steps - step) / max(1, recipe.steps - rising)


def _padded(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return states of texts as one batch (n, t, d), and what in it is no padding (n, t)."""
    longest = max(len(one) for one in states)
    batch = torch.zeros(len(states), longest, states[0].shape[1])
    mask = torch.zeros(len(states), longest)
    for row, one in enumerate(states):
        batch[row, : len(one)] = one
        mask[row, : len(one)] = 1.0
    return batch, mask
