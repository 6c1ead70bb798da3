"""Labels' names as texts: which of them mean something, and their embeddings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.errors import collapse_whitespace

# Sentences that a name is put into, the name alone first: a topic, a tone, a heading. The mean of all is as good as the
# best one to within two points, and no set was used to choose among them (benchmarks/names.md).
TEMPLATES = ("{}", "This text is about {}.", "This text expresses {}.", "Category: {}")
# Letters of a word that carries a meaning; fewer are a code. Chosen, not measured.
MIN_LETTERS = 2


def embed_names(labels: Sequence[str], encoder: Encoder) -> FloatArray | None:
    """Return embeddings of the labels' names in each template (t, k, d); None if any name is only a code."""
    sentences = name_sentences(labels)
    return encoder.encode(sentences).reshape(len(TEMPLATES), len(labels), -1) if sentences else None


def name_sentences(labels: Sequence[str]) -> list[str]:
    """Return each label's name in each template, template by template; none if any name is only a code."""
    words = [label_words(label) for label in labels]
    meanings = [_meaning(name) for name in words]
    if len(set(meanings)) < len(meanings) or not all(meanings):
        return []
    return [template.format(name) for template in TEMPLATES for name in words]


def _meaning(name: str) -> str:
    """Return the words of ``name`` that may mean something: "topic 15", "class b" and "a12" differ by codes only."""
    return " ".join(
        word
        for word in name.split()
        if not any(map(str.isdigit, word)) and sum(map(str.isalpha, word)) >= MIN_LETTERS
    )


def label_words(label: str) -> str:
    """Return a label's name as words: ``card_arrival`` and ``CardArrival`` are "card arrival"."""
    return collapse_whitespace(re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", label).lower())
