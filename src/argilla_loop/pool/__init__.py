"""Load the pool of texts from a Hugging Face dataset, local files, or another Argilla dataset."""

from argilla_loop.pool.arrow import ArrowPool
from argilla_loop.pool.load import load_pool, pool_revision
from argilla_loop.pool.read import ArgillaRow, ArgillaRows
from argilla_loop.pool.report import PoolReport, render
from argilla_loop.pool.watch import WatchedPool

__all__ = [
    "ArgillaRow",
    "ArgillaRows",
    "ArrowPool",
    "PoolReport",
    "WatchedPool",
    "load_pool",
    "pool_revision",
    "render",
]
