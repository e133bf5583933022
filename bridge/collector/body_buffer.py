"""Limits the bytes of request bodies that are buffered until they are parsed, per client and in all.

When all bodies together exceed the limit, the largest body of the client that holds most is refused. So a client that
sends little is served while others fill the buffer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.collector.refusal import Refusal

CLIENT_SHARE = 2
"One client may buffer this fraction of the limit: a half."


@dataclass(eq=False, slots=True)
class BufferedBody:
    """The buffered bytes of one request. ``refuse`` answers the request and frees its body."""

    client: str
    refuse: Callable[[Refusal], None]
    size: int = 0
    complete: bool = False
    "True once the whole body has arrived. It is parsed in its turn, and not refused any more."


class BodyBuffer:
    """Counts the buffered bytes of one listener. ``limit`` is in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bodies: dict[str, dict[BufferedBody, None]] = {}
        self._by_client: dict[str, int] = {}
        self.size = 0
        "Bytes of all bodies."

    def change(self, limit: int) -> None:
        """Applies another limit to what arrives from now on."""
        self._limit = limit

    def add(self, body: BufferedBody, size: int) -> None:
        """Counts bytes that a body is about to grow by. Refuses this body, or another one, beyond a limit."""
        self._bodies.setdefault(body.client, {})[body] = None
        body.size += size
        self.size += size
        self._by_client[body.client] = self._by_client.get(body.client, 0) + size
        if self._by_client[body.client] > self._limit // CLIENT_SHARE:
            self._refuse(body, f"this client has more than {self._limit // CLIENT_SHARE} bytes in unfinished requests")
        elif self.size > self._limit:
            client = max(self._by_client, key=self._by_client.__getitem__)
            candidates = [each for each in self._bodies[client] if not each.complete]
            largest = max(candidates, key=lambda each: each.size, default=body)
            self._refuse(largest, f"all clients together have more than {self._limit} bytes in unfinished requests")

    def remove(self, body: BufferedBody) -> None:
        """Removes a body that is no longer held."""
        bodies = self._bodies.get(body.client, {})
        if body not in bodies:
            return
        del bodies[body]
        self.size -= body.size
        self._by_client[body.client] -= body.size
        if not bodies:
            del self._bodies[body.client], self._by_client[body.client]

    def _refuse(self, body: BufferedBody, text: str) -> None:
        self.remove(body)
        headers = {"Retry-After": "10"}
        text = f"{text} (request_buffer); no event was taken, send them again"
        body.refuse(Refusal(503, text, headers=headers, reason="request_buffer"))
