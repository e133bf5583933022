"""Declares how code without Twisted hands a blocking job to another thread."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Work(Protocol):
    """Runs a blocking job, then passes its result to a callback on the reactor. Jobs run one at a time, in order."""

    def __call__(self, job: Callable[[], T], done: Callable[[T], object], /) -> None:
        """Queues the job."""
