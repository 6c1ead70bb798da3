"""When the encoder is tuned, what is used, and what is said about it."""

from __future__ import annotations

import pytest

from argilla_loop.policy.tuning import (
    MAX_ATTEMPTS,
    Trial,
    encoder_to_use,
    has_lost_examples,
    level_due,
    level_reached,
    trial_in_words,
    tuning_in_words,
)

BETTER = Trial(
    "base", 8, 48, 6, "better", frozen=0.6, tuned=0.8, certainty=4.0, cpu_seconds=150, encoder="new"
)


@pytest.mark.parametrize(
    ("counts", "level"),
    [
        ({}, 0),
        ({"a": 100}, 0),  # one label: nothing to tell apart
        ({"a": 100, "b": 1}, 0),  # the only example of a label is no company
        ({"a": 7, "b": 8}, 0),
        ({"a": 8, "b": 8}, 8),
        ({"a": 2, "b": 14}, 8),
        ({"a": 15, "b": 16}, 8),
        ({"a": 16, "b": 16}, 16),
        ({"a": 40, "b": 200}, 64),
    ],
)
def test_levels_double(counts: dict[str, int], level: int) -> None:
    assert level_reached(counts, 8) == level


def test_a_level_is_tried_once_and_a_lower_one_never_after_it() -> None:
    assert level_due({"a": 9, "b": 9}, 8, []) == 8
    assert level_due({"a": 9, "b": 9}, 8, [BETTER]) == 0
    assert level_due({"a": 20, "b": 20}, 8, [BETTER]) == 16
    assert level_due({"a": 9, "b": 9}, 8, [Trial("base", 16, 99, 2, "not better")]) == 0


@pytest.mark.parametrize("result", ["failed", "unfinished"])
def test_what_failed_is_tried_again_and_not_for_ever(result: str) -> None:
    """A tuner that is killed, or that takes the service with it, is not started at every start."""
    for attempts in range(1, MAX_ATTEMPTS):
        assert level_due({"a": 9, "b": 9}, 8, [Trial("base", 8, 18, 2, result, attempts=attempts)]) == 8  # type: ignore[arg-type]  # from the parameters
    assert level_due({"a": 9, "b": 9}, 8, [Trial("base", 8, 18, 2, result, attempts=MAX_ATTEMPTS)]) == 0  # type: ignore[arg-type]  # as above


def test_the_latest_judgement_decides() -> None:
    """A failure changes nothing; a trial without a gain leads back to the frozen encoder."""
    assert encoder_to_use([]) == ""
    assert encoder_to_use([BETTER]) == "new"
    assert encoder_to_use([BETTER, Trial("base", 16, 96, 6, "failed")]) == "new"
    assert encoder_to_use([BETTER, Trial("base", 16, 96, 6, "not better")]) == ""


def test_an_emptied_dataset_has_lost_what_was_learnt() -> None:
    assert not has_lost_examples({"a": 12, "b": 12}, BETTER)
    assert has_lost_examples({"a": 12}, BETTER)


def test_words() -> None:
    assert trial_in_words(BETTER) == (
        "tuning the encoder on 48 answers helped: 80% of held-out answers right, "
        "60% with the frozen one (150 CPU seconds)"
    )
    assert tuning_in_words([], "", 8) == "frozen; it is tuned for the first time at 8 answers a label"
    assert tuning_in_words([BETTER], "new", 8).startswith("tuned; ")
    assert tuning_in_words([BETTER], "", 8).startswith(
        "frozen, and the pool is being embedded with the tuned one; "
    )
    assert tuning_in_words([Trial("base", 8, 48, 6, "unfinished")], "", 8).endswith("has not finished yet")
    assert tuning_in_words([Trial("base", 8, 48, 6, "failed")], "", 8).endswith(
        "failed; the frozen encoder stays"
    )
