"""Declares the limits that a listener sets to the requests of its clients."""

from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from bridge.collector.body_buffer import BodyBuffer
from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import RequestQueue

REQUEST_SECONDS = 60.0
"""Seconds that a request, or the answer to it, may take besides the time that its bytes need."""
BYTES_PER_SECOND = 16 * 1024
"""The slowest line that is served. The deadline of a request grows with the bytes that have arrived."""


class Guard(Protocol):
    """Declares what limits the requests of one listener."""

    @property
    def clock(self) -> IReactorTime:
        """Returns the clock of deadlines."""

    @property
    def queue(self) -> RequestQueue:
        """Returns the queue in which requests wait for their turn."""

    @property
    def buffer(self) -> BodyBuffer:
        """Returns the count of buffered bytes."""

    @property
    def max_events(self) -> int:
        """Returns the most events that one request may have."""

    def note_refusal(self, client: str, refusal: Refusal) -> None:
        """Counts and logs a refused request, if the refusal has a reason code."""
