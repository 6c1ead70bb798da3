"""How texts are put together for the network: little memory however long they are, and never padded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from argilla_loop.learning.encoders.encoder import BATCH, BATCH_TOKENS, OnnxEncoder
from argilla_loop.learning.encoders.weights import ModelFiles, Precision

TEXTS = [" ".join(["word"] * (1 + number % 7 * 60)) for number in range(300)]
LONGER = " ".join(["word"] * (BATCH_TOKENS + 1))


def encoder(precision: Precision) -> OnnxEncoder:
    """An encoder of which only the tokenizer is real: one token a word."""
    files = ModelFiles("tiny", Path("none.onnx"), Path("none.json"), 10_000, "mean", precision)
    made = OnnxEncoder(files)
    made._tokenizer = Tokenizer(models.WordLevel({"word": 0, "[UNK]": 1}, unk_token="[UNK]"))
    made._tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_text_goes_once_with_its_likes(precision: Precision) -> None:
    """All rows of a batch have as many tokens as their texts have: nothing is padded, nothing is cut."""
    batches = encoder(precision)._batches([*TEXTS, LONGER])
    assert sorted(row for rows, _ in batches for row in rows) == list(range(len(TEXTS) + 1))
    for rows, ids in batches:
        assert {len([*TEXTS, LONGER][row].split()) for row in rows} == {ids.shape[1]}


def test_a_batch_is_bounded_by_texts_and_by_tokens() -> None:
    """Short texts go by the batch, long ones by fewer, one that is longer than a whole batch alone."""
    sizes = {ids.shape for _, ids in encoder("fp32")._batches([*TEXTS, LONGER])}
    assert max(count for count, _ in sizes) == BATCH
    assert all(count * tokens <= BATCH_TOKENS or count == 1 for count, tokens in sizes)
    assert (1, BATCH_TOKENS + 1) in sizes
    assert max(count for count, tokens in sizes if tokens == 241) == BATCH_TOKENS // 241


def test_with_int8_each_text_goes_alone() -> None:
    """Its activation range would be that of the batch, so a vector would depend on its batch-mates."""
    assert {ids.shape[0] for _, ids in encoder("int8")._batches(TEXTS)} == {1}
