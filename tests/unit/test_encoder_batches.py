"""How texts are put together for the network: little memory however long they are, and never padded."""

from __future__ import annotations

import pytest

from argilla_loop.learning.encoders.batches import MAX_TEXTS, MAX_TOKENS, plan_batches
from argilla_loop.learning.encoders.weights import Precision

COUNTS = [1 + number % 7 * 60 for number in range(300)]
LONGER = MAX_TOKENS + 1


def shapes(counts: list[int], precision: Precision) -> set[tuple[int, int]]:
    """The number of texts and of tokens a text, of each batch."""
    return {(len(rows), counts[rows[0]]) for rows in plan_batches(counts, precision)}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_text_goes_once_with_its_likes(precision: Precision) -> None:
    """All rows of a batch have as many tokens as their texts have: nothing is padded, nothing is cut."""
    batches = plan_batches([*COUNTS, LONGER], precision)
    assert sorted(row for rows in batches for row in rows) == list(range(len(COUNTS) + 1))
    for rows in batches:
        assert len({[*COUNTS, LONGER][row] for row in rows}) == 1


def test_a_batch_is_bounded_by_texts_and_by_tokens() -> None:
    """Short texts go by the batch, long ones by fewer, one that is longer than a whole batch alone."""
    sizes = shapes([*COUNTS, LONGER], "fp32")
    assert max(count for count, _ in sizes) == MAX_TEXTS
    assert all(count * tokens <= MAX_TOKENS or count == 1 for count, tokens in sizes)
    assert (1, MAX_TOKENS + 1) in sizes
    assert max(count for count, tokens in sizes if tokens == 241) == MAX_TOKENS // 241


def test_with_int8_each_text_goes_alone() -> None:
    """Its activation range would be that of the batch, so a vector would depend on its batch-mates."""
    assert {count for count, _ in shapes(COUNTS, "int8")} == {1}
