"""argilla-loop: an active-learning service for Argilla.

``load_model`` runs a model that ``argilla-loop save-model`` wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argilla_loop.learning.saved.load import load_model

__version__ = "0.1.0"
__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> object:
    """Import ``load_model`` when it is first used: most of what imports this package needs none of its libraries."""
    if name != "load_model":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from argilla_loop.learning.saved.load import load_model  # noqa: PLC0415 - see above

    return load_model
