"""docs/trust.md, docs/trust-settings.md and docs/trust-why.md say what is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from argilla_loop.argilla.v2.schema import METADATA
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.betting import follow
from argilla_loop.policy.validation.bound import lower_bound
from argilla_loop.policy.validation.promise import AuditResult, decide, decide_by_label, decide_for_dataset
from argilla_loop.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOC = "\n".join(
    (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")
    for name in ("trust.md", "trust-settings.md", "trust-why.md")
)


def rows(*, columns: int) -> list[list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOC.splitlines() if line[:1] == "|"]
    return [row for row in cells if len(row) == columns and not row[0].startswith("-")]


def check(*, right: bool) -> AuditResult:
    return AuditResult("A", 0.95, right, above=0.9)


def granted(rules: Rules, checks: list[AuditResult], labels: int = 1) -> bool:
    assert rules.criterion is not None
    if labels == 1:
        return decide(checks, rules.criterion).threshold is not None
    names = ["A", *(f"L{n}" for n in range(1, labels))]
    return decide_by_label(checks, rules.criterion, names, "label")["A"].threshold is not None


def needed(rules: Rules, wrong: int, labels: int = 1) -> int:
    """The fewest checks with which something is granted, the wrong ones first."""
    low, high = wrong, 5000
    while high - low > 1:
        middle = (low + high) // 2
        checks = [check(right=False)] * wrong + [check(right=True)] * (middle - wrong)
        low, high = (low, middle) if granted(rules, checks, labels) else (middle, high)
    return high


def test_all_metadata_is_told_and_who_sees_it() -> None:
    told = {name.strip("`"): sees == "yes" for name, _, sees in rows(columns=3) if re.match(r"`\w", name)}
    assert told == {name: visible for name, (_, visible) in METADATA.items()}


def test_every_example_is_a_valid_setting() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        Settings.model_validate({"api_key": "k", "pool": {"path": ["x.csv"]}, **tomllib.loads(block)})


def test_every_default_that_is_told_is_one() -> None:
    for name, value in re.findall(r"`(\w+)` \((\d+)(?: %)?\)", DOC):
        default = Settings.model_fields[name].default
        assert float(value) in (default, default * 100), name


@pytest.mark.parametrize("row", [row for row in rows(columns=5) if row[0].startswith("0")])
def test_checks_cost_what_the_table_says(row: list[str]) -> None:
    target, *told = row
    rules = Rules(target_precision=float(target))
    assert [needed(rules, wrong) for wrong in range(4)] == [int(one) for one in told]


def test_each_of_five_labels_costs_what_is_told() -> None:
    found = re.search(r"(\d+) of \1 right for 0.95 and five labels if it is the only one", DOC)
    assert found is not None
    assert needed(Rules(target_precision=0.95, promise="label"), 0, labels=5) == int(found[1])


def test_clean_checks_cost_what_the_first_page_tells() -> None:
    told = re.search(r"until (\d+) checks in a row are right", DOC)
    assert told is not None
    assert needed(Rules(target_precision=0.95), 0) == int(told[1])


def test_the_dataset_promise_allows_what_is_told() -> None:
    told = re.search(
        r"with (\d+) labels by people, (\d+) right checks allow (\d+) accepted labels, "
        r"and with (\d+) wrong of (\d+)\s+checks (\d+)",
        DOC,
    )
    assert told is not None
    labelled, right, room, wrong, checked, other = map(int, told.groups())
    rules = Rules(target_precision=0.95)
    assert rules.criterion is not None
    for checks, allowed in (
        ([check(right=True)] * right, room),
        ([check(right=n >= wrong) for n in range(checked)], other),
    ):
        assert decide_for_dataset(checks, rules.criterion, labelled, {}).room == allowed


def test_a_fall_is_noticed_as_late_as_is_told() -> None:
    told = re.findall(r"after (\d+)(?: right checks)?\s+it takes (\d+)", DOC)
    assert len(told) == 2
    for right, wrong in told:
        rules, good = Rules(target_precision=0.95), [check(right=True)] * int(right)
        assert granted(rules, good + [check(right=False)] * (int(wrong) - 1))
        assert not granted(rules, good + [check(right=False)] * int(wrong))


def test_half_of_the_falls_are_seen_within_the_checks_that_are_told() -> None:
    found = re.search(
        r"to 90 % right were seen within (\d+) checks, to 80 % within (\d+), and to 50 % within (\d+)", DOC
    )
    assert found is not None
    generator = np.random.default_rng(3)
    for share, told in zip((0.9, 0.8, 0.5), map(int, found.groups()), strict=True):
        seen = 0
        for _ in range(200):
            before, after = generator.random(100) < 0.995, generator.random(told) < share
            course = [True] * 74 + before.tolist() + after.tolist()
            seen += follow(course, 0.95, 0.05, fall_at=20).stopped
        assert 70 <= seen <= 130, share  # half of 200, within four standard deviations


def test_one_look_costs_what_is_told() -> None:
    for wrong, number in enumerate(map(int, re.findall(r"take (\d+), (\d+) and (\d+) for 0.95", DOC)[0])):
        assert (
            lower_bound(number - wrong, number, 0.05)
            >= 0.95
            > lower_bound(number - wrong - 1, number - 1, 0.05)
        )
