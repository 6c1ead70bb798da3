"""docs/pool.md says what is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from argilla_loop.pool.files import FORMATS
from argilla_loop.pool.layout import Problem
from argilla_loop.settings import PoolSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOC = (Path(__file__).parents[2] / "docs" / "pool.md").read_text(encoding="utf-8")


def test_every_example_is_a_valid_setting_and_every_source_has_one() -> None:
    examples = [tomllib.loads(block)["pool"] for block in re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)]
    assert {PoolSettings.model_validate(example).source for example in examples} == {
        "hub",
        "files",
        "argilla",
    }


def test_every_format_and_reason_is_named() -> None:
    for suffix in FORMATS:
        assert f"`{suffix}`" in DOC
    for problem in Problem:
        assert problem is Problem.NONE or f"`{problem.name.lower()}`" in DOC
