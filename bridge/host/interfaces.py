"""Declares what the gateway needs of its reactor and of its thread for blocking jobs."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet import interfaces
from twisted.internet.defer import Deferred

T = TypeVar("T")


class Reactor(
    interfaces.IReactorCore,
    interfaces.IReactorFDSet,
    interfaces.IReactorPluggableNameResolver,
    interfaces.IReactorSocket,
    interfaces.IReactorTCP,
    interfaces.IReactorThreads,
    interfaces.IReactorTime,
    interfaces.IReactorUNIX,
):
    """The reactor of the process. Where only timers are needed, use Twisted's ``IReactorTime`` instead."""

    def longest_turn() -> float:
        """Returns the seconds of the longest turn since the last call, with the current one so far."""


class Run(Protocol):
    """Runs a blocking job in another thread: ``await run(job)``. Jobs run one at a time, in order."""

    def __call__(self, job: Callable[[], T], /) -> Deferred[T]:
        """Queues the job. The result is that of the job, or its failure."""
