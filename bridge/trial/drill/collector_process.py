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
from bridge.host.interfaces import Reactor
from bridge.host.reactor import install_reactor

POISON = b"POISON"
"""In mode ``poison``, a request that contains this word is rejected."""
LARGEST = 100_000
"""Maximum bytes of a request body in mode ``413``."""

_FAULTS = {
    "429": InjectedFault(status=429, headers=(("Retry-After", "1"),)),
    "500": InjectedFault(status=500),
    "refuse": InjectedFault(reset=True),
}


class DrillCollector:
    """Counts received events by number, and selects the fault of each request."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.seen: Counter[int] = Counter()
        self.events = 0

    def accept(self, delivery: Delivery) -> None:
        """Counts the events of one accepted request."""
        self.events += delivery.content.count
        for row in delivery.content.rows():
            number = row.event.rpartition(b"n=")[2]
            if number.isdigit():
                self.seen[int(number)] += 1

    def fault_for(self, request: Request) -> InjectedFault | None:
        """Returns the fault to inject for a request, None to accept it."""
        if self.mode in ("413", "poison"):
            body = read_body(request, BODY_LIMIT)
            if self.mode == "413":
                return InjectedFault(status=413) if len(body) > LARGEST else None
            return InjectedFault(status=400, body=b'{"error": "this event cannot be read"}') if POISON in body else None
        return _FAULTS.get(self.mode)

    def count(self, first: int, last: int) -> dict[str, int]:
        """Counts distinct and duplicate events of a range of numbers, both ends included."""
        counts = [self.seen[number] for number in range(first, last + 1)]
        distinct = sum(1 for count in counts if count)
        return {"distinct": distinct, "doubles": sum(counts) - distinct, "events": self.events}


class _Commands(LineReceiver):
    delimiter = b"\n"
    MAX_LENGTH = 65536

    def __init__(self, drill_collector: DrillCollector, reactor: Reactor) -> None:
        self._drill_collector = drill_collector
        self._reactor = reactor

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        if "mode" in command:
            self._drill_collector.mode = command["mode"]
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
    site = IntakeSite(FaultyResource(IntakeResource(drill_collector), drill_collector.fault_for, reactor), reactor)
    listen(reactor, ListenAddress("127.0.0.1", port), site).addCallbacks(
        lambda bound: StandardIO(_Commands(drill_collector, reactor)),
        lambda failure: sys.exit(f"drill collector: {failure.value}"),
    )
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
