"""``argilla-loop report``: reads Argilla and the pool once, and writes the page."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from argilla_loop.errors import FatalError, OutputError, SettingsError
from argilla_loop.policy.explanation import explain
from argilla_loop.policy.report.figures import report_of
from argilla_loop.service.doubts import doubts
from argilla_loop.service.observers.evidence import latest_outlook
from argilla_loop.service.results.report.about import about
from argilla_loop.service.results.report.page import Section, render
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.settings import Settings
from argilla_loop.settings.files import atomic_write

MOST_PAIRS = 12  # of labels in the table of doubtful answers; chosen, not measured


def refuse_existing(target: Path, *, force: bool) -> None:
    """Check that the report may be written to ``target``, before anything is read.

    Raises:
        SettingsError: it is a folder, or it exists and is not to be replaced.
    """
    if target.is_dir():
        raise SettingsError(f"{target} is a folder: name a file, such as {target / 'report.html'}")
    if target.exists() and not force:
        raise SettingsError(f"{target} exists: name another file, or replace it with --force")


def write_report(settings: Settings, target: Path, out: Console) -> None:
    """Write the report, whole or not at all.

    Args:
        settings: of the service.
        target: the file; it is replaced if it exists.
        out: where progress and outcome are printed.

    Raises:
        SchemaError: there is no working dataset yet, or the service cannot work on it.
        OutputError: the file cannot be written.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    out.print("reading the dataset and the pool")
    with snapshot(settings) as now:
        plan = now.plan
        figures = report_of(plan, Counter(example.label for example in now.pool.examples()))
        models = [model for batch in figures.seen.batches for model in batch.models]
        page = render(
            figures,
            explain(plan, latest_outlook(settings, plan.seen)),
            about(
                settings,
                dataset=now.info.name,
                server_version=now.backend.server_version,
                models=models,
                made=datetime.now(timezone.utc),
            ),
            doubtful_answers(now),
        )
    try:
        with atomic_write(target) as unfinished:
            unfinished.write_text(page, encoding="utf-8", errors="replace")  # lone surrogates in a label
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}: name a file in a folder that you may write to"
        ) from error
    out.print(f"report: {escape(str(target))}")


def doubtful_answers(now: Snapshot) -> list[Section]:
    """Return the section about answers that ``suspects`` lists: by pair of labels, without texts; none without a model.

    Raises:
        RetryableError: Argilla is away.
    """
    try:
        found, compared = doubts(now)
    except FatalError:  # too few answers to judge any
        return []
    pairs = Counter((one.label, one.suggested) for one in found)
    sentence = (
        f"A model that has not seen them contradicts {len(found):,} of {compared:,} answers of people. It may be the "
        "model that is wrong: `argilla-loop suspects` lists them, most doubtful first, with a link to each."
    )
    sentences = [sentence]
    if len(pairs) > MOST_PAIRS:
        sentences.append(f"The table has the {MOST_PAIRS} most frequent of {len(pairs):,} pairs.")
    rows = [(said, other, f"{count:,}") for (said, other), count in pairs.most_common(MOST_PAIRS)]
    return [
        Section(
            "Doubtful answers",
            sentences,
            "Answers that a model contradicts, by pair of labels",
            ("people said", "the model says", "answers"),
            rows,
        )
    ]
