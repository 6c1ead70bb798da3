"""Decide which texts share a batch. Pure: token counts in, rows out."""

from __future__ import annotations

from collections.abc import Sequence

from argilla_loop.learning.encoders.weights import Precision

# Texts of a batch with fp32. Chosen, not measured; benchmarks/embedding.md has a row for 128, which takes
# the same processor time.
MAX_TEXTS = 32
# Tokens of a batch: what it needs in memory grows faster than its tokens. Measured on texts of 250 words: a fifth less
# time, and 260 MiB in place of 900 (docs/embeddings.md).
MAX_TOKENS = 512
# Texts of a batch with int8. Dynamic quantisation takes its ranges from the whole batch, so a text's vector depends on
# the text only if it is alone (benchmarks/embedding.md, "same alone").
MAX_TEXTS_INT8 = 1


def plan_batches(token_counts: Sequence[int], precision: Precision) -> list[list[int]]:
    """Return the rows of each batch: texts of equal token count together, the longest first.

    Args:
        token_counts: the number of tokens of each text, by row.
        precision: the model's.

    Returns:
        Every row once. A batch has at most ``MAX_TOKENS`` tokens, unless it is a single text.
    """
    max_texts = MAX_TEXTS if precision == "fp32" else MAX_TEXTS_INT8
    by_count: dict[int, list[int]] = {}
    for row, count in enumerate(token_counts):
        by_count.setdefault(count, []).append(row)
    batches: list[list[int]] = []
    for count, rows in sorted(
        by_count.items(), reverse=True
    ):  # the longest first, so that workers end together
        size = max(1, min(max_texts, MAX_TOKENS // max(1, count)))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches
