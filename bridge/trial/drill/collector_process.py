"""Runs the drill's collector in a child process: it counts events by number and fails on command.

    python -m bridge.trial.drill.collector_process PORT

Commands are JSON lines on stdin; each is answered by one line on stdout. ``{"mode": "ok" | "refuse" | "429" | "500" |
"413" | "poison"}`` sets the mode; ``{"ask": [FIRST, LAST]}`` returns ``{"distinct", "doubles", "events"}`` of these
numbers. The number of an event follows its last ``n=``. The process ends when stdin is closed.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import json
import sys
from collections import Counter
from typing import cast

from twisted.internet.defer import ensureDeferred, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from bridge.collector.api import ApiAnswer, IntakeResource, send_when_ready
from bridge.collector.body import read_body
from bridge.collector.delivery import Delivery
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.site import IntakeSite
from bridge.host.interfaces import Reactor
from bridge.host.reactor import install_reactor

POISON = b"POISON"
"""In mode ``poison``, a request that contains this word is rejected."""
LARGEST = 300_000
"""Maximum bytes of a request body in mode ``413``."""


class DrillSink:
    """Counts received events by number."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()
        self._events = 0

    def accept(self, delivery: Delivery) -> None:
        """Counts the events of one accepted request."""
        self._events += delivery.content.count
        for row in delivery.content.rows():
            number = row.event.rpartition(b"n=")[2]
            if number.isdigit():
                self._seen[int(number)] += 1

    def count(self, first: int, last: int) -> dict[str, int]:
        """Counts distinct and duplicate events of a range of numbers, both ends included."""
        counts = [self._seen[number] for number in range(first, last + 1)]
        distinct = sum(1 for count in counts if count)
        return {"distinct": distinct, "doubles": sum(counts) - distinct, "events": self._events}


class _FailingResource(IntakeResource):
    """Serves the intake API and fails as its mode says."""

    def __init__(self, sink: DrillSink) -> None:
        super().__init__(sink)
        self._mode = "ok"

    def enter(self, mode: str) -> None:
        """Handles the following requests as this mode says."""
        self._mode = mode

    def render(self, request: Request) -> int:
        if self._mode == "refuse":
            request.notifyFinish().addErrback(lambda disconnected: None)
            cast(ITCPTransport, request.transport).abortConnection()
        elif (refusal := self._refusal(request)) is not None:
            send_when_ready(request, succeed(refusal))
        else:
            return super().render(request)
        return NOT_DONE_YET

    def _refusal(self, request: Request) -> ApiAnswer | None:
        if self._mode == "429":
            return ApiAnswer(429, (("Retry-After", "1"),), b"")
        if self._mode == "500":
            return ApiAnswer(500, (), b"")
        body = read_body(request) if self._mode in ("413", "poison") else b""
        if self._mode == "413" and len(body) > LARGEST:
            return ApiAnswer(413, (), b"")
        if self._mode == "poison" and POISON in body:
            return ApiAnswer(400, (), b'{"error": "this event cannot be read"}')
        return None


class _Commands(LineReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 65536

    def __init__(self, sink: DrillSink, resource: _FailingResource, reactor: Reactor) -> None:
        self._sink, self._resource, self._reactor = sink, resource, reactor

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        if "mode" in command:
            self._resource.enter(command["mode"])
            self.sendLine(b"{}")
        else:
            first, last = command["ask"]
            self.sendLine(json.dumps(self._sink.count(first, last)).encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reactor.stop()


def main(port: int) -> None:
    """Serves until stdin is closed."""
    reactor = install_reactor()
    sink = DrillSink()
    resource = _FailingResource(sink)
    ensureDeferred(listen(reactor, ListenAddress("127.0.0.1", port), IntakeSite(resource, reactor))).addCallbacks(
        lambda bound: StandardIO(_Commands(sink, resource, reactor)),
        lambda failure: sys.exit(f"drill collector: {failure.value}"),
    )
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
