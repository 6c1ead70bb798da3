"""Sentence embeddings on onnxruntime: a text has the same bytes alone and in any batch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import FloatArray
from argilla_loop.errors import ModelError, collapse_whitespace
from argilla_loop.learning.encoders.batches import plan_batches
from argilla_loop.learning.encoders.export import INPUTS
from argilla_loop.learning.encoders.weights import ModelFiles
from argilla_loop.observability.progress import progress as shown_progress
from argilla_loop.settings.files import files_digest, text_digest

# Texts tokenised at a time, so that a million texts are never a million token lists. Chosen, not measured.
CHUNK = 4096
# Lower limit of a vector's length before it is divided by it. Chosen, not measured.
MIN_LENGTH = np.float32(1e-12)
# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 200


class OnnxEncoder:
    """A sentence-transformers model on onnxruntime; implements ``domain.Encoder``.

    Texts of equal token length share a batch, so there is no padding: this is as fast as padding length-sorted batches,
    and no vector depends on the other texts of its batch. With int8 each text is a batch of its own.

    Args:
        files: the model, see ``weights.resolve_model``.
        threads: batches embedded at a time; 0 means one for every core that this process may use.
    """

    # Dimensions of the output that is used: token embeddings have batch, tokens and features.
    output_rank = 3

    def __init__(self, files: ModelFiles, *, threads: int = 0) -> None:
        self.files = files
        self._threads = threads or _core_count()
        self._lock = threading.Lock()
        self._session: Any = None
        self._tokenizer: Any = None
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of weights, tokenizer, pooling, truncation and precision, 32 hexadecimal digits."""
        if self._fingerprint is None:
            files = self.files
            try:
                content = files_digest(*files.weight_files, files.tokenizer)
            except OSError as error:
                raise ModelError(f"model {files.name!r}: cannot read its files: {error}") from error
            settings = f"{files.pooling} {files.max_length} {files.precision} {files.lower_case}"
            self._fingerprint = text_digest(f"{content} {settings}")[:32]
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """Number of columns of the embeddings."""
        self._load()
        return self._dimension

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Embed ``texts``: float32 of shape (n, dimension), rows of unit length, in the given order.

        Args:
            texts: any strings; a text longer than the model takes is cut.
            progress: show a bar, or log every few seconds.

        Raises:
            ModelError: the model cannot be loaded or run.
        """
        self._load()
        vectors = np.empty((len(texts), self._dimension), dtype=np.float32)
        if not progress:
            for rows, embedded in self._embed_all(texts):
                vectors[rows] = embedded
            return vectors
        with shown_progress("embedding_texts", len(texts)) as advance:
            for rows, embedded in self._embed_all(texts):
                vectors[rows] = embedded
                advance(len(rows))
        return vectors

    def _embed_all(self, texts: Sequence[str]) -> Iterator[tuple[list[int], FloatArray]]:
        """Yield rows and their embeddings; several batches are embedded at a time."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="encoder") as workers:
            for start in range(0, len(texts), CHUNK):
                batches = self._batches(texts[start : start + CHUNK])
                # An interruption here cancels the batches that have not started.
                for (rows, _), vectors in zip(
                    batches, workers.map(self._embed, (ids for _, ids in batches)), strict=True
                ):
                    yield [start + row for row in rows], vectors

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, cut to what the model takes; only the tokenizer is loaded."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._load_tokenizer()
        texts = [text.lower() for text in texts] if self.files.lower_case else texts
        encodings = self._tokenizer.encode_batch([_replace_surrogates(text) for text in texts])
        return [encoding.ids for encoding in encodings]

    def _batches(self, texts: Sequence[str]) -> list[tuple[list[int], NDArray[np.int64]]]:
        """Return batches as rows and their token ids."""
        tokens = self.tokens(texts)
        return [
            (rows, np.array([tokens[row] for row in rows], dtype=np.int64))
            for rows in plan_batches([len(ids) for ids in tokens], self.files.precision)
        ]

    def _embed(self, ids: NDArray[np.int64]) -> FloatArray:
        """Run the network on token ids of shape (n, tokens); nothing is padded, so the mask is all ones."""
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        try:
            hidden = self._session.run([self._output], {name: feed[name] for name in self._inputs})[0]
        except Exception as error:  # onnxruntime raises many kinds, none of them public
            raise ModelError(
                f"model {self.files.name!r}: onnxruntime cannot run it: {collapse_whitespace(error)[:MAX_REASON]}"
            ) from error
        return self._finished(hidden)

    def _finished(self, hidden: FloatArray) -> FloatArray:
        """Return what the network's output (n, tokens, d) makes of each text, shape (n, d): pooled and normalised."""
        pooled = hidden.mean(axis=1) if self.files.pooling == "mean" else hidden[:, 0]
        length = np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), MIN_LENGTH)
        return np.asarray(pooled / length, dtype=np.float32)

    def _load(self) -> None:
        """Create tokenizer and session when first needed, which takes half a second."""
        with self._lock:
            if self._session is None:
                self._tokenizer = self._load_tokenizer()
                self._session = self._load_session()

    def _load_tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415 - loaded when first needed

        try:
            tokenizer = Tokenizer.from_file(str(self.files.tokenizer))
        except Exception as error:  # tokenizers raises plain Exception
            reason = collapse_whitespace(error)[:MAX_REASON]
            raise ModelError(
                f"model {self.files.name!r}: cannot read {self.files.tokenizer}: {reason}"
            ) from error
        # A tokenizer.json may carry fixed padding and truncation to 128: half the speed, and texts cut short.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.files.max_length)
        return tokenizer

    def _load_session(self) -> Any:
        import onnxruntime  # noqa: PLC0415 - loaded when first needed

        options = onnxruntime.SessionOptions()
        # One thread for each batch, and several batches at a time, is faster than several threads for one batch
        # (docs/embeddings.md).
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            # onnxruntime would map the file; if somebody cuts a mapped file short, the process ends.
            for data in self.files.weight_files[1:]:
                content = data.read_bytes()
                options.add_external_initializers_from_files_in_memory([data.name], [content], [len(content)])
            session = onnxruntime.InferenceSession(
                str(self.files.onnx), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises many kinds, none of them public
            raise ModelError(
                f"model {self.files.name!r}: {self.files.onnx} is broken ({collapse_whitespace(error)[:MAX_REASON]}); "
                "delete it and fetch or export it again"
            ) from error
        self._inputs = [one.name for one in session.get_inputs()]
        outputs = [one for one in session.get_outputs() if len(one.shape) == self.output_rank]
        if not set(self._inputs) <= set(INPUTS) or not outputs or not isinstance(outputs[0].shape[-1], int):
            raise ModelError(
                f"model {self.files.name!r}: its ONNX inputs {self._inputs} or outputs are not those of a "
                "sentence encoder; export it as feature-extraction"
            )
        self._output = outputs[0].name
        self._dimension = int(outputs[0].shape[-1])
        return session


def _replace_surrogates(text: str) -> str:
    """Return ``text`` with question marks for lone surrogates, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _core_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
