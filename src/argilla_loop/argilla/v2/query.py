"""Queries over a dataset's records, with named parameters that are filled in at every look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Condition = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that must all hold, in the words of Argilla's own ``rg.Filter``.

    ``("response.status", "in", ("submitted", "discarded"))`` or ``("metadata.idx", "==", "{idx}")``: a value written
    ``"{name}"`` is a parameter.
    """

    where: tuple[Condition, ...] = ()

    def bind(self, params: Mapping[str, Any]) -> Query:
        """The same query with its parameters filled in.

        Raises:
            KeyError: a parameter has no value.
        """
        return Query(tuple((name, operator, _filled(value, params)) for name, operator, value in self.where))

    def __add__(self, other: Query) -> Query:
        """Both must hold."""
        return Query((*self.where, *other.where))


def evaluated(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they are now: a callable is called, anything else stands for itself."""
    return {name: value() if callable(value) else value for name, value in params.items()}


def _filled(value: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return params[value[1:-1]]
    return value


ALL = Query()
IN_BATCH = Query((("metadata.idx", "==", "{idx}"),))
ANSWERED = Query((("response.status", "in", ("submitted", "discarded")),))
PENDING = Query((("status", "==", "pending"),))  # what Argilla puts before people
DONE_IN_BATCH = ANSWERED + IN_BATCH


def between(first: int, last: int) -> Query:
    """The records of the batches from number ``first`` to number ``last``, both included."""
    return Query((("metadata.idx", ">=", first), ("metadata.idx", "<=", last)))
