"""The weighed head: the pool and the names count where they know better, and cost nothing where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from argilla_loop.domain import Example, FloatArray, IndexArray, PoolSample
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.heads import choose
from argilla_loop.learning.heads.choose import choose_head
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import Head, Kind
from argilla_loop.learning.heads.scorers import Training
from argilla_loop.learning.heads.weigh import weigh
from argilla_loop.learning.learner import ClassyLearner

WIDTH = 24
CENTRES = np.eye(WIDTH)[:4]
NAMES = np.tile(CENTRES.astype(np.float32), (2, 1, 1))  # two templates that say the same


def unit(points: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


def blobs(labels: IndexArray, seed: int, noise: float = 0.42) -> FloatArray:
    """Unit vectors around four centres, with so much noise that two of a kind say little of where theirs is."""
    return unit(CENTRES[labels] + np.random.default_rng(seed).normal(scale=noise, size=(len(labels), WIDTH)))


def across(count: int, seed: int) -> tuple[FloatArray, IndexArray]:
    """Four clusters, and labels that the sign along one weak direction across all of them decides."""
    random = np.random.default_rng(seed)
    points = CENTRES[np.arange(count) % 4] + random.normal(scale=0.15, size=(count, WIDTH))
    return unit(points), np.asarray(points[:, -1] > 0, dtype=np.int64)


def training(vectors: FloatArray, labels: IndexArray, **more: Any) -> Training:
    count = len(labels)
    return Training(
        vectors=vectors,
        labels=labels,
        **{"trusted": np.ones(count, bool), "weights": np.ones(count, np.float32), **more},
    )


def in_blobs(each: int, seed: int = 0, **more: Any) -> Training:
    """``each`` examples of four labels, a pool of 600 texts of the same blobs."""
    labels = np.tile(np.arange(4), each)
    pool = blobs(np.arange(600) % 4, seed=1000 + seed)
    return training(blobs(labels, seed), labels, **{"graph": PoolGraph(pool), **more})


def accuracy(head: Head, vectors: FloatArray, labels: IndexArray) -> float:
    return float((head.predict(vectors) == labels).mean())


def weighed_most(head: Head) -> str:
    """The scorer with the least held-out loss."""
    return min(head.evidence[1:], key=lambda one: one.log_loss).head


def test_the_pool_teaches_where_its_clusters_are_the_labels() -> None:
    """Two examples a label, five draws: far better than regressions alone."""
    labels = np.arange(400) % 4
    weighed, linear = [], []
    for seed in range(5):
        given, unseen = in_blobs(2, seed), blobs(labels, seed=77)
        weighed.append(accuracy(choose_head(given, seed=0), unseen, labels))
        linear.append(accuracy(choose_head(given, seed=0, kind="linear"), unseen, labels))
    assert np.mean(weighed) > np.mean(linear) + 0.1


def test_the_pool_counts_for_nothing_where_neighbours_do_not_share_labels() -> None:
    """Clusters on one thing, labels on another: as good as regressions alone, far better than the pool."""
    vectors, labels = across(60, seed=0)
    pool, _ = across(600, seed=1)
    unseen, gold = across(400, seed=2)
    given = training(vectors, labels, graph=PoolGraph(pool))
    head = choose_head(given, seed=0)
    assert weighed_most(head) in ("linear", "firm")
    right = accuracy(head, unseen, gold)
    assert right > accuracy(choose_head(given, seed=0, kind="pooled"), unseen, gold) + 0.2
    assert right > accuracy(choose_head(given, seed=0, kind="linear"), unseen, gold) - 0.02


@pytest.mark.parametrize("named", [True, False])
def test_more_examples_are_never_worse(named: bool) -> None:  # noqa: FBT001 - a table
    """No cliff: two to fifty examples a label, ten paired draws, each draw containing the smaller ones."""
    labels = np.arange(1000) % 4
    unseen, sizes = blobs(labels, seed=77, noise=0.5), (2, 4, 8, 9, 10, 12, 16, 32, 50)
    graph = PoolGraph(blobs(np.arange(600) % 4, seed=1000, noise=0.5))
    right = np.zeros((10, len(sizes)))
    for seed in range(10):
        drawn = np.tile(np.arange(4), max(sizes))
        vectors = blobs(drawn, seed, noise=0.5)
        for column, each in enumerate(sizes):
            given = training(
                vectors[: 4 * each], drawn[: 4 * each], graph=graph, names=NAMES if named else None
            )
            right[seed, column] = accuracy(choose_head(given, seed=0), unseen, labels)
    gained = np.diff(right, axis=1)
    noise = 2 * gained.std(axis=0, ddof=1) / np.sqrt(len(right))
    assert (gained.mean(axis=0) > -np.maximum(noise, 0.005)).all()
    assert right[:, -1].mean() > right[:, 0].mean()


@pytest.mark.parametrize(("single", "weighed"), [(0, True), (1, False), (3, False)])
def test_where_labels_cannot_be_held_out_evidence_changes_no_share(
    single: int,
    weighed: bool,  # noqa: FBT001 - a table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A label in four without evidence: what is good at the others may be hopeless at it, so nothing is weighed."""
    asked = []

    def watched(*arguments: Any, **more: Any) -> Any:
        asked.append(1)
        return weigh(*arguments, **more)

    monkeypatch.setattr(choose, "weigh", watched)
    given = in_blobs(6)
    kept = np.array([label >= single or n < 4 for n, label in enumerate(given.labels)])
    given = replace(
        given, vectors=given.vectors[kept], labels=given.labels[kept], trusted=given.trusted[kept],
        weights=given.weights[kept],
    )  # fmt: skip
    head = choose_head(given, seed=0)
    assert bool(asked) == weighed
    assert head.predict_proba(given.vectors).shape == (kept.sum(), 4)


def test_evidence_is_the_heads_own_and_that_of_each_scorer() -> None:
    given = in_blobs(5, names=NAMES)
    head = choose_head(given, seed=0)
    assert [one.head for one in head.evidence] == [
        head.name, "names", "linear", "firm", "near-means", "pool-means",
    ]  # fmt: skip
    assert {one.examples for one in head.evidence} == {20}


def test_what_the_model_labelled_is_no_evidence() -> None:
    """Forty model-made examples: only people's twenty are ever held out."""
    labels = np.tile(np.arange(4), 15)
    trusted = np.arange(60) < 20
    graph = PoolGraph(blobs(np.arange(200) % 4, seed=1))
    head = choose_head(training(blobs(labels, seed=0), labels, trusted=trusted, graph=graph), seed=0)
    assert {one.examples for one in head.evidence} == {20}


def test_a_model_that_agrees_with_itself_proves_nothing() -> None:
    """No example of people: no evidence, however many the model made."""
    head = choose_head(in_blobs(9, trusted=np.zeros(36, bool)), seed=0)
    assert (head.name, head.evidence) == ("weighed", ())


@pytest.mark.parametrize("count", [2, 3])
def test_too_few_examples_for_evidence_claim_nothing(count: int) -> None:
    """Below four examples nothing is claimed; the head still answers, and knows its own examples."""
    labels = np.arange(count, dtype=np.int64)
    vectors = blobs(labels, seed=0)
    head = choose_head(training(vectors, labels, graph=PoolGraph(blobs(np.arange(60) % 4, seed=1))), seed=0)
    assert (head.name, head.evidence) == ("weighed", ())
    assert head.predict(vectors).tolist() == labels.tolist()


def test_a_label_with_one_example_is_learnt_but_is_no_evidence() -> None:
    """Held out it would be unknown to the model: it trains only."""
    labels = np.array([0, 0, 0, 1, 1, 1, 2], dtype=np.int64)
    head = choose_head(training(blobs(labels, seed=0, noise=0.1), labels), seed=0)
    assert head.evidence[0].examples == 6
    assert head.predict(unit(CENTRES[:3])).tolist() == [0, 1, 2]


def test_names_help_most_while_examples_are_few() -> None:
    """Good names: far better at two examples a label, and never worse."""
    labels = np.arange(400) % 4
    unseen, gained = blobs(labels, seed=77, noise=0.6), []
    for each in (2, 20):
        gains = []
        for seed in range(5):
            drawn = np.tile(np.arange(4), each)
            graph = PoolGraph(blobs(np.arange(600) % 4, seed=1000 + seed, noise=0.6))
            given = training(blobs(drawn, seed, noise=0.6), drawn, graph=graph, names=NAMES)
            without = choose_head(replace(given, names=None), seed=0)
            gains.append(
                accuracy(choose_head(given, seed=0), unseen, labels) - accuracy(without, unseen, labels)
            )
        gained.append(np.mean(gains))
    assert gained[0] > 0.1
    assert gained[1] > -0.005


@pytest.mark.parametrize("each", [8, 16, 32])
def test_names_that_mislead_cost_nothing(each: int) -> None:
    """Each label bears another's name, over ten draws: at most 0.3 points are lost."""
    labels = np.arange(1000) % 4
    unseen, lost = blobs(labels, seed=77), []
    for seed in range(10):
        given = in_blobs(each, seed, names=NAMES[:, [1, 2, 3, 0]])
        head = choose_head(given, seed=0)
        without = choose_head(replace(given, names=None), seed=0)
        lost.append(accuracy(without, unseen, labels) - accuracy(head, unseen, labels))
    assert np.mean(lost) < 0.003


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (("sport", "money"), True),
        (("spam", "not spam"), True),
        (("1", "2"), False),
        (("A", "money"), False),
        (("A12", "Q3"), False),
        (("topic_15", "topic_16"), False),
        (("class a", "class b"), False),
    ],
)
def test_names_that_are_codes_are_not_looked_at(labels: tuple[str, str], named: bool) -> None:  # noqa: FBT001 - a table
    """One label called by a digit or a letter, and no name counts: the others' would be worth more than its own."""
    words = ("goal match league striker coach", "bank shares profit market trade")
    examples = [
        Example(f"{label}-{number}", f"{text} {number}", label)
        for label, text in zip(labels, words, strict=True)
        for number in range(3)
    ]
    encoder = HashingEncoder()
    texts = [f"{text} {number}" for text in words for number in range(100, 130)]
    model = ClassyLearner(encoder, seed=0).fit(examples, pool=PoolSample(encoder.encode(texts), "60 texts"))
    assert any(one.head == "names" for one in model.evidence) == named


def test_without_a_pool_names_serve_as_examples() -> None:
    """One text a label: names beside it are worth more than names compared with four texts, and than no names."""
    right: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(8):
        drawn = np.arange(4)
        asked = np.repeat(drawn, 50)
        unseen = blobs(asked, seed + 100, noise=0.6)
        given = training(blobs(drawn, seed, noise=0.6), drawn, names=NAMES)
        for named, accuracies in right.items():
            head = choose_head(given if named else replace(given, names=None), seed=0)
            accuracies.append(accuracy(head, unseen, asked))
    assert np.mean(right[True]) > np.mean(right[False]) + 0.05


@pytest.fixture(scope="module", params=get_args(Kind))
def head(request: pytest.FixtureRequest) -> Head:
    return choose_head(in_blobs(5, names=NAMES), seed=0, kind=request.param)


def test_a_row_does_not_depend_on_its_company(head: Head) -> None:
    """Alone, in any slice, in any order: the same bytes; and the rows sum to one."""
    vectors = blobs(np.arange(300) % 4, seed=5)
    together = head.predict_proba(vectors)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    assert np.vstack([head.predict_proba(row[None]) for row in vectors]).tobytes() == together.tobytes()
    for start, stop in ((0, 2), (3, 100), (17, 40)):
        assert head.predict_proba(vectors[start:stop]).tobytes() == together[start:stop].tobytes()
    assert head.predict_proba(vectors[::-1]).tobytes() == together[::-1].tobytes()


def test_a_wide_row_does_not_depend_on_its_company() -> None:
    """At the width of real embeddings and with many labels too, where buffers fill in the middle of a row."""
    random = np.random.default_rng(0)
    wide = Head("linear", (random.normal(size=(385, 77)).astype(np.float32),), (3.0,))
    vectors = unit(random.normal(size=(120, 384)))
    together = wide.predict_proba(vectors)
    for start, stop in ((0, 1), (21, 22), (22, 64), (119, 120)):
        assert wide.predict_proba(vectors[start:stop]).tobytes() == together[start:stop].tobytes()


def test_score_is_predict_proba_but_for_the_last_bits(head: Head) -> None:
    vectors = blobs(np.arange(300) % 4, seed=5)
    scored = head.score(vectors)
    assert scored.dtype == np.float32
    np.testing.assert_allclose(scored, head.predict_proba(vectors), atol=2e-5)


def test_predictions_are_the_most_probable_class(head: Head) -> None:
    vectors = blobs(np.arange(100) % 4, seed=5)
    np.testing.assert_array_equal(head.predict(vectors), head.predict_proba(vectors).argmax(axis=1))
    assert head.classes_.tolist() == [0, 1, 2, 3]


def test_same_inputs_same_bytes() -> None:
    """Chosen twice, from graphs built twice: the same head, evidence and probabilities to the last bit."""
    one, two = (choose_head(in_blobs(4, names=NAMES), seed=3) for _ in range(2))
    vectors = blobs(np.arange(50) % 4, seed=5)
    assert (one.name, one.evidence) == (two.name, two.evidence)
    assert one.predict_proba(vectors).tobytes() == two.predict_proba(vectors).tobytes()


def test_a_kind_that_is_asked_for_is_taken() -> None:
    """Its scorers alone are weighed, whatever the evidence; without a pool there are only regressions."""
    vectors, labels = across(80, seed=0)
    given = training(vectors, labels, graph=PoolGraph(across(200, seed=1)[0]))
    assert choose_head(given, seed=0, kind="pooled").name == "pooled"
    assert [one.head for one in choose_head(given, seed=0, kind="pooled").evidence] == [
        "pooled",
        "pool-means",
    ]
    alone = choose_head(replace(given, graph=None), seed=0, kind="pooled")
    assert [one.head for one in alone.evidence[1:]] == ["linear", "firm"]


def test_more_examples_than_spread_still_know_every_label() -> None:
    """A label whose examples are all left out of spreading keeps its own mean."""
    labels = np.concatenate([np.arange(120) % 3, [3, 3]])
    given = training(
        blobs(labels, seed=0, noise=0.2),
        labels,
        graph=PoolGraph(blobs(np.arange(200) % 4, seed=1, noise=0.2)),
    )
    head = choose_head(given, seed=0, kind="pooled", max_spread=30)
    assert head.predict(unit(CENTRES)).tolist() == [0, 1, 2, 3]
