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

from twisted.internet.defer import succeed
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
LARGEST = 100_000
"""Maximum bytes of a request body in mode ``413``."""


class DrillCollector:
    """Counts received events by number, and selects the fault of each request."""

    def __init__(self) -> None:
        self._mode = "ok"
        self._seen: Counter[int] = Counter()
        self._events = 0

    def enter(self, mode: str) -> None:
        """Handles the following requests as this mode says."""
        self._mode = mode

    def accept(self, delivery: Delivery) -> None:
        """Counts the events of one accepted request."""
        self._events += delivery.content.count
        for row in delivery.content.rows():
            number = row.event.rpartition(b"n=")[2]
            if number.isdigit():
                self._seen[int(number)] += 1

    def refusal(self, request: Request) -> ApiAnswer | None:
        """Returns the answer that refuses a request in the current mode; None if it is accepted."""
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

    @property
    def resets(self) -> bool:
        """True if connections are reset instead of answered."""
        return self._mode == "refuse"

    def count(self, first: int, last: int) -> dict[str, int]:
        """Counts distinct and duplicate events of a range of numbers, both ends included."""
        counts = [self._seen[number] for number in range(first, last + 1)]
        distinct = sum(1 for count in counts if count)
        return {"distinct": distinct, "doubles": sum(counts) - distinct, "events": self._events}


class _FailingResource(IntakeResource):
    """Serves the intake API and fails as the drill's collector says."""

    def __init__(self, drill_collector: DrillCollector) -> None:
        super().__init__(drill_collector)
        self._drill_collector = drill_collector

    def render(self, request: Request) -> int:
        if self._drill_collector.resets:
            request.notifyFinish().addErrback(lambda disconnected: None)
            cast(ITCPTransport, request.transport).abortConnection()
        elif (refusal := self._drill_collector.refusal(request)) is not None:
            send_when_ready(request, succeed(refusal))
        else:
            return super().render(request)
        return NOT_DONE_YET


class _Commands(LineReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 65536

    def __init__(self, drill_collector: DrillCollector, reactor: Reactor) -> None:
        self._drill_collector = drill_collector
        self._reactor = reactor

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        if "mode" in command:
            self._drill_collector.enter(command["mode"])
            self.sendLine(b"{}")
        else:
            first, last = command["ask"]
            self.sendLine(json.dumps(self._drill_collector.count(first, last)).encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reactor.stop()


def main(port: int) -> None:
    """Serves until stdin is closed."""
    reactor = install_reactor()
    drill_collector = DrillCollector()
    site = IntakeSite(_FailingResource(drill_collector), reactor)
    listen(reactor, ListenAddress("127.0.0.1", port), site).addCallbacks(
        lambda bound: StandardIO(_Commands(drill_collector, reactor)),
        lambda failure: sys.exit(f"drill collector: {failure.value}"),
    )
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
