"""Fixtures that every test may ask for."""

from __future__ import annotations

from distribution import pytest_collection_finish, pytest_collection_modifyitems
from embedded_server import argilla_server, connection, fresh_name
from hypothesis import HealthCheck, settings
from models import model_cache
from preloaded import cold_processes, preloaded_processes

__all__ = [
    "argilla_server",
    "cold_processes",
    "connection",
    "fresh_name",
    "model_cache",
    "preloaded_processes",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
]

# no test asserts how long anything takes, hypothesis' 200 ms an example included: a busy machine is no failure
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
