"""How long people took to label, from the times of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from statistics import median

from argilla_loop.policy.answers import AdjudicatedRecord

# A longer gap between two answers of one person is a pause, in seconds. Chosen, not measured.
PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class PersonEffort:
    """What one person did; nothing says who it is.

    Attributes:
        answers: submitted and discarded answers.
        seconds: sum of the gaps between them, without pauses.
    """

    answers: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Effort:
    """What all people did.

    Attributes:
        people: those with the most answers first.
        median_seconds: the median gap between two answers of one person, without pauses; ``None`` without any gap.
        first: day of the earliest answer, ISO 8601, UTC; ``None`` without an answer.
        last: day of the latest one.
    """

    people: Sequence[PersonEffort] = field(default_factory=tuple)
    median_seconds: float | None = None
    first: str | None = None
    last: str | None = None

    @property
    def answers(self) -> int:
        """Answers of all people."""
        return sum(person.answers for person in self.people)

    @property
    def hours(self) -> float:
        """Hours that all people spent, pauses left out."""
        return sum(person.seconds for person in self.people) / 3600


def effort(records: Iterable[AdjudicatedRecord]) -> Effort:
    """Add up the gaps between the answers of each person.

    A gap is the time from one answer to the next, which includes reading the text. A person's first answer after a
    pause has no such time, so the sum is slightly too low. An answer that was changed counts at the time of the change.
    """
    times: dict[str, list[datetime | None]] = {}
    for one in records:
        for answer in one.answers:
            times.setdefault(answer.user_id, []).append(_time(answer.updated_at))
    people, gaps = [], []
    for given in times.values():
        known = sorted(time for time in given if time is not None)
        mine = [(later - earlier).total_seconds() for earlier, later in pairwise(known)]
        mine = [gap for gap in mine if gap <= PAUSE]
        people.append(PersonEffort(len(given), sum(mine)))
        gaps += mine
    known = [time for given in times.values() for time in given if time is not None]
    return Effort(
        sorted(people, key=lambda person: (-person.answers, -person.seconds)),
        median(gaps) if gaps else None,
        min(known).date().isoformat() if known else None,
        max(known).date().isoformat() if known else None,
    )


def _time(written: str) -> datetime | None:
    """Return a time as Argilla gives it, in UTC; ``None`` if it is none."""
    try:
        time = datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
