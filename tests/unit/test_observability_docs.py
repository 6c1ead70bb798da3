"""The catalogue of metrics, the docs made from it, and the dashboard and alert rules that use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from argilla_loop.observability import metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "observability.md"
DASHBOARD = json.loads((ROOT / "config" / "grafana-dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "config" / "prometheus-alerts.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
OF_PROMETHEUS = {"up"}  # that Prometheus makes itself


def served() -> set[str]:
    """Every name of a series that ``/metrics`` can have, those that have labels but no value yet too."""
    text, _ = metrics.exposition()
    names = set(re.findall(r"^# TYPE (\S+) ", text.decode(), flags=re.MULTILINE))
    histograms = {name for name, kind, _, _ in metrics.catalogue() if kind == "histogram"}
    return names | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def selectors(node: Any) -> Iterator[Any]:
    """All series that a parsed query reads."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    children = ("expr", "lhs", "rhs", "param", "vector_selector")
    found = [getattr(node, name, None) for name in children] + list(getattr(node, "args", []))
    for child in found:
        if child is not None and not isinstance(child, (str, float, int)):
            yield from selectors(child)


def query(expression: str) -> list[Any]:
    found = list(selectors(promql_parser.parse(expression)))
    assert found, f"{expression} reads nothing"
    return found


@pytest.mark.parametrize("expression", PANELS.values(), ids=PANELS.keys())
def test_every_metric_of_the_dashboard_exists(expression: str) -> None:
    assert {one.name for one in query(expression)} <= served()


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_metric_of_an_alert_exists_and_it_says_what_to_do(rule: dict[str, Any]) -> None:
    assert {one.name for one in query(rule["expr"])} <= served() | OF_PROMETHEUS
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["description"]) > 40


@pytest.mark.parametrize(
    "expression", [*PANELS.values(), *(rule["expr"] for rule in ALERTS)], ids=lambda e: e[:40]
)
def test_labels_and_values_that_are_asked_for_exist(expression: str) -> None:
    """An alert on an outcome that nobody counts would never fire."""
    by_name = {name: (labels, meaning) for name, _, labels, meaning in metrics.catalogue()}
    for one in query(expression):
        base = re.sub(r"_(bucket|sum|count)$", "", one.name)
        labels, meaning = by_name.get(one.name) or by_name.get(base) or ((), "")
        for matcher in one.matchers.matchers:
            if matcher.name in ("job", "instance", "workspace", "dataset"):
                continue
            assert matcher.name in labels
            assert matcher.value in meaning or one.name.startswith("argilla_loop_webhook")


@pytest.mark.parametrize("expression", PANELS.values(), ids=PANELS.keys())
def test_a_panel_shows_the_dataset_that_was_selected(expression: str) -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    for one in query(expression):
        asked = {matcher.name: matcher.value for matcher in one.matchers.matchers}
        assert {name: f"${name}" for name in ("workspace", "dataset", "instance")}.items() <= asked.items()
        assert set(asked) & {"workspace", "dataset", "instance"} <= variables


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_no_alert_hides_a_service_behind_another(rule: dict[str, Any]) -> None:
    """What it sums up, it sums up for one dataset."""
    for grouping in re.findall(r"\b(?:by|without) \((.*?)\)", rule["expr"]):
        assert grouping == "workspace, dataset"
    assert re.search(r"\$labels\.(instance|dataset)", rule["annotations"]["summary"])


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_docs_have_the_catalogue() -> None:
    """Made by ``python -m argilla_loop.observability.metrics``."""
    (shown,) = re.findall(
        r"<!-- metrics -->\n(.*?)\n<!-- /metrics -->", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert shown == metrics.metrics_table()


def test_no_metric_is_by_text_record_or_person() -> None:
    labels = {label for _, _, labels, _ in metrics.catalogue() for label in labels}
    assert labels == {
        "cause",
        "verdict",
        "outcome",
        "phase",
        "label",
        "origin",
        "route",
        "state",
        "figure",
        "by",
    }
