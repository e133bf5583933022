"""Waiting for a condition, the only way in which these tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Far beyond what a slow, busy machine needs: a deadline tells "hangs" from "slow", it measures nothing.
DEADLINE_SECONDS = 180.0


class TookTooLong(AssertionError):
    """The condition did not come true before the deadline."""


def until(
    condition: Callable[[], T],
    what: str | Callable[[], str],
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    every_seconds: float = 0.02,
) -> T:
    """The first true value that `condition` returns.

    Raises TookTooLong with `what` (a callable is asked only then, so that it can tell how far it came).
    """
    give_up = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            told = what() if callable(what) else what
            raise TookTooLong(f"not within {deadline_seconds:.0f} s: {told}")
        time.sleep(every_seconds)
