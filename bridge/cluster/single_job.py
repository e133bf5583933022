"""Runs an asynchronous job that must not run twice at the same time."""

from collections.abc import Callable, Coroutine

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger(namespace="fleet")


class SingleJob:
    """Runs one job at a time and logs a defect in it; ``what`` says in the log what the job does."""

    def __init__(self, what: str) -> None:
        self.busy = False
        self._what = what

    def start(
        self, job: "Coroutine[defer.Deferred[object], object, None] | defer.Deferred[None]",
        then: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """Starts a job. ``then`` is called when the job has ended, also after a defect."""
        self.busy = True

        def ended(result: object) -> None:
            self.busy = False
            if isinstance(result, Failure):
                log.failure("defect while {what}", result, what=self._what)
            then()

        defer.ensureDeferred(job).addBoth(ended)
