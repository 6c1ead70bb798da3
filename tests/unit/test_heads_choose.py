"""Which head is chosen: the pool's where it knows better, the simple one where it does not, and never on a whim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from argilla_loop.domain import Example, FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.heads.choose import MARGIN, Calibrate, calibrate_head, choose_head
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import NAMED, Head, Kind
from argilla_loop.learning.heads.scorers import Training
from argilla_loop.learning.learner import ClassyLearner

WIDTH = 24
CENTRES = np.eye(WIDTH)[:4]


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


def test_the_pool_teaches_where_its_clusters_are_the_labels() -> None:
    """Two examples a label, five draws: what is chosen took part of the pool, and is far better than linear alone."""
    labels = np.arange(400) % 4
    chosen, linear, names = [], [], set()
    for seed in range(5):
        given, unseen = in_blobs(2, seed), blobs(labels, seed=77)
        head = choose_head(given, seed=0)
        names.add(head.name)
        chosen.append(accuracy(head, unseen, labels))
        linear.append(accuracy(choose_head(given, seed=0, kinds=["linear"]), unseen, labels))
    assert "linear" not in names
    assert np.mean(chosen) > np.mean(linear) + 0.1


def test_with_more_examples_the_pool_still_teaches() -> None:
    """Nine examples a label are evidence enough to go without it, and it is kept."""
    assert "linear" not in {choose_head(in_blobs(9, seed), seed=0).name for seed in range(2)}


def test_it_stays_linear_where_neighbours_do_not_share_labels() -> None:
    """Clusters on one thing, labels on another: the evidence shows it, and nothing of the pool is taken."""
    vectors, labels = across(60, seed=0)
    pool, _ = across(600, seed=1)
    unseen, gold = across(400, seed=2)
    given = training(vectors, labels, graph=PoolGraph(pool))
    head = choose_head(given, seed=0)
    assert head.name == "linear"
    pooled = choose_head(given, seed=0, kinds=["pooled"])
    assert accuracy(head, unseen, gold) > accuracy(pooled, unseen, gold) + 0.2


def fixed_losses(losses: dict[str, float], examples: int) -> Calibrate:
    """Make heads whose evidence is what the test wants, in nats over all examples."""

    def calibrated(name: str, *_: object) -> Head:
        loss = losses.get(name, 1000.0) / examples
        return Head(
            name,
            (np.zeros((WIDTH + 1, 4), np.float32),),
            (1.0,),
            evidence=(HeadEvidence(name, examples, 0.5, loss, 0.1, None, 0.0),),
        )

    return calibrated


@pytest.mark.parametrize(
    ("ahead", "previous", "expected"),
    [
        (MARGIN - 0.1, "leaning", "leaning"),
        (MARGIN + 0.1, "leaning", "pooled"),
        (MARGIN - 0.1, None, "pooled"),
        (MARGIN - 0.1, "a head of old", "pooled"),
    ],
)
def test_the_previous_head_stays_within_the_margin(ahead: float, previous: str | None, expected: str) -> None:
    """Another head must be better by the margin to take over; beyond it, it does."""
    given = in_blobs(12)  # no longer few: the usual one is linear, far behind here
    calibrate = fixed_losses({"leaning": 20.0, "pooled": 20.0 - ahead}, 48)
    assert choose_head(given, seed=0, previous=previous, calibrate=calibrate).name == expected


@pytest.mark.parametrize(("each", "usual"), [(2, "blended"), (12, "linear")])
@pytest.mark.parametrize("ahead", [MARGIN - 0.1, MARGIN + 0.1])
def test_the_usual_head_is_kept_where_they_tie(each: int, usual: str, ahead: float) -> None:
    """Blended while examples are few, linear after: another one must be better by the margin."""
    given = in_blobs(each)
    calibrate = fixed_losses({usual: 20.0, "pooled": 20.0 - ahead}, 4 * each)
    assert choose_head(given, seed=0, calibrate=calibrate).name == (usual if ahead < MARGIN else "pooled")


@pytest.mark.parametrize(("single", "chosen"), [(0, "pooled"), (1, "blended"), (2, "blended")])
def test_where_labels_cannot_be_held_out_the_usual_head_is_kept(single: int, chosen: str) -> None:
    """However much better another one is at the labels that can: it may be hopeless at the others."""
    given = in_blobs(3)
    kept = np.array([label >= single or n < 4 for n, label in enumerate(given.labels)])
    given = replace(
        given, vectors=given.vectors[kept], labels=given.labels[kept], trusted=given.trusted[kept],
        weights=given.weights[kept],
    )  # fmt: skip
    calibrate = fixed_losses({"blended": 20.0, "pooled": 5.0}, int(kept.sum()))
    head = choose_head(given, seed=0, previous="pooled", calibrate=calibrate)
    assert head.name == chosen
    assert head.evidence[0].head == chosen


def test_evidence_names_every_head_once_the_chosen_first() -> None:
    given = in_blobs(5, names=unit(CENTRES))
    head = choose_head(given, seed=0)
    found = [one.head for one in head.evidence]
    assert found[0] == head.name
    assert sorted(found) == sorted(
        kind + names for kind in ("linear", "blended", "leaning", "pooled") for names in ("", NAMED)
    )
    assert {one.examples for one in head.evidence} == {20}


def test_what_the_model_labelled_is_no_evidence() -> None:
    """Forty model-made examples, right or flipped: only people's twenty are ever held out, with their labels."""
    held_out: list[tuple[IndexArray, IndexArray]] = []

    def calibrated(name: str, scorers: Sequence[Any], evident: IndexArray, labels: IndexArray) -> Head:
        held_out.append((evident, labels[evident]))
        return calibrate_head(name, scorers, evident, labels)

    labels = np.tile(np.arange(4), 15)
    trusted = np.arange(60) < 20
    vectors = blobs(labels, seed=0)
    graph = PoolGraph(blobs(np.arange(200) % 4, seed=1))
    flipped = np.where(trusted, labels, (labels + 1) % 4)
    for given in (labels, flipped):
        rows = training(vectors, given, trusted=trusted, graph=graph)
        head = choose_head(rows, seed=0, calibrate=calibrated)
        assert {one.examples for one in head.evidence} == {20}
    assert {evident.tobytes() for evident, _ in held_out} == {np.arange(20).tobytes()}
    assert {right.tobytes() for _, right in held_out} == {labels[:20].tobytes()}


def test_a_model_that_agrees_with_itself_proves_nothing() -> None:
    """No example of people: no evidence, however many the model made; and the head is linear."""
    head = choose_head(in_blobs(9, trusted=np.zeros(36, bool)), seed=0)
    assert (head.name, head.evidence) == ("linear", ())


@pytest.mark.parametrize("count", [2, 3])
def test_too_few_examples_for_evidence_make_a_linear_head(count: int) -> None:
    """Below four examples nothing is claimed; the head still answers, and knows its own examples."""
    labels = np.arange(count, dtype=np.int64)
    vectors = blobs(labels, seed=0)
    head = choose_head(training(vectors, labels, graph=PoolGraph(blobs(np.arange(60) % 4, seed=1))), seed=0)
    assert (head.name, head.evidence) == ("linear", ())
    assert head.predict(vectors).tolist() == labels.tolist()


def test_a_label_with_one_example_is_learnt_but_is_no_evidence() -> None:
    """Held out it would be unknown to the model: it trains only."""
    labels = np.array([0, 0, 0, 1, 1, 1, 2], dtype=np.int64)
    head = choose_head(training(blobs(labels, seed=0, noise=0.1), labels), seed=0)
    assert head.evidence[0].examples == 6
    assert head.predict(unit(CENTRES[:3])).tolist() == [0, 1, 2]


def test_names_help_while_examples_are_few_and_go_when_there_are_many() -> None:
    """With good names and one example a label they take part; with ten a label no head has them."""
    labels, names = np.arange(400) % 4, unit(CENTRES)
    few = in_blobs(2, names=names)
    head = choose_head(few, seed=0)
    assert head.name.endswith(NAMED)
    unseen = blobs(labels, seed=77)
    assert (
        accuracy(head, unseen, labels)
        >= accuracy(choose_head(replace(few, names=None), seed=0), unseen, labels)
    )  # fmt: skip
    assert not any(
        one.head.endswith(NAMED) for one in choose_head(in_blobs(10, names=names), seed=0).evidence
    )


def test_names_that_mislead_are_dropped_on_evidence() -> None:
    """Each label bears another's name: with nine examples a label the head goes without them."""
    labels = np.tile(np.arange(4), 9)
    vectors = blobs(labels, seed=0, noise=0.3)
    head = choose_head(training(vectors, labels, names=unit(CENTRES[[1, 2, 3, 0]])), seed=0)
    assert not head.name.endswith(NAMED)


@pytest.mark.parametrize(
    ("labels", "named"), [(("sport", "money"), True), (("1", "2"), False), (("A", "money"), False)]
)
def test_names_that_are_codes_are_not_looked_at(labels: tuple[str, str], named: bool) -> None:  # noqa: FBT001 - a table
    """One label called by a digit or a letter, and no name counts: the others' would be worth more than its own."""
    words = ("goal match league striker coach", "bank shares profit market trade")
    examples = [
        Example(f"{label}-{number}", f"{text} {number}", label)
        for label, text in zip(labels, words, strict=True)
        for number in range(3)
    ]
    model = ClassyLearner(HashingEncoder(), seed=0).fit(examples)
    assert any(one.head.endswith(NAMED) for one in model.evidence) == named


@pytest.fixture(scope="module", params=get_args(Kind))
def head(request: pytest.FixtureRequest) -> Head:
    return choose_head(in_blobs(5, names=unit(CENTRES)), seed=0, kinds=[request.param])


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
    one, two = (choose_head(in_blobs(4, names=unit(CENTRES)), seed=3) for _ in range(2))
    vectors = blobs(np.arange(50) % 4, seed=5)
    assert (one.name, one.evidence) == (two.name, two.evidence)
    assert one.predict_proba(vectors).tobytes() == two.predict_proba(vectors).tobytes()


def test_a_kind_that_is_asked_for_is_taken() -> None:
    """Without competition, whatever the evidence; without a pool there is only linear."""
    vectors, labels = across(80, seed=0)
    given = training(vectors, labels, graph=PoolGraph(across(200, seed=1)[0]))
    assert choose_head(given, seed=0, kinds=["pooled"]).name == "pooled"
    assert choose_head(replace(given, graph=None), seed=0, kinds=["pooled"]).name == "linear"


def test_more_examples_than_spread_still_know_every_label() -> None:
    """A label whose examples are all left out of spreading keeps its own mean."""
    labels = np.concatenate([np.arange(120) % 3, [3, 3]])
    given = training(
        blobs(labels, seed=0, noise=0.2),
        labels,
        graph=PoolGraph(blobs(np.arange(200) % 4, seed=1, noise=0.2)),
    )
    head = choose_head(given, seed=0, kinds=["pooled"], max_spread=30)
    assert head.predict(unit(CENTRES)).tolist() == [0, 1, 2, 3]
