"""argilla-loop: an active-learning service for Argilla."""

__version__ = "0.1.0"
