"""What a method gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from few_labels.data import Texts


@dataclass(frozen=True, slots=True)
class Fitted:
    """A method after training.

    Attributes:
        score: from texts to the columns' labels and probabilities of shape (n, labels).
        vote: from texts to labels, where its ``predict`` may differ from its most probable label.
        head: the head that ours chose.
    """

    score: Callable[[Texts], tuple[Texts, NDArray[np.float64]]]
    vote: Callable[[Texts], Texts] | None = None
    head: str = ""
