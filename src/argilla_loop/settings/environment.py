"""Settings in environment variables: which variables are settings, which look like one, and which hold secrets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import SecretStr

from argilla_loop.settings.model import ENV_PREFIX, Settings, table_of

CONFIG_ENV = "ARGILLA_LOOP_CONFIG"  # the path of the TOML file; the command line reads it
NEAR = 0.8  # similarity from which a variable's name counts as a misspelt setting. Chosen, not measured.


def secrets_of_environment() -> list[str]:
    """Return the API key and headers in the environment, so that the log can hide them before settings are loaded."""
    found = []
    for variable, value in os.environ.items():
        name = variable.upper()
        if name == f"{ENV_PREFIX}API_KEY" or name.startswith(f"{ENV_PREFIX}HEADERS"):
            found.append(value)
            try:
                headers = json.loads(value) if name == f"{ENV_PREFIX}HEADERS" else {}
            except (ValueError, RecursionError):  # invalid JSON, which is hidden as a whole
                continue
            if isinstance(headers, dict):
                found += [header for header in headers.values() if isinstance(header, str)]
    return [value for value in found if value.strip()]


def unknown_variables() -> dict[str, str | None]:
    """Return the environment variables that look like settings but are not, each with the likely intended variable.

    They are not an error: Kubernetes sets ``ARGILLA_LOOP_SERVICE_HOST`` and others for a Service named argilla-loop.
    """
    known = {
        name: f"{ENV_PREFIX}{name}".upper()
        for name in [
            *Settings.model_fields,
            *(f"{table}__{name}" for table, names in _tables().items() for name in names),
        ]
    }
    unknown = {}
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX) and not _is_known(variable):
            name = variable[len(ENV_PREFIX) :].lower()
            close = get_close_matches(name, known, n=1, cutoff=NEAR)
            unknown[variable] = known[close[0]] if close else None
    return unknown


def _tables() -> dict[str, set[str]]:
    return {
        name: set(table.model_fields)
        for name in Settings.model_fields
        if (table := table_of(name)) is not None
    }


def _is_known(variable: str) -> bool:
    if variable.upper() == CONFIG_ENV:
        return True
    head, _, tail = variable[len(ENV_PREFIX) :].lower().partition("__")
    return head == "headers" or (
        head in Settings.model_fields and (not tail or tail in _tables().get(head, ()))
    )


def known_variables(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Return those of ``variables`` that are settings, with the API key wrapped.

    pydantic-settings would reject an unknown variable of a table.
    """
    known: dict[str, Any] = {
        name: value
        for name, value in variables.items()
        if name.upper().startswith(ENV_PREFIX) and _is_known(name)
    }
    for name, value in known.items():
        if name.upper() == f"{ENV_PREFIX}API_KEY":
            known[name] = SecretStr(value)
    return known
