"""The whole model as one ONNX graph: the encoder's own nodes, then pooling, normalisation, head and calibration.

The head's nodes do in the same precision, in the same order, what ``Head.score`` and ``PairwiseMargins.score`` do:
scores in float32 and everything after them in float64. Only operators are used whose meaning is the same in every
version of ONNX's operator set from ``MIN_OPSET`` on, because the encoder's file decides which one the graph has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from argilla_loop.errors import ModelError
from argilla_loop.learning.encoders.export import INPUTS
from argilla_loop.learning.encoders.weights import ModelFiles
from argilla_loop.learning.heads.head import TINY, Head
from argilla_loop.learning.heads.margins import PairwiseMargins
from argilla_loop.learning.saved.arrays import SavedHead

# The graph's one output: shape (batch, labels), float32, rows summing to 1.
OUTPUT = "probabilities"
# Before the names of all our nodes and values, so that none is the encoder's.
PREFIX = "argilla_loop/"
# The first version in which MatMul, Log, Exp and Max take float64 and Clip's limits are not attributes.
MIN_OPSET = 12


def whole_graph(files: ModelFiles, head: SavedHead, label_count: int) -> Any:
    """Return the encoder's ONNX model, extended so that its only output is ``probabilities``.

    Inputs are those of the encoder: ``input_ids``, ``attention_mask``, and ``token_type_ids`` if it has them, each
    int64 of shape (batch, tokens).

    Args:
        files: the encoder.
        head: fitted on its embeddings.
        label_count: the number of columns of the output.

    Raises:
        ModelError: the encoder's file is broken, or not a sentence encoder's.
    """
    try:
        model = onnx.load(str(files.onnx))
    except Exception as error:  # protobuf raises kinds of its own
        raise ModelError(
            f"model {files.name!r}: {files.onnx} cannot be read; fetch or export it again"
        ) from error
    version = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    inputs = {one.name for one in model.graph.input} - {one.name for one in model.graph.initializer}
    hidden = next((one.name for one in model.graph.output if len(one.type.tensor_type.shape.dim) == 3), None)  # noqa: PLR2004 - batch, tokens, features
    if version < MIN_OPSET or hidden is None or not inputs <= set(INPUTS):
        raise ModelError(
            f"model {files.name!r}: its ONNX file (operators of version {version}, inputs {sorted(inputs)}) cannot be "
            f"extended; export it as feature-extraction with operators of version {MIN_OPSET} or later"
        )
    nodes = _Nodes(model.graph)
    vectors = _embeddings(nodes, hidden, files)
    if isinstance(head, PairwiseMargins):  # noqa: SIM108 - one line would be too long
        probabilities = _svm(nodes, vectors, head)
    else:
        probabilities = _linear(nodes, vectors, head)
    nodes.add("Cast", [probabilities], name=OUTPUT, to=TensorProto.FLOAT)
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", label_count])
    )
    model.producer_name, model.doc_string = "argilla-loop", ""
    return model


class _Nodes:
    """Adds nodes to the end of a graph."""

    def __init__(self, graph: Any) -> None:
        self._graph, self._count = graph, 0

    def add(self, operator: str, inputs: list[str], *, name: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        self._count += 1
        called = f"{PREFIX}{self._count}_{operator}"
        self._graph.node.append(
            helper.make_node(operator, inputs, [name or called], name=called, **attributes)
        )
        return name or called

    def constant(self, array: Any) -> str:
        """Add a constant; return its name."""
        self._count += 1
        name = f"{PREFIX}{self._count}_constant"
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def double(self, value: str) -> str:
        """Convert ``value`` to float64."""
        return self.add("Cast", [value], to=TensorProto.DOUBLE)

    def shape(self, *sizes: int) -> str:
        """Add the target of a Reshape; 0 keeps a size, -1 is what remains."""
        return self.constant(np.array(sizes, dtype=np.int64))


def _embeddings(nodes: _Nodes, hidden: str, files: ModelFiles) -> str:
    """Pool token embeddings (b, t, d) and normalise: (b, d), rows of unit length."""
    if files.pooling == "cls":
        pooled = nodes.add("Gather", [hidden, nodes.constant(np.array(0, dtype=np.int64))], axis=1)
    else:
        # The sum over the tokens: dividing by their number would not change the direction.
        mask = nodes.add("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        row = nodes.add("Reshape", [mask, nodes.shape(0, 1, -1)])
        pooled = nodes.add("Reshape", [nodes.add("MatMul", [row, hidden]), nodes.shape(0, -1)])
    return nodes.add("LpNormalization", [pooled], axis=1, p=2)


def _linear(nodes: _Nodes, vectors: str, head: Head) -> str:
    """Do what ``Head.score`` does: probabilities (b, k), float64."""
    total = None
    for coefficients, scale in zip(head.coefficients, head.scales, strict=True):
        product = nodes.add("MatMul", [vectors, nodes.constant(coefficients[:-1].astype(np.float32))])
        scores = nodes.add("Add", [product, nodes.constant(coefficients[-1].astype(np.float32))])
        scaled = nodes.add("Mul", [scores, nodes.constant(np.float32(scale))])
        one = nodes.add("Softmax", [nodes.double(scaled)], axis=1)
        total = one if total is None else nodes.add("Add", [total, one])
    assert total is not None  # noqa: S101 - a head has a scorer
    mean = nodes.add("Div", [total, nodes.constant(np.float64(len(head.coefficients)))])
    if head.scale == 1.0 and head.offsets is None:
        return mean
    logarithms = nodes.add("Log", [nodes.add("Max", [mean, nodes.constant(np.float64(TINY))])])
    scores = nodes.add("Mul", [logarithms, nodes.constant(np.float64(head.scale))])
    if head.offsets is not None:
        scores = nodes.add("Add", [scores, nodes.constant(head.offsets.astype(np.float64))])
    return nodes.add("Softmax", [scores], axis=1)


def _svm(nodes: _Nodes, vectors: str, head: PairwiseMargins) -> str:
    """Do what ``PairwiseMargins.score`` does: probabilities (b, k), float64."""
    inputs, k = nodes.double(vectors), head.label_count
    parts = []
    for support, dual in head.parts:
        kernel = nodes.add("MatMul", [inputs, nodes.constant(support.T)])
        if head.gamma is not None:
            # the embeddings have unit length: squared distance = 1 + |support|^2 - 2 similarity
            lengths = nodes.constant(-head.gamma * (1.0 + (support**2).sum(axis=1)))
            twice = nodes.add("Mul", [kernel, nodes.constant(np.float64(2 * head.gamma))])
            kernel = nodes.add("Exp", [nodes.add("Add", [twice, lengths])])
        parts.append(nodes.add("MatMul", [kernel, nodes.constant(dual)]))
    columns = nodes.add("Concat", parts, axis=1)
    first, second, sign, intercept = head.pairs()
    both = nodes.add(
        "Add",
        [nodes.add("Gather", [columns, nodes.constant(one)], axis=1) for one in (first, second)],
    )
    # log(1 + exp(x)) of the scaled margins, turned round, as max(x, 0) + log(1 + exp(-|x|))
    margins = nodes.add("Add", [both, nodes.constant(intercept)])
    turned = nodes.add("Mul", [margins, nodes.constant(-head.scale * sign)])
    small = nodes.add("Exp", [nodes.add("Neg", [nodes.add("Abs", [turned])])])
    rest = nodes.add("Log", [nodes.add("Add", [small, nodes.constant(np.float64(1.0))])])
    losses = nodes.add("Add", [nodes.add("Max", [turned, nodes.constant(np.float64(0.0))]), rest])
    by_label = nodes.add("Reshape", [losses, nodes.shape(0, k, k - 1)])
    summed = nodes.add("MatMul", [by_label, nodes.constant(-np.ones((k - 1, 1)))])
    return nodes.add("Softmax", [nodes.add("Reshape", [summed, nodes.shape(0, k)])], axis=1)
