"""Choose which pool records to ask about next. Arrays in, indices out, no I/O."""

from argilla_loop.policy.query.duplicates import NEAR_DUPLICATE
from argilla_loop.policy.query.order import shuffled
from argilla_loop.policy.query.strategies import Strategy, choose, random_count

__all__ = ["NEAR_DUPLICATE", "Strategy", "choose", "random_count", "shuffled"]
