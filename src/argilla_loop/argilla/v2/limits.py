"""What Argilla accepts as the labels of a question."""

from __future__ import annotations

from collections.abc import Sequence

from argilla_loop.errors import SettingsError

# Argilla's limits for a label question; the first is its default (ARGILLA_LABEL_SELECTION_OPTIONS_MAX_ITEMS).
MAX_LABELS = 500
MAX_LABEL_LENGTH = 200


def refuse_labels(labels: Sequence[str]) -> None:
    """Check that a dataset can be created with these labels, before anything is created.

    Raises:
        SettingsError: there are too few or too many, or one is too long for Argilla.
    """
    if len(labels) < 2:  # noqa: PLR2004  a choice needs two
        raise SettingsError(
            "no labels are known: set labels, or pool.label_column, so that the dataset can be created"
        )
    if len(labels) > MAX_LABELS:
        raise SettingsError(
            f"there are {len(labels)} labels, and Argilla takes at most {MAX_LABELS}: set fewer labels, or "
            "pool.label_column to the column that holds the labels"
        )
    if long := [label for label in labels if len(label) > MAX_LABEL_LENGTH]:
        raise SettingsError(
            f"label {long[0][:50]!r}… has {len(long[0])} characters, and Argilla takes at most {MAX_LABEL_LENGTH}: "
            "shorten it in labels, or in the pool's label column"
        )
