"""Declares the limits that a listener sets to the requests of its clients."""

from typing import Protocol

from bridge.collector.body_buffer import BodyBuffer
from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import RequestQueue
from bridge.host.limited_http import HttpLimits


class IntakeLimits(HttpLimits, Protocol):
    """Declares what limits the requests of one listener."""

    @property
    def queue(self) -> RequestQueue:
        """Returns the queue in which requests wait for their turn."""

    @property
    def buffer(self) -> BodyBuffer:
        """Returns the count of buffered bytes."""

    @property
    def max_events(self) -> int:
        """Returns the most events that one request may have."""

    def share_of(self, client: str) -> str:
        """Returns what an address counts as in the queue and in the buffer. Several may count as one client."""

    def is_health_check(self, method: bytes, path: bytes) -> bool:
        """Returns True for a request for the listener's health, and counts it. Such a request is answered with 200."""

    def note_refusal(self, client: str, refusal: Refusal) -> None:
        """Counts and logs a refused request, if the refusal has a reason code."""
