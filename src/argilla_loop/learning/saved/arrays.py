"""A head as named arrays for a safetensors file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from argilla_loop.errors import ModelError
from argilla_loop.learning.heads.head import Head
from argilla_loop.learning.heads.margins import PairwiseMargins

SavedHead = Head | PairwiseMargins
SVM = "svm."


def arrays_of(head: SavedHead) -> dict[str, Any]:
    """Return the arrays of ``head``, each C-contiguous, by name."""
    if isinstance(head, PairwiseMargins):
        arrays = {
            f"{SVM}support": head.support,
            f"{SVM}counts": head.counts,
            f"{SVM}dual": head.dual,
            f"{SVM}intercepts": head.intercepts,
            f"{SVM}scale": np.array([head.scale]),
        }
        if head.gamma is not None:
            arrays[f"{SVM}gamma"] = np.array([head.gamma])
    else:
        arrays = {f"coefficients.{n}": one for n, one in enumerate(head.coefficients)}
        arrays |= {"scales": np.array(head.scales, dtype=np.float64), "scale": np.array([head.scale])}
        if head.offsets is not None:
            arrays["offsets"] = head.offsets
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def head_of(name: str, arrays: Mapping[str, Any]) -> SavedHead:
    """Return the head that ``arrays_of`` gave these arrays of.

    Raises:
        ModelError: an array is missing, or has another shape than the others allow.
    """
    try:
        head = _margins(arrays) if f"{SVM}support" in arrays else _linear(name, arrays)
        (width,) = {len(one) for one in _inputs(head)}
        head.predict_proba(np.zeros((1, width), dtype=np.float32))
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(
            f"the arrays of the head do not go together ({type(error).__name__}); save the model again"
        ) from error
    return head


def _margins(arrays: Mapping[str, Any]) -> PairwiseMargins:
    gamma = arrays.get(f"{SVM}gamma")
    return PairwiseMargins(
        support=arrays[f"{SVM}support"],
        counts=arrays[f"{SVM}counts"],
        dual=arrays[f"{SVM}dual"],
        intercepts=arrays[f"{SVM}intercepts"],
        scale=float(arrays[f"{SVM}scale"][0]),
        gamma=None if gamma is None else float(gamma[0]),
    )


def _linear(name: str, arrays: Mapping[str, Any]) -> Head:
    scales = tuple(float(one) for one in arrays["scales"])
    return Head(
        name=name,
        coefficients=tuple(arrays[f"coefficients.{n}"] for n in range(len(scales))),
        scales=scales,
        scale=float(arrays["scale"][0]),
        offsets=arrays.get("offsets"),
    )


def _inputs(head: SavedHead) -> list[Any]:
    """Return what has a row for each dimension of the embeddings."""
    if isinstance(head, PairwiseMargins):
        return [head.support.T]
    return [one[:-1] for one in head.coefficients]
