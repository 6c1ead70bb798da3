"""The page at ``/``: how the labelling goes. It shows figures only, no text and no person, and it changes nothing.

It is computed when somebody asks for it and something has changed, by the decision of the loop itself, with the words
and the plots of the report.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from argilla_loop import __version__
from argilla_loop.loop.decision import View
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.explanation import explain
from argilla_loop.policy.observation import Observation
from argilla_loop.policy.report.figures import report_of
from argilla_loop.service.results.report import page as report_page

FOLDER = Path(__file__).parent
MOST_TURNS = 12  # that are listed; chosen, not measured
PHASES = ("observe", "embed", "train", "choose", "log")  # of ``Turn.seconds``


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A turn that logged something.

    Attributes:
        at: time of day at which it ended, on this machine.
        batch: number of the batch that it logged.
        asked: records for people.
        accepted: records that the service accepted.
        seconds: by phase.
    """

    at: str
    batch: int
    asked: int
    accepted: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class State:
    """The state of the service.

    Attributes:
        status: what it does, in one line.
        note: what an operator should know besides the figures; empty if there is nothing.
        is_working: whether its figures are those of now: it runs, and reaches Argilla.
    """

    status: str
    note: str
    is_working: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent.

    Attributes:
        body: HTML in UTF-8.
        tag: differs between two pages with different bodies.
        policy: content security policy.
    """

    body: bytes
    tag: str
    policy: str


class LivePage:
    """Called after every turn; makes the page from what the loop last read.

    Args:
        dataset: the name that the page shows.
        latest: returns the outlook of the model that scored the latest batch, while no turn of this process has one.
        encoder: returns what is to be said of the encoder; empty for nothing.
    """

    def __init__(
        self,
        dataset: str,
        latest: Callable[[Observation], Outlook | None] = lambda _: None,
        encoder: Callable[[], str] = str,
    ) -> None:
        self._dataset, self._latest, self._encoder = dataset, latest, encoder
        self._view: Callable[[], View | None] = lambda: None
        self._outlook: Outlook | None = None
        self._turns: deque[PastTurn] = deque(maxlen=MOST_TURNS)
        self._lock = threading.Lock()
        self._made: tuple[object, Page] | None = None
        self._templates = report_page.environment(FOLDER, report_page.FOLDER)
        style, script = ((folder / name).read_text(encoding="utf-8") for folder, name in SOURCES)
        self._policy = (
            f"default-src 'none'; style-src {report_page.digest(style)}; script-src {report_page.digest(script)}; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def __call__(self, turn: Turn) -> None:
        """Keep what ``turn`` says of the model and, if it logged records, what it did."""
        self._outlook = turn.outlook or self._outlook
        if turn.records:
            accepted = sum(record.route.value == "accept" for record in turn.records)
            self._turns.appendleft(
                PastTurn(
                    datetime.now().astimezone().strftime("%H:%M:%S"),
                    turn.seen.next_number,
                    len(turn.records) - accepted,
                    accepted,
                    turn.seconds,
                )
            )

    def follow(self, view: Callable[[], View | None]) -> None:
        """Show what ``view`` returns from now on; any thread may call it."""
        self._view = view

    def make(self, state: State) -> Page:
        """Return the page; one thread computes at a time, and only if something has changed."""
        with self._lock:
            view, outlook, turns = self._view(), self._outlook, tuple(self._turns)
            encoder = self._encoder()
            made_from = (view, outlook, turns, state, encoder)
            if self._made is None or not _is_same(self._made[0], made_from):
                self._made = made_from, self._render(view, outlook, turns, state, encoder)
            return self._made[1]

    def _render(
        self,
        view: View | None,
        outlook: Outlook | None,
        turns: tuple[PastTurn, ...],
        state: State,
        encoder: str,
    ) -> Page:
        sections = {}
        if view is not None:
            outlook = outlook or self._latest(view.plan.seen)
            sections = report_page.sections(report_of(view.plan, view.seeds), explain(view.plan, outlook))
        text = self._templates.get_template("live.html").render(
            **sections,
            has_figures=view is not None,
            dataset=self._dataset,
            state=state,
            encoder=encoder,
            turns=turns,
            phases=PHASES,
            version=__version__,
        )
        body = text.encode("utf-8", "replace")  # lone surrogates in a label
        return Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', self._policy)


SOURCES = ((report_page.FOLDER, "style.css"), (FOLDER, "live.js"))


def _is_same(
    before: object, now: tuple[View | None, Outlook | None, tuple[PastTurn, ...], State, str]
) -> bool:
    """Return whether nothing has changed; a view is not compared but is the same object then."""
    if not isinstance(before, tuple):
        return False
    view, *rest = before
    return view is now[0] and tuple(rest) == now[1:]
