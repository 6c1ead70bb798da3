"""The tables of ``stopping.md``."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby

from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.estimate.outlook import advise_stop
from shared.machine import commit, versions
from stop.play import BUDGET, POOL, Moment

INTRODUCTION = f"""# When to stop

Written by `benchmarks/stopping.py`. Each run takes {POOL:,} texts of a set at random and plays the loop with its
default rules: a simulated annotator gives right answers, at most {BUDGET}. After every turn the estimates are compared
with the truth, which the loop does not know.

"""
STOP = """## The advice

*answers*: of people (audits and held-back ones included) when "you can stop" first appears, median and range over the
runs that saw it. *accepted*: texts that the service has accepted by then; *finish labels*: the others. *right*: share
of all labels that are right if you stop then and the model labels the rest, median and lowest.

| set | runs | said within {budget} answers | answers | accepted | `finish` labels | right | lowest |
|---|--:|--:|--:|--:|--:|--:|--:|
"""
COVER = """
## The estimates

Over all turns of all runs: how often the 95% interval holds the truth, the mean error (estimate minus truth) in points,
and the mean width of the interval at 100 to 200 answers.

| set | turns | model: interval holds | error | width | all labels: interval holds | error | width |
|---|--:|--:|--:|--:|--:|--:|--:|
"""
FORECAST = """
## The forecast

How often the number of answers at which 97% of all labels were right lay within the forecast's interval; "many" counts
as held if it took more than {budget} answers.

| set | forecasts | held |
|---|--:|--:|
"""


def report(moments: Sequence[Moment]) -> str:
    """Return the page."""
    by_set = {
        name: list(found)
        for name, found in groupby(sorted(moments, key=lambda one: one.data), key=lambda one: one.data)
    }
    lines = [INTRODUCTION, STOP.format(budget=BUDGET)]
    lines += [_stop(name, found) + "\n" for name, found in by_set.items()]
    lines.append(COVER)
    lines += [_cover(name, found) + "\n" for name, found in by_set.items()]
    lines.append(FORECAST.format(budget=BUDGET))
    lines += [_forecast(name, found) + "\n" for name, found in by_set.items()]
    lines.append(f"\n{versions(('numpy', 'scikit-learn', 'onnxruntime'))}; commit {commit()}\n")
    return "".join(lines)


def _runs(found: Iterable[Moment]) -> list[list[Moment]]:
    ordered = sorted(found, key=lambda one: (one.seed, one.answers))
    return [list(run) for _, run in groupby(ordered, key=lambda one: one.seed)]


def _stop(name: str, found: Sequence[Moment]) -> str:
    runs = _runs(found)
    stops = [first for run in runs if (first := _first_stop(run)) is not None]
    if not stops:
        return f"| {name} | {len(runs)} | 0 | | | | |"
    answers, right = [one.answers for one in stops], [one.labels_true for one in stops]
    rest = [POOL - one.answers - one.accepted for one in stops]
    return (
        f"| {name} | {len(runs)} | {len(stops)} | {statistics.median(answers):.0f} ({min(answers)}-{max(answers)}) "
        f"| {statistics.median(one.accepted for one in stops):.0f} | {statistics.median(rest):.0f} "
        f"| {statistics.median(right):.1%} | {min(right):.1%} |"
    )


def _first_stop(run: Sequence[Moment]) -> Moment | None:
    """Return the moment at which stopping is advised first, by the rule as it is now."""
    agreement: list[float] = []
    for one in run:
        agreement += [one.agreement] if one.agreement >= 0 else []
        labels = Estimate(one.labels, one.labels_low, one.labels_high, 0)
        if advise_stop(labels, agreement, left=POOL - one.answers - one.accepted):
            return one
    return None


def _cover(name: str, found: Sequence[Moment]) -> str:
    middle = [one for one in found if 100 <= one.answers <= 200] or found
    model = statistics.mean(one.model_low <= one.model_true <= one.model_high for one in found)
    labels = statistics.mean(one.labels_low <= one.labels_true <= one.labels_high for one in found)
    error = 100 * statistics.mean(one.model - one.model_true for one in found)
    return (
        f"| {name} | {len(found)} | {model:.0%} | {error:+.1f} "
        f"| {100 * statistics.mean(one.model_high - one.model_low for one in middle):.1f} "
        f"| {labels:.0%} | {100 * statistics.mean(one.labels - one.labels_true for one in found):+.1f} "
        f"| {100 * statistics.mean(one.labels_high - one.labels_low for one in middle):.1f} |"
    )


def _forecast(name: str, found: Sequence[Moment]) -> str:
    held, total = 0, 0
    for run in _runs(found):
        reached = next((one.answers for one in run if one.labels_true >= 0.97), None)
        for one in run:
            if not one.forecast:
                continue
            total += 1
            if reached is None:
                held += one.forecast_high == -1 or one.answers + one.forecast_high > BUDGET
            else:
                further = max(reached - one.answers, 0)
                held += one.forecast_low <= further and (
                    one.forecast_high == -1 or further <= one.forecast_high
                )
    return f"| {name} | {total} | {held / total:.0%} |" if total else f"| {name} | 0 | |"
