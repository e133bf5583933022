"""The spool's one thread: all blocking work of a bridge, in the order in which it was asked for."""

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

log = Logger(namespace="spool")


class SpoolThread:
    """One bridge's. Results come back on the reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._threads = ThreadPool(1, 1, name="spool")

    def start(self) -> None:
        """Begin to work; what was asked for before is done now."""
        self._threads.start()

    def stop(self) -> None:
        """Finish what was asked for; waits for it."""
        if self._threads.started:
            self._threads.stop()

    def in_thread(self, job: Callable[[], Any]) -> "defer.Deferred[Any]":
        """Run a job; its result, or its failure."""
        return deferToThreadPool(self._reactor, self._threads, job)

    def work(self, job: Callable[[], object], done: Callable[[object], None]) -> None:
        """Run a job that does not fail, then ``done`` with its result on the reactor."""

        def defect(failure: Failure) -> None:
            log.failure("spool: defect in the spool's thread", failure)

        self.in_thread(job).addCallback(done).addErrback(defect)
