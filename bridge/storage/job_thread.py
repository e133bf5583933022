"""Runs blocking jobs in a thread, in the order of the calls."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from bridge.host.interfaces import Reactor

T = TypeVar("T")
log = Logger(namespace="spool")


class JobThread:
    """Thread that runs jobs in order and passes their results to the reactor."""

    def __init__(self, reactor: Reactor, name: str) -> None:
        self._reactor = reactor
        self._name = name
        self._threads = ThreadPool(1, 1, name=name)

    def start(self) -> None:
        """Starts the thread. Jobs queued before the start run now."""
        self._threads.start()

    def stop(self) -> None:
        """Finishes all queued jobs and stops the thread. Blocks until then."""
        if self._threads.started:
            self._threads.stop()

    def run(self, job: Callable[[], T]) -> "defer.Deferred[T]":
        """Runs a job and returns its result or failure."""
        return deferToThreadPool(self._reactor, self._threads, job)

    def work(self, job: Callable[[], T], done: Callable[[T], object]) -> None:
        """Runs a job that is not expected to fail, then calls ``done`` with its result on the reactor."""
        finished = self.run(job).addCallback(done)
        finished.addErrback(lambda failure: log.failure("defect in the {name} thread", failure, name=self._name))
