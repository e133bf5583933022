"""Limits the requests of one HTTPS listener."""

from twisted.internet.interfaces import IReactorTime

from bridge.collector.body_buffer import BodyBuffer
from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import RequestQueue
from bridge.config import Listener
from bridge.ingest.addresses import address_of, share_of
from bridge.listen.connections import Rejections

HINTS = {
    "intake_key": "Check the intake key in the configuration of this sender",
    "request_too_large": "Let this sender send smaller batches, or raise max_events_per_request",
    "request_buffer": "Let this sender use fewer connections, or raise request_buffer",
    "request_timeout": "Check the line to this sender. If it is not one of yours, remove it from allow",
    "answer_not_read": "Check the line to this sender. If it is not one of yours, remove it from allow",
    "bad_request": "Check that this sender posts events with HTTP/1.1",
}
"What the operator can do, by reason code."

HEALTH_METHODS = (b"GET", b"HEAD", b"OPTIONS")
HEALTH_PATHS = (b"/", b"/health", b"/healthz")
"Methods and paths with which a load balancer may check the listener. OPTIONS / is the default of HAProxy."


class HttpsLimits:
    """Holds what limits the requests of one listener, and counts the refused ones in ``rejections``."""

    def __init__(self, listener: Listener, clock: IReactorTime, rejections: Rejections) -> None:
        self.clock = clock
        # The gateway's own reactor has it (``bridge.host.reactor``).
        self.queue = RequestQueue(clock, getattr(clock, "after_turn", None))
        self.buffer = BodyBuffer(listener.request_buffer)
        self.max_events = listener.max_events_per_request
        self._rejections = rejections

    def change(self, listener: Listener) -> None:
        """Applies the limits of another configuration to the next requests."""
        self.buffer.change(listener.request_buffer)
        self.max_events = listener.max_events_per_request

    def share_of(self, client: str) -> str:
        """Returns what an address counts as in the queue and in the buffer."""
        return share_of(client)

    def is_health_check(self, method: bytes, path: bytes) -> bool:
        """Returns True for a request for the listener's health, and counts it."""
        if method not in HEALTH_METHODS or path not in HEALTH_PATHS:
            return False
        self._rejections.note_health_check()
        return True

    def note_refusal(self, client: str, refusal: Refusal) -> None:
        """Counts and logs a refused request, if the refusal has a reason code."""
        if refusal.reason is not None:
            self.note_refused(client, refusal.reason, f"{refusal.status}, {refusal.text}")

    def note_refused(self, client: str, reason: str, text: str) -> None:
        """Counts and logs a refused request."""
        hint = f". {HINTS[reason]}" if reason in HINTS else ""
        self._rejections.note_request(reason, str(address_of(client) or client), text + hint)
