"""Run the service and an annotator, and collect the rows and the learning curve."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from argilla_loop.argilla.protocol import Backend, WorkingDataset
from argilla_loop.argilla.query import in_batch
from argilla_loop.cli.demo.annotator import SimulatedAnnotator
from argilla_loop.cli.demo.curve import draw_curve
from argilla_loop.cli.demo.rows import Row, summarise
from argilla_loop.cli.demo.show import Display, summary_table
from argilla_loop.cli.demo.texts import Corpus
from argilla_loop.cli.service_thread import ServiceThread
from argilla_loop.domain import Model, Route
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.answers import AnswerRule, adjudicate, count_labelled
from argilla_loop.policy.plan import Finished
from argilla_loop.policy.progress import progress
from argilla_loop.service.wiring import dataset_of, existing_dataset
from argilla_loop.settings import Settings

WAIT_SECONDS = 0.2  # for a turn at a time, so that Ctrl-C is handled


class Session:
    """One run: a row for each batch, and a point of the learning curve for each model.

    Args:
        settings: settings of the service.
        corpus: source of the gold labels and the held-back texts, which the service does not see.
        backend: to read the answers of a batch from Argilla.
        annotator: the simulated annotator; ``None`` if a person labels in the browser.
        display: shows the rows.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        *,
        backend: Backend,
        annotator: SimulatedAnnotator | None,
        display: Display,
    ) -> None:
        self._settings, self._corpus, self._annotator = settings, corpus, annotator
        self._backend, self._display = backend, display
        self._gold = corpus.gold
        self._service = ServiceThread(settings)
        self._dataset: WorkingDataset | None = None
        self._rows: list[Row] = []  # batches that are done
        self._open: Row | None = None  # the current batch
        self._points: list[tuple[int, float]] = []
        self._human = self._accepted = 0

    def run(self, *, loops: int | None) -> None:
        """Start service and annotator, and return when ``loops`` batches are done or the pool is exhausted.

        Raises:
            FatalError: the service or the annotator failed.
        """
        if self._annotator is not None:
            self._annotator.start()
        self._service.start()
        is_page_known = False
        while loops is None or len(self._rows) < loops:
            turn = self._next_turn()
            if not is_page_known and self._service.page_url is not None:
                self._display.say(f"see how it goes at {self._service.page_url}")
                is_page_known = True
            self._process(turn)
            if isinstance(turn.step, Finished):
                self._display.say("the pool is exhausted: every text is labelled")
                return

    def stay_up(self) -> None:
        """Keep running until an error or Ctrl-C."""
        while True:
            self._next_turn()

    def stop(self) -> None:
        """Stop annotator and service."""
        if self._annotator is not None:
            self._annotator.stop()
        self._service.stop()

    def conclude(self, console: Console, folder: Path) -> None:
        """Print the summary and plot the curve of the finished batches."""
        if self._annotator is not None:
            self._annotator.stop()
        if not self._rows:
            return
        accuracy = self._points[-1][1] if self._points else None
        held_back = len(self._corpus.held_back)
        console.print(
            summary_table(summarise(self._rows, human=self._human, accuracy=accuracy, held_back=held_back))
        )
        if self._points:
            curve = folder / "learning-curve.png"
            draw_curve(curve, self._points, held_back=held_back, topics=len(self._corpus.labels))
            console.print(Text(f"learning curve: {curve}"), soft_wrap=True)

    def _next_turn(self) -> Turn:
        while True:
            if self._annotator is not None and self._annotator.error is not None:
                raise self._annotator.error
            if (turn := self._service.next_turn(WAIT_SECONDS)) is not None:
                return turn

    def _process(self, turn: Turn) -> None:
        """Finish the row of the previous batch and start the row of the new one."""
        if not turn.records and not isinstance(turn.step, Finished):
            return
        self._human = count_labelled(turn.seen.records)
        accuracy = self._measure(turn.model) if turn.model is not None else None
        if accuracy is not None:
            self._points.append((self._human, accuracy))
        if self._open is not None:
            self._close(self._open)
            self._open = None
        if turn.records:
            self._open = self._row(turn, accuracy)
            self._display.opened(self._open)

    def _row(self, turn: Turn, accuracy: float | None) -> Row:
        accepted = [record for record in turn.records if record.route is Route.ACCEPT]
        self._accepted += len(accepted)
        return Row(
            batch=turn.records[0].batch,
            human=self._human,
            model=self._accepted,
            asked=len(turn.records) - len(accepted),
            accepted=len(accepted),
            accepted_right=sum(record.label == self._gold[record.id] for record in accepted),
            accuracy=accuracy,
            seconds=dict(turn.seconds),
        )

    def _close(self, row: Row) -> None:
        """Read the answers to the batch from Argilla and show its row."""
        dataset = self._dataset = self._dataset or dataset_of(
            self._settings, self._backend, existing_dataset(self._settings, self._backend)
        )
        records = dataset.search(in_batch(row.batch))
        rule = AnswerRule(dataset.service_user_id, min_submitted=dataset.info.min_submitted)
        (batch,) = progress([adjudicate(record, rule) for record in records]).batches
        row.answered, row.agreed = batch.answered, batch.agreed
        if self._annotator is not None:
            row.reaction = self._annotator.reactions.get(row.batch)
        self._rows.append(row)
        self._display.finished(row)

    def _measure(self, model: Model) -> float:
        held_back = self._corpus.held_back
        columns = model.predict_proba([one.text for one in held_back]).argmax(axis=1)
        right: int = sum(model.labels[c] == one.topic for c, one in zip(columns, held_back, strict=True))
        return right / len(held_back)
