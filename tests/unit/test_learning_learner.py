"""The learner: same examples and seed, same model; and a version that says so."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from argilla_loop.domain import Example, Learner, Model, Origin
from argilla_loop.errors import TrainingError
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.learner import ClassyLearner

WORDS = {
    "Sports": "goal match league striker coach",
    "Business": "bank money shares profit market",
    "Arts": "film actor stage album novel",
}


def examples(each: int, seed: int = 0) -> list[Example]:
    """Texts of five words, three of them their label's, the others anyone's."""
    pick = random.Random(seed)
    everyone = " ".join(WORDS.values()).split()
    return [
        Example(
            id=f"{seed}-{label}-{number}",
            text=" ".join([*pick.sample(words.split(), 3), *pick.sample(everyone, 2), str(number)]),
            label=label,
        )
        for label, words in WORDS.items()
        for number in range(each)
    ]


EXAMPLES = examples(10)
ASKED = [one.text for one in examples(20, seed=1)]


def learner(**options: Any) -> ClassyLearner:
    return ClassyLearner(HashingEncoder(), **{"seed": 0, **options})


def test_it_keeps_the_domains_promises() -> None:
    """Version of head and twelve hex digits, labels sorted, rows that sum to one, and answers that are mostly right."""
    trainer: Learner = learner()
    model: Model = trainer.fit(EXAMPLES)
    head, digits = model.version.rsplit("-", 1)
    assert head == model.head == model.evidence[0].head
    assert len(digits) == 12
    assert int(digits, 16) >= 0
    assert model.labels == ("Arts", "Business", "Sports")
    probabilities = model.predict_proba(ASKED)
    assert probabilities.shape == (60, 3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    right = [model.labels[column] for column in probabilities.argmax(axis=1)]
    assert (
        np.mean([one == wanted.label for one, wanted in zip(right, examples(20, seed=1), strict=True)]) > 0.7
    )


def test_order_does_not_matter() -> None:
    """Shuffled examples: same version, same probabilities to the last bit."""
    model = learner().fit(EXAMPLES)
    for seed in range(3):
        shuffled = random.Random(seed).sample(EXAMPLES, len(EXAMPLES))
        other = learner().fit(shuffled)
        assert other.version == model.version
        assert other.predict_proba(ASKED).tobytes() == model.predict_proba(ASKED).tobytes()


def test_what_was_cached_or_learnt_before_does_not_matter(tmp_path: Path) -> None:
    """One learner after many fits, with a filled cache, equals a new one without any."""
    used = ClassyLearner(CachedEncoder(HashingEncoder(), tmp_path), seed=0)
    used.fit(EXAMPLES[:25])
    used.encoder.encode(ASKED[::2])
    one, two = used.fit(EXAMPLES), learner().fit(EXAMPLES)
    assert one.version == two.version
    assert one.predict_proba(ASKED).tobytes() == two.predict_proba(ASKED).tobytes()


def test_a_text_is_scored_the_same_in_any_company() -> None:
    """Alone, among others, in small chunks: the same bytes."""
    model = learner().fit(EXAMPLES)
    expected = model.predict_proba(ASKED)
    assert b"".join(model.predict_proba([text]).tobytes() for text in ASKED) == expected.tobytes()
    chunked = ClassyLearner(HashingEncoder(), seed=0, scoring_chunk=7).fit(EXAMPLES)
    assert chunked.predict_proba(ASKED).tobytes() == expected.tobytes()


def test_every_input_is_in_the_version() -> None:
    """Another text, label, origin, id, seed, encoder, configuration, or one example less: another version."""
    first = EXAMPLES[0]
    models = [
        learner().fit(EXAMPLES),
        learner().fit(EXAMPLES[1:]),
        learner().fit([replace(first, text="another text"), *EXAMPLES[1:]]),
        learner().fit([replace(first, label="Arts"), *EXAMPLES[1:]]),
        learner().fit([replace(first, origin=Origin.MODEL), *EXAMPLES[1:]]),
        learner().fit([replace(first, id="another"), *EXAMPLES[1:]]),
        learner(seed=1).fit(EXAMPLES),
        learner(config={"head": "svm"}).fit(EXAMPLES),
        ClassyLearner(HashingEncoder(32), seed=0).fit(EXAMPLES),
    ]
    assert len({model.version for model in models}) == len(models)


def test_a_model_never_changes() -> None:
    """A later fit of the same learner leaves an earlier model as it was."""
    trainer = learner()
    model = trainer.fit(EXAMPLES)
    before = model.predict_proba(ASKED)
    trainer.fit([replace(one, label="Arts" if one.label == "Sports" else "Sports") for one in EXAMPLES])
    assert model.predict_proba(ASKED).tobytes() == before.tobytes()


@pytest.mark.parametrize("unusable", [EXAMPLES[:10], EXAMPLES[:1], []])
def test_fewer_than_two_usable_labels_is_a_training_error(unusable: list[Example]) -> None:
    """One label only, one text, nothing: TrainingError, on one line."""
    with pytest.raises(TrainingError) as caught:
        learner().fit(unusable)
    assert "\n" not in str(caught.value)


def test_a_label_with_one_example_is_learnt() -> None:
    """One example is enough to be an answer, but for the SVM, which cross-validates label by label."""
    assert learner().fit(EXAMPLES[:21]).labels == ("Arts", "Business", "Sports")
    assert learner(config={"head": "svm"}).fit(EXAMPLES[:21]).labels == ("Business", "Sports")


def test_contradictory_texts_are_left_out_and_counted() -> None:
    """The same text under two labels trains neither; the log counts it and does not show it."""
    text = EXAMPLES[0].text
    with capture_logs() as logs:
        model = learner().fit([*EXAMPLES, Example("again", text, "Arts")])
    assert logs[0] == {"event": "contradictory_texts_left_out", "texts": 1, "log_level": "warning"}
    assert text not in str(logs)
    without = learner().fit(EXAMPLES[1:])
    assert model.predict_proba(ASKED).tobytes() == without.predict_proba(ASKED).tobytes()


@pytest.mark.parametrize("wrong", ["", "  ", None, 3])
def test_what_is_not_text_is_a_value_error(wrong: Any) -> None:
    """For training and for scoring alike, before anything is embedded."""
    trainer = learner()
    with pytest.raises(ValueError, match="empty|not str"):  # noqa: RUF043 - a pattern
        trainer.fit([replace(EXAMPLES[0], text=wrong), *EXAMPLES[1:]])
    with pytest.raises(ValueError, match="empty|not str"):  # noqa: RUF043 - a pattern
        trainer.fit(EXAMPLES).predict_proba(["a goal", wrong])


def test_nothing_to_score_gives_no_rows() -> None:
    assert learner().fit(EXAMPLES).predict_proba([]).shape == (0, 3)


def test_only_what_is_new_is_embedded(tmp_path: Path) -> None:
    """A retrain with three more examples embeds three texts."""
    inner = HashingEncoder()
    trainer = ClassyLearner(CachedEncoder(inner, tmp_path), seed=0)
    trainer.fit(EXAMPLES[:27])
    before = inner.encoded
    trainer.fit(EXAMPLES)
    assert inner.encoded - before == 3


def test_warming_up_goes_past_the_cache(tmp_path: Path) -> None:
    """A cached answer would not load the model: each warm-up asks the encoder itself."""
    inner = HashingEncoder()
    for _ in range(2):
        ClassyLearner(CachedEncoder(inner, tmp_path), seed=0).warm_up()
    assert inner.encoded == 2
