"""Convert columns (Arrow arrays or Python values) to strings, where possible without a Python object for each row.

All results are ``large_string``: its 64-bit offsets do not overflow with a batch of long texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Column = Any  # pa.Array | list[object]: pyarrow ships no types
BoolArray = NDArray[np.bool_]

STRING = pa.large_string()

# The characters for which str.isspace() is true: Arrow's trimming uses another set.
WHITESPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
REPLACEMENT = "\ufffd"


class Strings(NamedTuple):
    """A column as strings."""

    values: Any  # large_string array; null where there is no string
    odd: BoolArray  # where there was a value that is not a string
    mended: int  # strings with broken Unicode or NUL, each such character replaced by U+FFFD


def to_texts(column: Column) -> Strings:
    """Return the strings of ``column``; numbers, lists, bytes and structs are odd, and not converted."""
    if isinstance(column, list):
        found = [value if isinstance(value, str) else None for value in column]
        odd = np.fromiter((v is not None and not isinstance(v, str) for v in column), np.bool_, len(column))
        return _repair(_array(found), odd)
    column = _plain(column)
    if isinstance(column, list):
        return to_texts(column)
    if _is_string(column.type):
        return _repair(column.cast(STRING), np.zeros(len(column), np.bool_))
    return Strings(pa.nulls(len(column), STRING), _mask(column.is_valid()), 0)


def to_names(column: Column, names: Sequence[str] | None = None) -> Strings:
    """Return the labels or ids of ``column`` as strings; blank ones are null.

    Numbers and booleans are written out. A list of one element counts as that element, an empty list is null. Longer
    lists and everything else are odd.

    Args:
        column: the values.
        names: of the integers, if the column is a ``ClassLabel`` (-1 stands for none).
    """
    if not isinstance(column, list):
        column = _plain(column)
    if isinstance(column, list):
        found = [_name(value) for value in column]
        odd = np.fromiter((name is None for name in found), np.bool_, len(found))
        strings = _repair(_array([name or None for name in found]), odd)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        one = pc.equal(lengths, 1)
        # Slicing first keeps list_element from reaching into lists that are empty or null.
        firsts = pc.list_element(column.filter(one), 0) if pc.any(one).as_py() else pa.nulls(0, STRING)
        inner = to_names(firsts, names)
        spread = pa.nulls(len(column), STRING)
        spread = pc.replace_with_mask(spread, one, inner.values)
        odd = _mask(pc.greater(lengths, 1))
        odd[np.flatnonzero(_mask(one))] = inner.odd
        strings = Strings(spread, odd, inner.mended)
    elif names is not None:
        table = pa.array(list(names), STRING)
        known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
        indices = pc.if_else(known, column, pa.scalar(None, column.type))
        strings = Strings(table.take(indices), np.zeros(len(column), np.bool_), 0)
    elif _is_string(column.type):
        strings = _repair(column.cast(STRING), np.zeros(len(column), np.bool_))
    elif pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        strings = Strings(pa.nulls(len(column), STRING), _mask(column.is_valid()), 0)
    else:
        strings = Strings(column.cast(STRING), np.zeros(len(column), np.bool_), 0)
    return strings._replace(
        values=pc.if_else(is_blank(strings.values), pa.scalar(None, STRING), strings.values)
    )


def is_blank(strings: Any) -> Any:
    """Return a boolean array: whether each string is empty or white space; null for null."""
    return pc.equal(pc.utf8_trim(strings, characters=WHITESPACE), "")


def join_fields(column: Column, separator: str) -> Any:
    """Return the joined string fields of each record of a struct column, in order; null if there are none."""
    if not isinstance(column, list):
        column = _plain(column)
    if isinstance(column, list):
        return to_texts([_join(record, separator) for record in column]).values
    if not pa.types.is_struct(column.type):
        return pa.nulls(len(column), STRING)
    fields = [field for field in column.flatten() if _is_string(field.type)]
    if not fields:
        return pa.nulls(len(column), STRING)
    strings = [to_texts(field).values for field in fields]
    present = strings[0].is_valid()
    for other in strings[1:]:
        present = pc.or_(present, other.is_valid())
    # Only where there is something to join: pyarrow 26 drops a row whose strings are all null.
    joined = pc.binary_join_element_wise(
        *(values.filter(present) for values in strings), pa.scalar(separator, STRING), null_handling="skip"
    )
    return pc.replace_with_mask(pa.nulls(len(column), STRING), present, joined)


def _join(record: object, separator: str) -> str | None:
    if not isinstance(record, dict):
        return None
    strings = [value for value in record.values() if isinstance(value, str)]
    return separator.join(strings) if strings else None


def _name(value: object) -> str | None:
    """Return the name, ``""`` if there is none, ``None`` if the value cannot be a name."""
    if isinstance(value, list):
        if len(value) > 1:
            return None
        value = value[0] if value else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()  # as Arrow writes it
    return str(value) if isinstance(value, (str, int, float)) else None


def _plain(column: Any) -> Any:
    """Undo dictionary encoding and extension types; JSON columns (mixed types) become Python values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # what pyarrow gives for no chunk at all
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    if isinstance(column.type, pa.BaseExtensionType):
        is_json = getattr(column.type, "extension_name", "") == "arrow.json"
        storage = column.storage
        if is_json:
            return [None if text is None else json.loads(text) for text in storage.to_pylist()]
        return _plain(storage)
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    return column


def _is_string(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _array(values: list[str | None]) -> Any:
    try:
        return pa.array(values, STRING)
    except UnicodeEncodeError:  # lone surrogates become NUL until _repair counts both
        return pa.array([_without_surrogates(value) for value in values], STRING)


def _without_surrogates(value: str | None) -> str | None:
    if value is None:
        return None
    # Through UTF-16, so that a valid pair of surrogates becomes its character.
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value if whole == value else whole.replace(REPLACEMENT, "\0")


def _repair(strings: Any, odd: BoolArray) -> Strings:
    """Replace broken UTF-8 and NUL, which Arrow and PostgreSQL do not store."""
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        raw = strings.cast(pa.large_binary()).to_pylist()
        strings = pa.array(
            [None if b is None else b.decode("utf-8", "replace").replace(REPLACEMENT, "\0") for b in raw],
            STRING,
        )
    broken = pc.fill_null(pc.match_substring(strings, "\0"), fill_value=False)
    mended = int(pc.sum(broken).as_py() or 0)
    if mended:
        strings = pc.replace_substring(strings, "\0", REPLACEMENT)
    return Strings(strings, odd, mended)


def _mask(booleans: Any) -> BoolArray:
    mask: BoolArray = np.array(booleans.to_numpy(zero_copy_only=False), np.bool_)
    return mask
