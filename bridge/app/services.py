"""Starts and stops the services of a bridge in order."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

log = Logger(namespace="app")

Step = Callable[[], Awaitable[None]]


async def no_step() -> None:
    """Does nothing, for a service that needs no start or no stop."""


@dataclass(frozen=True, slots=True)
class Service:
    """One part of a bridge. ``stop`` is also called if the part was not started."""

    name: str
    start: Step = no_step
    stop: Step = no_step


class OrderedServices:
    """Starts services one after the other, and stops them in reverse order. Each waits until the one before is done."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._running = False

    async def start(self) -> None:
        """Starts all services. If one fails, stops all of them and raises its error."""
        self._running = True
        try:
            for service in self._services:
                if not self._running:
                    return
                await service.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops all services. Further calls do nothing."""
        if not self._running:
            return
        self._running = False
        for service in reversed(self._services):
            try:
                await service.stop()
            except Exception:
                # The later steps must seal what was received, whatever happened.
                log.failure("defect while stopping: {name}", name=service.name)
