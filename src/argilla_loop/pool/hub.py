"""Datasets of the Hugging Face hub, and any other loaded ``datasets.Dataset``, as a source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from argilla_loop.errors import PoolError, RetryableError, collapse_whitespace
from argilla_loop.pool.layout import Columns, RawBatch, resolve_columns
from argilla_loop.settings import PoolSettings

# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 300
SERVER_ERRORS = 500
TOO_MANY_REQUESTS = 429


def read_hub(settings: PoolSettings, batch_size: int) -> Iterator[tuple[Columns, RawBatch]]:
    """Yield batches of a dataset by name; it is downloaded once, then read from the cache of ``datasets``.

    Raises:
        RetryableError: the hub cannot be reached, or is busy.
        PoolError: no such dataset, subset, split, revision or column.
    """
    from datasets import disable_progress_bars, load_dataset  # noqa: PLC0415  two seconds, which other sources do not spend
    from huggingface_hub.utils.tqdm import disable_progress_bars as disable_hub_bars  # noqa: PLC0415

    if not sys.stderr.isatty():  # no progress bars in a log
        disable_progress_bars()
        disable_hub_bars()
    try:
        dataset = load_dataset(
            settings.name, settings.subset, split=settings.split, revision=settings.revision
        )
    except Exception as error:
        raise _explain(settings, error) from error
    return read_dataset(settings, dataset, f"dataset {settings.name}", batch_size)


def read_dataset(
    settings: PoolSettings, dataset: Any, where: str, batch_size: int
) -> Iterator[tuple[Columns, RawBatch]]:
    """Yield batches of a loaded ``datasets.Dataset``; it stays memory-mapped.

    Raises:
        PoolError: a column is missing.
    """
    from datasets import ClassLabel  # noqa: PLC0415  as above

    names = {name: kind.names for name, kind in dataset.features.items() if isinstance(kind, ClassLabel)}
    columns = resolve_columns(settings, dataset.column_names, where, names)
    wanted = columns.names()
    for table in dataset.select_columns(wanted).with_format("arrow").iter(batch_size=batch_size):
        yield columns, {name: table.column(name).combine_chunks() for name in wanted}


def _explain(settings: PoolSettings, error: Exception) -> PoolError | RetryableError:
    """Return the error for a dataset that could not be loaded; retryable if waiting may help."""
    from datasets.exceptions import DatasetNotFoundError  # noqa: PLC0415  as above
    from huggingface_hub.constants import HF_HUB_OFFLINE  # noqa: PLC0415

    reason = collapse_whitespace(error)[:MAX_REASON] or type(error).__name__
    name = settings.name
    if isinstance(error, DatasetNotFoundError):
        at = f" at revision {settings.revision!r}" if settings.revision else ""
        return PoolError(
            f"dataset {name!r}{at} is not on the Hugging Face hub, or is private: check pool.name and "
            f"pool.revision, or set HF_TOKEN ({reason})"
        )
    if HF_HUB_OFFLINE and _is_network(error):
        return PoolError(
            f"dataset {name!r} is not in the local cache and HF_HUB_OFFLINE is set: unset it, or fetch the dataset "
            f"first, or use local files ({reason})"
        )
    if _is_network(error):
        return RetryableError(f"the Hugging Face hub cannot be reached for dataset {name!r}: {reason}")
    if isinstance(error, ValueError):  # an unknown subset or split; the message lists those there are
        return PoolError(f"dataset {name!r} cannot be read: check pool.subset and pool.split ({reason})")
    return PoolError(f"dataset {name!r} cannot be read: {reason}")


def _is_network(error: BaseException | None) -> bool:
    """Return whether the network or the hub's server caused ``error``, directly or through its causes."""
    import httpx  # noqa: PLC0415  as above
    import requests  # noqa: PLC0415

    while error is not None:
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            return status >= SERVER_ERRORS or status == TOO_MANY_REQUESTS
        if isinstance(
            error, (ConnectionError, TimeoutError, requests.RequestException, httpx.TransportError)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
