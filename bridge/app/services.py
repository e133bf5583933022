"""Starts and stops the services of a bridge in order."""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

log = Logger(namespace="app")

Step = Callable[[], Coroutine[Any, Any, None]]


async def no_step() -> None:
    """Does nothing, for a service that needs no start or no stop."""


class AsyncService(Service):
    """Starts and stops one part of a bridge with a coroutine each. It is also stopped if it was not started."""

    def __init__(self, name: str, *, start: Step = no_step, stop: Step = no_step) -> None:
        self.name = name
        self._steps = start, stop

    def startService(self) -> "Deferred[None]":
        """Starts the part."""
        super().startService()
        return Deferred.fromCoroutine(self._steps[0]())

    def stopService(self) -> "Deferred[None]":
        """Stops the part."""
        super().stopService()
        return Deferred.fromCoroutine(self._steps[1]())


class OrderedServices(MultiService):
    """Starts services one after the other, and stops them in reverse order. Each waits until the one before is done.

    Twisted's MultiService waits for none that starts, and stops all at once: the spool would be closed while the
    listeners are still being drained.
    """

    def __init__(self, services: Sequence[AsyncService]) -> None:
        super().__init__()
        for service in services:
            service.setServiceParent(self)

    def startService(self) -> "Deferred[None]":
        """Starts all services. If one fails, stops all of them and fails with its error."""
        Service.startService(self)
        return Deferred.fromCoroutine(self._start())

    def stopService(self) -> "Deferred[None]":
        """Stops all services. Further calls do nothing."""
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        try:
            for service in self:
                if not self.running:
                    return
                await service.startService()
        except BaseException:
            await self._stop()
            raise

    async def _stop(self) -> None:
        if not self.running:
            return
        Service.stopService(self)
        for service in reversed(list(self)):
            try:
                await service.stopService()
            except Exception:
                # The later steps must seal what was received, whatever happened.
                log.failure("defect while stopping: {name}", name=service.name)
