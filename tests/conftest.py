"""Fixtures that every test may ask for."""

from __future__ import annotations

from models import model_cache

from embedded_server import argilla_server, fresh_name

__all__ = ["argilla_server", "fresh_name", "model_cache"]
