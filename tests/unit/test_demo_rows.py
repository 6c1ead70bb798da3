"""The demo's table, summary and curve."""

from __future__ import annotations

import importlib.util
import struct
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from argilla_loop.cli.demo import refuse_without_extra
from argilla_loop.cli.demo.curve import draw_curve, wilson
from argilla_loop.cli.demo.rows import Row, header, line, summarise
from argilla_loop.cli.demo.show import Display
from argilla_loop.errors import FatalError

COLD = Row(
    batch=0, human=0, model=0, asked=25, accepted=0, accepted_right=0, accuracy=None, seconds={"choose": 2.0}
)
WARM = Row(
    batch=1, human=25, model=8, asked=2, accepted=8, accepted_right=6, accuracy=0.8,
    seconds={"train": 0.1, "score": 0.2, "log": 0.05}, answered=2, agreed=1, reaction=0.9,
)  # fmt: skip


def test_a_line_has_a_value_or_a_dash_under_each_title() -> None:
    assert header().split("  ")[0].strip() == "batch"
    assert line(WARM).split() == [
        *["1", "25", "8", "2", "8", "50%", "75%", "80.0%", "0.10", "0.20", "0.05", "0.90"]
    ]
    assert line(COLD).split() == [*["0", "0", "0", "25", "0", "-", "-", "-", "-", "2.00", "-", "-"]]
    assert len(line(WARM)) == len(line(COLD)) == len(header())


def test_the_summary_adds_up_over_all_batches() -> None:
    later = Row(
        batch=2, human=27, model=18, asked=0, accepted=10, accepted_right=10, accuracy=0.9, reaction=1.1
    )
    seen = dict(summarise([COLD, WARM, later], human=27, accuracy=0.95, held_back=40).rows())
    assert seen["loops"] == "3"
    assert seen["held-back accuracy"] == "95.0% on 40 texts (first model: 80.0%)"
    assert seen["labels by people"] == "27"
    assert seen["labels by the service"] == "18 (40%)"
    assert seen["agreement with suggestions"] == "50% (1 of 2)"
    assert seen["precision of accepted"] == "89% (16 of 18)"
    assert seen["median reaction"] == "1.00 s"


def test_a_summary_before_any_model_shows_dashes() -> None:
    seen = dict(summarise([COLD], human=25, accuracy=None, held_back=40).rows())
    assert seen["held-back accuracy"] == seen["precision of accepted"] == seen["median reaction"] == "-"


def test_the_interval_is_wilsons() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, and 0 of 20 gives 0 to 0.1611."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_curve_is_a_picture_even_of_one_point(tmp_path: Path) -> None:
    draw_curve(tmp_path / "one.png", [(25, 1.0)], held_back=40, topics=5)
    content = (tmp_path / "one.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (880, 550)


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def without(name: str, *args: Any) -> Any:
        return None if name == "matplotlib" else real(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(FatalError, match=r"the demo needs matplotlib: pip install 'argilla-loop\[demo\]'"):
        refuse_without_extra()


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_every_title_and_value_in_full(width: int) -> None:
    said = StringIO()
    console = Console(file=said, width=width, height=30, force_terminal=True, color_system=None)
    with Display(console) as display:
        display.opened(COLD)
        display.finished(COLD)
        display.opened(WARM)
        display.finished(WARM)
    shown = said.getvalue()
    assert "batch 0: 25 texts wait for answers\n" in shown
    assert "…" not in shown
    assert ["batch", "human", "model", "asked", "accepted"] in [row.split()[:5] for row in shown.splitlines()]
    last = [row.split() for row in shown.splitlines() if row.split()[:3] == ["1", "25", "8"]][-1]
    assert last[:8] == ["1", "25", "8", "2", "8", "50%", "75%", "80.0%"]
    assert last[8:] == (["0.35", "0.90"] if width == 80 else ["0.10", "0.20", "0.05", "0.90"])
