"""What the stock ``ClassyClassifier`` gets wrong, shown on the real package and real news, each beside our guard.

A test here that fails in its ``stock`` half tells that upstream has put something right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import FOLDER, NAME, model_cache, news  # noqa: F401 - model_cache is a fixture
from structlog.testing import capture_logs

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.errors import ModelError, TrainingError
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.encoders.weights import resolve_model

# scikit-learn 1.9 deprecates SVC(probability=True), which the stock class uses; ours does not.
pytestmark = pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning")

Texts = Mapping[str, Sequence[str]]
# The tutorial's labels in the tutorial's order, which is not the alphabet's.
TUTORIAL_ORDER = {"World": "politics", "Sports": "sports", "Sci/Tech": "tech", "Business": "business"}
NEWS = news()


def texts(each: int, start: int = 0) -> dict[str, list[str]]:
    """``each`` real texts of each of the tutorial's four labels, in its order."""
    return {label: NEWS[topic][start : start + each] for label, topic in TUTORIAL_ORDER.items()}


def flat(data: Texts) -> tuple[list[str], list[str]]:
    """Texts and their labels."""
    return [text for some in data.values() for text in some], [label for label in data for _ in data[label]]


def accuracy(classifier: Any, data: Texts) -> float:
    wanted, labels = flat(data)
    answers = classifier.pipe(wanted)
    return float(
        np.mean([max(one, key=one.get) == label for one, label in zip(answers, labels, strict=True)])
    )


def probabilities(classifier: Any, wanted: Sequence[str]) -> FloatArray:
    return np.array(
        [[one[label] for label in sorted(one)] for one in classifier.pipe(list(wanted))], dtype=np.float32
    )


def stock(data: Texts, encoder: Encoder | None = None, **options: Any) -> Any:
    """The package's own class, untouched; with ``encoder`` its embeddings are taken from there, to save time."""
    from classy_classification import ClassyClassifier  # noqa: PLC0415 - seconds; only where it is used
    from classy_classification.classifiers import classy_skeleton  # noqa: PLC0415 - the same

    class SameVectors:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def encode(self, docs: Sequence[str], *, show_progress_bar: bool) -> FloatArray:
            del show_progress_bar
            assert encoder is not None
            return encoder.encode(docs)

    with pytest.MonkeyPatch.context() as patch:
        if encoder is not None:
            patch.setattr(classy_skeleton, "SentenceTransformer", SameVectors)
        plain = {label: list(some) for label, some in data.items()}
        return ClassyClassifier(data=plain, model=str(FOLDER), **options)


@pytest.fixture(scope="module")
def encoder(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoder:  # noqa: F811 - the fixture
    files = resolve_model(NAME, precision="fp32", cache_dir=model_cache)
    return CachedEncoder(OnnxEncoder(files), tmp_path_factory.mktemp("embeddings"))


def guarded(data: Texts, encoder: Encoder, **options: Any) -> Any:
    from argilla_loop.learning.classy.classifier import GuardedClassyClassifier  # noqa: PLC0415 - seconds, as above

    return GuardedClassyClassifier(data, encoder=encoder, **options)


def test_it_is_a_classy_classifier(encoder: Encoder) -> None:
    """To its callers the guarded class is the package's: the type, the call, the answers' form."""
    from classy_classification import ClassyClassifier  # noqa: PLC0415 - as above

    ours = guarded(texts(5), encoder)
    assert isinstance(ours, ClassyClassifier)
    text = texts(1, 50)["Sports"][0]
    assert ours(text) == ours.pipe([text])[0]
    assert set(ours(text)) == set(TUTORIAL_ORDER)


def test_the_vectors_are_those_of_sentence_transformers(encoder: Encoder) -> None:
    """The stock class with its own torch encoder embeds as ours does, so the tests below may give it our vectors."""
    theirs, asked = stock(texts(5)), flat(texts(5, 100))[0]
    assert set(theirs(asked[0])) == set(TUTORIAL_ORDER)
    np.testing.assert_allclose(theirs.get_embeddings(asked), encoder.encode(asked), atol=2e-6)


# 1. Label order


def test_1_retraining_with_labels_in_another_order(encoder: Encoder) -> None:
    """Stock: a retrain with the tutorial's order permutes the labels. Ours: any order gives the same model."""
    theirs = stock(texts(20), encoder)
    assert accuracy(theirs, texts(25, 100)) > 0.85
    theirs.set_training_data(texts(20))
    assert accuracy(theirs, texts(25, 100)) < 0.2

    ours = guarded(texts(20), encoder)
    first = accuracy(ours, texts(25, 100))
    ours.set_training_data(texts(20))
    assert accuracy(ours, texts(25, 100)) == first > 0.85


# 2. Empty and small classes


def test_2_an_empty_label_shifts_the_columns(encoder: Encoder) -> None:
    """Stock: an empty class takes its neighbour's column. Ours: it is left out, and the others keep theirs."""
    data = texts(20)
    asked = texts(25, 100)
    del asked["Sci/Tech"]
    data["Sci/Tech"] = []
    assert accuracy(stock(data, encoder), asked) < 0.7

    with capture_logs() as logs:
        ours = guarded(data, encoder)
    assert accuracy(ours, asked) > 0.85
    assert ours.label_list == ["Business", "Sports", "World"]
    assert [entry["event"] for entry in logs] == ["small_labels_left_out"]


def test_2_one_text_in_every_label(encoder: Encoder) -> None:
    """Stock: ValueError from deep inside. Ours learns from it; its SVM raises a TrainingError that counts."""
    with pytest.raises(ValueError, match=r"n_splits|number of splits|members"):
        stock(texts(1), encoder)
    asked, wanted = flat(texts(20, start=30))
    found = [max(one, key=one.get) for one in guarded(texts(1), encoder).pipe(asked)]
    assert np.mean([one == right for one, right in zip(found, wanted, strict=True)]) > 0.5
    with pytest.raises(TrainingError, match=re.escape("'Business': 1")) as caught:
        guarded(texts(1), encoder, config={"head": "svm"})
    assert "\n" not in str(caught.value)


def test_2_one_label_only(encoder: Encoder) -> None:
    """Stock: becomes a one-class detector that rejects texts of its own label. Ours: TrainingError."""
    only = {"Sports": texts(20)["Sports"]}
    answers = stock(only, encoder).pipe(texts(40, 100)["Sports"])
    assert np.mean([answer["Sports"] for answer in answers]) < 0.9
    with pytest.raises(TrainingError, match="2 labels"):
        guarded(only, encoder)


def test_2_from_one_label_to_four_and_back(encoder: Encoder) -> None:
    """Stock: KeyError on the way up, TypeError on the way down. Ours: up works, down is refused and changes nothing."""
    only = {"Sports": texts(20)["Sports"]}
    with pytest.raises(KeyError):
        stock(only, encoder).set_training_data(texts(20))
    with pytest.raises(TypeError):
        stock(texts(20), encoder).set_training_data(only)

    ours = guarded({label: texts(20)[label] for label in ("Sports", "World")}, encoder)
    ours.set_training_data(texts(20))
    assert ours.label_list == sorted(TUTORIAL_ORDER)
    with pytest.raises(TrainingError):
        ours.set_training_data(only)
    assert accuracy(ours, texts(25, 100)) > 0.85


def test_2_no_data_at_all(encoder: Encoder) -> None:
    """Stock: ``{}`` is silently nothing. Ours: TrainingError."""
    stock(texts(5), encoder).set_training_data({})
    with pytest.raises(TrainingError, match="none"):
        guarded(texts(5), encoder).set_training_data({})


# 3. Few examples


@pytest.mark.parametrize("each", [2, 3])
def test_3_probabilities_contradict_predictions_with_few_examples(encoder: Encoder, each: int) -> None:
    """Stock: the most probable label is worse than chance or near it while predict is fine. Ours: they are one."""
    wanted, labels = flat(texts(60, 100))
    stock_right, stock_said, ours_right = [], [], []
    for start in range(0, 25, 5):
        data = texts(each, start)
        theirs = stock(
            data,
            encoder,
            config={"C": [1, 5], "kernel": ["linear"], "max_cross_validation_folds": 5, "seed": 0},
        )
        said = theirs.le.inverse_transform(theirs.clf.predict(theirs.get_embeddings(wanted)))
        stock_said.append(np.mean(said == np.array(labels)))
        stock_right.append(accuracy(theirs, texts(60, 100)))

        ours = guarded(data, encoder)
        vectors = encoder.encode(wanted)
        np.testing.assert_array_equal(
            ours.clf.predict(vectors), ours.clf.predict_proba(vectors).argmax(axis=1)
        )
        ours_right.append(accuracy(ours, texts(60, 100)))
    assert np.mean(stock_right) < np.mean(stock_said) - 0.2
    assert np.mean(ours_right) > np.mean(stock_said) - 0.03


# 4. A failed retrain


def test_4_a_failed_retrain(encoder: Encoder) -> None:
    """Stock: the failure leaves a dead object. Ours: the old model lives on."""
    theirs = stock(texts(20), encoder)
    with pytest.raises(ValueError, match=r"n_splits|number of splits|members"):
        theirs.set_training_data(
            {label: some[:1] for label, some in {**texts(20), "New": ["a text"]}.items()}
        )
    with pytest.raises(AttributeError, match="best_estimator_"):
        theirs("a goal in the last minute")

    ours = guarded(texts(20), encoder)
    before = probabilities(ours, flat(texts(5, 100))[0])
    state = dict(ours.__dict__)
    for broken, error in [
        ({"New": ["a text"]}, TrainingError),
        ({"New": [None], "Old": ["a"]}, TypeError),
        ({"New": [" "], "Old": ["a"]}, ValueError),
    ]:
        with pytest.raises(error):
            ours.set_training_data(broken)
    assert all(ours.__dict__[name] is value for name, value in state.items())
    assert probabilities(ours, flat(texts(5, 100))[0]).tobytes() == before.tobytes()


def test_4_an_encoder_that_fails_in_a_retrain_leaves_the_old_model() -> None:
    """The model dies while embedding new texts: the old classifier still answers as before."""

    class Failing(HashingEncoder):
        broken = False

        def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
            if self.broken:
                raise ModelError("gone")
            return super().encode(texts, progress=progress)

    failing = Failing()
    ours = guarded(texts(5), failing)
    before = ours("goal in the match")
    failing.broken = True
    with pytest.raises(ModelError):
        ours.set_training_data(texts(10))
    failing.broken = False
    assert ours("goal in the match") == before


# 5. Texts


def test_5_the_same_text_under_two_labels(encoder: Encoder) -> None:
    """Stock: taken silently under both. Ours: left out under both, counted in the log, never shown there."""
    data = texts(10)
    data["World"][0] = data["Sports"][0]
    theirs = stock(data, encoder)
    assert len(theirs.y) == 40
    with capture_logs() as logs:
        ours = guarded(data, encoder)
    assert sum(map(len, ours.data.values())) == 38
    assert data["Sports"][0] not in flat(ours.data)[0]
    assert logs == [{"event": "contradictory_texts_left_out", "log_level": "warning", "texts": 1}]


def test_5_the_same_text_twice_under_one_label_counts_once(encoder: Encoder) -> None:
    data = texts(10)
    twice = {label: [*some, some[0]] for label, some in data.items()}
    asked = flat(texts(5, 100))[0]
    assert len(stock(twice, encoder).y) == 44
    expected = probabilities(guarded(data, encoder), asked)
    assert probabilities(guarded(twice, encoder), asked).tobytes() == expected.tobytes()


def test_5_no_texts_to_score(encoder: Encoder) -> None:
    """Stock: IndexError. Ours: no answers."""
    with pytest.raises(IndexError):
        stock(texts(5), encoder).pipe([])
    assert guarded(texts(5), encoder).pipe([]) == []
    assert guarded(texts(5), encoder).probabilities([]).shape == (0, 4)


def test_5_a_bare_string_is_not_several_texts(encoder: Encoder) -> None:
    """Stock: scores it letter by letter. Ours: TypeError."""
    assert len(stock(texts(5), encoder).pipe("goal")) == 4
    with pytest.raises(TypeError, match="put it in a list"):
        guarded(texts(5), encoder).pipe("goal")
    with pytest.raises(TypeError, match="put it in a list"):
        guarded({**texts(5), "World": "goal"}, encoder)


def test_5_empty_texts(encoder: Encoder) -> None:
    """Stock: scores nothing like something. Ours: ValueError that says which."""
    assert set(stock(texts(5), encoder)("")) == set(TUTORIAL_ORDER)
    for empty in ("", " \n\t"):
        with pytest.raises(ValueError, match="text 1 is empty"):
            guarded(texts(5), encoder).pipe(["a goal", empty])


@pytest.mark.parametrize("wrong", [None, 3, 2.5, b"bytes"])
def test_5_what_is_not_text(encoder: Encoder, wrong: Any) -> None:
    """Ours: TypeError that says which and what, for training and for scoring."""
    ours = guarded(texts(5), encoder)
    with pytest.raises(TypeError, match=f"text 1 is {type(wrong).__name__}, not str"):
        ours.pipe(["a goal", wrong])
    with pytest.raises(TypeError, match="not str"):
        guarded({**texts(5), "World": ["a summit", wrong]}, encoder)


# 6. Determinism


def test_6_order_and_repetition_change_probabilities(encoder: Encoder) -> None:
    """Stock: another order of the same texts moves probabilities. Ours: the same bytes in any order, every time."""
    asked = flat(texts(10, 100))[0]
    data = texts(10)
    turned = {label: some[::-1] for label, some in data.items()}
    seeded = {"C": [1], "kernel": ["linear"], "max_cross_validation_folds": 5, "seed": 0}
    moved = np.abs(
        probabilities(stock(data, encoder, config=seeded), asked)
        - probabilities(stock(turned, encoder, config=seeded), asked)
    ).max()
    assert moved > 0.02

    expected = probabilities(guarded(data, encoder), asked)
    for other in (data, turned, dict(reversed(turned.items()))):
        assert probabilities(guarded(other, encoder), asked).tobytes() == expected.tobytes()


def test_6_a_retrained_classifier_equals_a_new_one(encoder: Encoder) -> None:
    """What was learnt before leaves no trace."""
    asked = flat(texts(10, 100))[0]
    ours = guarded(texts(5), encoder)
    ours.set_training_data(texts(10))
    assert probabilities(ours, asked).tobytes() == probabilities(guarded(texts(10), encoder), asked).tobytes()


# 7. Options


def test_7_gpu_silently_becomes_cpu(encoder: Encoder) -> None:
    """Stock: ``device="gpu"`` runs on the processor and says nothing. Ours: no such option, refused."""
    assert stock(texts(5), encoder, device="gpu").device == "cpu"
    with pytest.raises(TypeError):
        guarded(texts(5), encoder, device="gpu")
    with pytest.raises(ValueError, match="gpu"):
        guarded(texts(5), encoder).set_embedding_model(encoder, device="gpu")


def test_7_multi_label_rows_do_not_sum_to_one(encoder: Encoder) -> None:
    """Stock: multi_label rows are no distribution. Ours: no such option; every row sums to one."""
    asked = flat(texts(10, 100))[0]
    sums = probabilities(stock(texts(10), encoder, multi_label=True), asked).sum(axis=1)
    assert np.abs(sums - 1).max() > 0.05
    with pytest.raises(TypeError):
        guarded(texts(10), encoder, multi_label=True)
    np.testing.assert_allclose(probabilities(guarded(texts(10), encoder), asked).sum(axis=1), 1, atol=1e-6)


# Its own configuration and encoder


def test_the_config_is_honoured_and_refits(encoder: Encoder) -> None:
    """``set_config`` takes the package's own keys, refits at once, and keeps the seed."""
    ours = guarded(texts(10), encoder, config={"seed": 7})
    ours.set_config({"head": "svm", "C": [0.01], "kernel": ["linear"]})
    assert (ours.svm.C, ours.svm.kernel, ours.config["seed"]) == (0.01, "linear", 7)
    ours.set_classification_model({"C": [2]})
    assert (ours.svm.C, ours.config["kernel"]) == (2, ["linear"])
    with pytest.raises(TypeError, match="no_such_parameter"):
        ours.set_config({"no_such_parameter": [1]})
    assert ours.svm.C == 2


def test_another_encoder_refits_or_changes_nothing(encoder: Encoder) -> None:
    """``set_embedding_model`` embeds and trains anew with the other encoder."""
    ours = guarded(texts(10), encoder)
    ours.set_embedding_model(HashingEncoder())
    assert ours.get_embeddings(["a goal"]).shape == (1, 64)
    asked = flat(texts(5, 100))[0]
    assert (
        probabilities(ours, asked).tobytes()
        == probabilities(guarded(texts(10), HashingEncoder()), asked).tobytes()
    )


def test_generators_are_texts_too(encoder: Encoder) -> None:
    """``pipe`` takes any iterable of texts, as spaCy's does."""

    def some() -> Iterator[str]:
        yield from texts(2, 100)["Sports"]

    assert len(guarded(texts(5), encoder).pipe(some())) == 2
