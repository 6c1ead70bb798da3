"""Texts whose label is not what they are about, so that a frozen sentence encoder hardly sees it: one word decides."""

from __future__ import annotations

import random

SUBJECTS = (
    "tram to the harbour", "washing machine", "violin lesson", "holiday in Norway", "tax return", "goalkeeper",
    "jar of honey", "printer", "roof of the museum", "neighbour's dog", "school canteen", "election", "vaccine",
    "bicycle", "night train", "cherry tree", "dentist", "laptop", "river ferry", "choir", "concert hall", "wedding",
    "coffee machine", "chess club",
)  # fmt: skip
WORDS = {
    "good": (
        "wonderful", "excellent", "superb", "lovely", "delightful", "fantastic", "brilliant", "pleasant", "perfect",
        "marvellous", "enjoyable", "splendid", "charming", "great", "magnificent", "terrific", "amazing", "fine",
        "impressive", "outstanding", "nice", "admirable", "first-rate", "satisfying",
    ),
    "bad": (
        "awful", "terrible", "horrible", "dreadful", "nasty", "poor", "disappointing", "miserable", "lousy", "useless",
        "unpleasant", "dismal", "appalling", "bad", "atrocious", "pathetic", "annoying", "mediocre", "unacceptable",
        "disgusting", "boring", "inferior", "shoddy", "frustrating",
    ),
}  # fmt: skip


def hard_texts(per_label: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return ``per_label`` texts of each label with their labels, the labels in turn."""
    chance = random.Random(seed)
    texts: dict[str, str] = {}
    while len(texts) < per_label * len(WORDS):
        label = list(WORDS)[len(texts) % len(WORDS)]
        first, second = chance.sample(SUBJECTS, 2)
        word = chance.choice(WORDS[label])
        texts.setdefault(
            f"The {first} that we told you about after the {second} was {word} in every way", label
        )
    return list(texts.items())
