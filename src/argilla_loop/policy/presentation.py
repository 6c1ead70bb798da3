"""How a new dataset presents itself to annotators: titles, guidelines, and whether they can write a comment."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from argilla_loop.errors import SettingsError, collapse_whitespace

MAX_GUIDELINES = 10_000  # Argilla's own limit, in characters (DATASET_GUIDELINES_MAX_LENGTH)
MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")

TASK = (
    "Choose the label that fits the text best and submit. Where a suggestion is shown, a model made it from the "
    "answers given so far: correct it wherever it is wrong. Discard texts that fit no label."
)
KEYS = (
    "**Keys**: Enter submits the label that is selected. The digit of another label selects it; press Enter to submit "
    "it. The digit of the label that is selected takes the selection back. Backspace discards. You can write a "
    "comment below the labels."
)
# With one question, Argilla submits at the digit: https://github.com/argilla-io/argilla/issues/4221
KEYS_WITHOUT_COMMENTS = (
    "**Keys**: Enter keeps the label that is selected. The digit of another label chooses it and submits at once, so "
    "do not press Enter after it: that would submit the next text. The digit of the label that is selected takes the "
    "selection back. Backspace discards."
)
QUEUE = (
    "When the queue is empty, the next batch is there after a moment: go to Home and open the dataset again (a mere "
    "reload of the page keeps your place in the old queue and may skip records). Where there is an (i) beside the "
    "title of the labels, it tells how things stand."
)


@dataclass(frozen=True, slots=True)
class Presentation:
    """What annotators see of a dataset that the service creates; a dataset that exists stays as it is.

    Attributes:
        title: of the label question.
        description: of the label question; ``None`` for none. Annotators see it above the notice.
        guidelines: Markdown that replaces the general ones.
        label_descriptions: what a label means; the guidelines show them as a table.
        comments: whether there is an optional question for a comment. With a second question, Argilla's UI no longer
            submits at the digit of a label, so that a digit and Enter together answer one record and not two.
    """

    title: str = "Label"
    description: str | None = None
    guidelines: str | None = None
    label_descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    comments: bool = True

    def full_guidelines(self) -> str:
        """Return the guidelines, in Markdown.

        Raises:
            SettingsError: they are longer than Argilla allows.
        """
        keys = KEYS if self.comments else KEYS_WITHOUT_COMMENTS
        parts = [self.guidelines] if self.guidelines else [TASK, keys, QUEUE]
        if self.label_descriptions:
            parts.insert(1, _table(self.label_descriptions))
        text = "\n\n".join(parts)
        if len(text) > MAX_GUIDELINES:
            raise SettingsError(
                f"guidelines and label_descriptions have {len(text):,} characters together, and Argilla takes at most "
                f"{MAX_GUIDELINES:,}: shorten them"
            )
        return text


def _table(descriptions: Mapping[str, str]) -> str:
    rows = [f"| **{_shown(label)}** | {_shown(meaning)} |" for label, meaning in descriptions.items()]
    return "\n".join(["| label | what it means |", "|---|---|", *rows])


def _shown(text: str) -> str:
    """Return ``text`` on one line, as Markdown that shows it as it is."""
    return MARKDOWN.sub(r"\\\1", html.escape(collapse_whitespace(text), quote=False))
