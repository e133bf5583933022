"""Starts and stops the services of a bridge in order."""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet import defer
from twisted.logger import Logger

log = Logger(namespace="app")

Step = Callable[[], Coroutine[Any, Any, None]]


async def no_step() -> None:
    """Does nothing, for a service that needs no start or no stop."""


class AwaitedService(Service):
    """Starts and stops one part of a bridge with a coroutine each."""

    def __init__(self, name: str, *, start: Step = no_step, stop: Step = no_step) -> None:
        self.name = name
        self._start = start
        self._stop = stop

    def startService(self) -> "defer.Deferred[None]":
        """Starts the part."""
        super().startService()
        return defer.ensureDeferred(self._start())

    def stopService(self) -> "defer.Deferred[None]":
        """Stops the part. Also possible if it was not started."""
        super().stopService()
        return defer.ensureDeferred(self._stop())


class OrderedServices(MultiService):
    """Starts its services one after the other, and stops them in reverse order.

    Each waits until the one before it is done. Twisted's MultiService stops all at once: then the spool would be
    closed while the listeners are still being drained. It also does not wait for a service that starts.
    """

    def startService(self) -> "defer.Deferred[None]":
        """Starts all services. If one fails, stops all of them and fails with its error."""
        Service.startService(self)
        return defer.ensureDeferred(self._start())

    def stopService(self) -> "defer.Deferred[None]":
        """Stops all services. Further calls do nothing."""
        if not self.running:
            return defer.succeed(None)
        Service.stopService(self)
        return defer.ensureDeferred(self._stop())

    async def _start(self) -> None:
        try:
            for service in self:
                if not self.running:
                    return
                await defer.maybeDeferred(service.startService)
        except BaseException:
            await self.stopService()
            raise

    async def _stop(self) -> None:
        for service in reversed(list(self)):
            try:
                await defer.maybeDeferred(service.stopService)
            except Exception:
                # The later steps must seal what was received, whatever happened.
                log.failure("defect while stopping: {name}", name=service.name)
