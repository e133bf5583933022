# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)
"""The drill's collector, a child process: takes events, counts each by its number, and fails as it is told to.

    python -m bridge.trial.drill.collector_process PORT

Commands are JSON lines on stdin, each answered by one on stdout: ``{"mode": "ok" | "refuse" | "429" | "500" | "413" |
"poison"}``, and ``{"ask": [FIRST, LAST]}`` for ``{"distinct", "doubles", "events"}`` of these numbers. An event's
number stands behind its last ``n=``. Ends with its stdin.
"""

import json
import sys
from collections import Counter
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.server import Request

from bridge.collector.api import IntakeResource
from bridge.collector.body import BODY_LIMIT, read_body
from bridge.collector.delivery import Delivery
from bridge.collector.fault_injection import FaultyResource, InjectedFault
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.site import IntakeSite
from bridge.host.reactor import install_reactor

POISON = b"POISON"
"""A request with this word in it is refused in mode ``poison``."""
LARGEST = 100_000
"""Bytes of a body in mode ``413``."""

_FAULTS = {
    "429": InjectedFault(status=429, headers=(("Retry-After", "1"),)),
    "500": InjectedFault(status=500),
    "refuse": InjectedFault(reset=True),
}


class DrillCollector:
    """What has arrived, and how the next request is met."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.seen: Counter[int] = Counter()
        self.events = 0

    def accept(self, delivery: Delivery) -> None:
        """The collector's sink."""
        self.events += delivery.content.count
        for row in delivery.content.rows():
            number = row.event.rpartition(b"n=")[2]
            if number.isdigit():
                self.seen[int(number)] += 1

    def meet(self, request: Request) -> InjectedFault | None:
        """The fault that a request meets."""
        if self.mode in ("413", "poison"):
            body = read_body(request, BODY_LIMIT)
            if self.mode == "413":
                return InjectedFault(status=413) if len(body) > LARGEST else None
            return InjectedFault(status=400, body=b'{"error": "this event cannot be read"}') if POISON in body else None
        return _FAULTS.get(self.mode)

    def told(self, first: int, last: int) -> dict[str, int]:
        """The account of a range of numbers, both included."""
        counts = [self.seen[number] for number in range(first, last + 1)]
        distinct = sum(1 for count in counts if count)
        return {"distinct": distinct, "doubles": sum(counts) - distinct, "events": self.events}


class _Commands(LineReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 65536

    def __init__(self, drill_collector: DrillCollector, reactor: Any) -> None:
        self._drill_collector = drill_collector
        self._reactor = reactor

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        if "mode" in command:
            self._drill_collector.mode = command["mode"]
            self.sendLine(b"{}")
        else:
            first, last = command["ask"]
            self.sendLine(json.dumps(self._drill_collector.told(first, last)).encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reactor.stop()


def main(port: int) -> None:
    """Serve until stdin ends."""
    reactor = install_reactor()
    drill_collector = DrillCollector()
    site = IntakeSite(FaultyResource(IntakeResource(drill_collector), drill_collector.meet, reactor), reactor)
    listen(reactor, ListenAddress("127.0.0.1", port), site).addCallbacks(
        lambda bound: StandardIO(_Commands(drill_collector, reactor)),
        lambda failure: sys.exit(f"far side: {failure.value}"),
    )
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
