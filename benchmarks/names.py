"""What the labels' names alone are worth: accuracy without any label. Writes ``names.md``.

    python benchmarks/names.py SETS/*.parquet [--cache FOLDER]

A set is a parquet file with the columns ``text``, ``label`` and ``split``, and may have its embeddings beside it
(``.npy``). ``kind_sets.py`` writes some. The pool is 4,000 texts of the train split; all test texts are predicted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from argilla_loop.domain import FloatArray, PoolSample
from argilla_loop.learning.guess import guess_from_names
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.names import score_names
from argilla_loop.learning.label_names import TEMPLATES, embed_names
from shared.encoder import fp32_encoder
from shared.sets import embeddings_of, read_frame
from shared.tables import table

POOL = 4000
HERE = Path(__file__).parent
INTRODUCTION = """# What the labels' names say before the first label

Accuracy in per cent on test texts, without any example. Four sentences that a name is put into are compared with the
texts after centring. *all four* is their mean, and *over the pool* what the service suggests: the mean, spread over the
neighbours in a pool of up to 4,000 texts. *certainty* is the mean probability of its suggestions."""


def main() -> None:
    """Measure each set, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "argilla-loop-accuracy")
    asked = parser.parse_args()
    encoder = fp32_encoder(asked.cache)
    rows = []
    for file in asked.files:
        frame = read_frame(file)
        vectors = np.asarray(embeddings_of(file, frame["text"].tolist()), dtype=np.float32)
        labels = sorted(set(frame["label"]))
        names = embed_names(labels, encoder)
        assert names is not None, file
        is_test = (frame["split"] == "test").to_numpy()
        gold = np.array([labels.index(label) for label in frame["label"][is_test]])
        pool, test = vectors[~is_test][:POOL], vectors[is_test]
        guess = guess_from_names(labels, encoder, PoolSample(pool, file.stem), PoolGraph(pool))
        assert guess is not None
        found = guess.score(test)
        single = [_accuracy(score_names(names[n : n + 1], pool), test, gold) for n in range(len(TEMPLATES))]
        measured = [*single, _accuracy(score_names(names, pool), test, gold)]
        measured += [float((found.argmax(axis=1) == gold).mean()), float(found.max(axis=1).mean())]
        share = float(np.bincount(gold).max() / len(gold))
        rows.append([file.stem, str(len(labels)), *(f"{100 * one:.1f}" for one in [share, *measured])])
        print(rows[-1], flush=True)
    columns = ["set", "labels", "most frequent label", *(f"`{one}`" for one in TEMPLATES)]
    columns += ["all four", "**over the pool**", "certainty"]
    (HERE / "names.md").write_text(f"{INTRODUCTION}\n\n{table(columns, rows)}\n", encoding="utf-8")


def _accuracy(scorer: FloatArray, vectors: FloatArray, gold: np.ndarray) -> float:
    return float(((vectors @ scorer[:-1] + scorer[-1]).argmax(axis=1) == gold).mean())


if __name__ == "__main__":
    main()
