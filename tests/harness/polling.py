"""Waits for conditions; the tests wait in no other way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Far more than a slow, busy machine needs: the deadline detects hangs, it does not measure speed.
DEADLINE_SECONDS = 180.0


class DeadlineExceeded(AssertionError):
    """The condition did not come true before the deadline."""


def until(
    condition: Callable[[], T],
    what: str | Callable[[], str],
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    every_seconds: float = 0.02,
) -> T:
    """Polls `condition` and returns its first true value.

    Raises DeadlineExceeded with `what`; a callable is called only then, so that it can report the progress.
    """
    give_up = time.monotonic() + deadline_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            text = what() if callable(what) else what
            raise DeadlineExceeded(f"not within {deadline_seconds:.0f} s: {text}")
        time.sleep(every_seconds)
