"""Runs ``syslog-bridge demo``: a collector, a bridge and a dozen devices in one process, on free loopback ports.

Everything except the collector is real: the devices send over UDP and TCP sockets, each from its own address, and the
bridge spools and posts the events. The collector is a stand-in that prints the events it receives. The spool is a
temporary directory, which is removed at the end.
"""

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from twisted.internet import defer
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool

from bridge.app.bridge import Bridge
from bridge.app.process import Process
from bridge.collector.api import IntakeResource
from bridge.collector.delivery import Delivery, Event
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.site import IntakeSite
from bridge.config import parse_text
from bridge.config.faults import printable
from bridge.host import logs
from bridge.host.interfaces import Reactor
from bridge.trial.sample_devices import SAMPLES
from bridge.trial.send_connection import SendConnection
from bridge.trial.send_target import SendTarget

WITHIN_SECONDS = 30.0
"""Maximum seconds until the events of all samples have arrived."""

_CONFIGURATION = """
collector: {{url: "http://127.0.0.1:{port}", max_request_rate: 100}}
listeners:
  - {{name: udp, udp: "127.0.0.1:0", receive_buffer: 64KiB}}
  - {{name: tcp, tcp: "127.0.0.1:0"}}
sources:
  - {{source: 127.0.1.5, name: sw-newyork, timezone: America/New_York}}
intakes:
  firewalls: {{intake_key: {keys[firewalls]}}}
  switches: {{intake_key: {keys[switches]}, payload: device}}
  linux: {{intake_key: {keys[linux]}, payload: line}}
  dns: {{intake_key: {keys[dns]}}}
  servers: {{intake_key: {keys[servers]}, payload: structured}}
  other: {{intake_key: {keys[other]}, payload: content}}
routes:
  - {{intake: firewalls, source: [127.0.1.1, 127.0.1.2, 127.0.1.3]}}
  - {{intake: switches, source: [127.0.1.4, 127.0.1.5]}}
  - {{intake: linux, source: [127.0.1.6, 127.0.1.7]}}
  - {{intake: dns, source: 127.0.1.8}}
  - {{intake: servers, source: [127.0.1.9, 127.0.1.10]}}
unrouted: {{intake: other}}
batch: {{max_age: 200ms}}
spool: {{directory: {spool}}}
admin: {{listen: "127.0.0.1:0"}}
"""

_COLORS = {
    "firewalls": "cyan", "switches": "green", "linux": "yellow", "dns": "magenta", "servers": "blue", "other": "white",
}  # fmt: skip
"Colour of each intake."
_KEYS = {intake: f"demo{intake:0<12}" for intake in _COLORS}

Write = Callable[[str, str | None, bool], None]
"Prints a line: text, colour or None, and True for bold."


class DemoSink:
    """Prints each event that the collector accepts, and tracks which samples are still missing."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.missing = list(SAMPLES)
        self.complete: defer.Deferred[None] = defer.Deferred()
        self.broken: defer.Deferred[OSError] = defer.Deferred()
        "Fires when stdout can no longer be written to."
        self._intake_of = {key: intake for intake, key in _KEYS.items()}

    def accept(self, delivery: Delivery) -> None:
        """Prints the events of one request."""
        try:
            for event in delivery.events:
                self._arrived(self._intake_of.get(event.intake_key, "?"), event)
        except OSError as error:
            # The reader of stdout has gone. Rejecting the request would only make the bridge send it again.
            if not self.broken.called:
                self.broken.callback(error)

    def _arrived(self, intake: str, event: Event) -> None:
        text = event.event.decode("utf-8", "backslashreplace")
        self._show(intake, event.event_timestamp or "no event time", text)
        for sample in self.missing:
            if sample.intake == intake and sample.text in text:
                self.missing.remove(sample)
                break
        if not self.missing and not self.complete.called:
            self.complete.callback(None)

    def _show(self, intake: str, time: str, text: str) -> None:
        """Prints one event; on a terminal, the line is cut to the width and has the colour of its intake."""
        line = f"{intake:<10} {time:<24}  {printable(text)}"
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            line = line if len(line) <= width else f"{line[: width - 1]}…"
        self._write(line, _COLORS.get(intake), False)


class Demo:
    """The complete demo system; ``spool`` is an empty directory."""

    def __init__(self, reactor: Reactor, spool: Path, write: Write, recent: logs.Recent | None = None) -> None:
        self._recent = recent
        self.arrivals = DemoSink(write)
        self._write = write
        self._reactor = reactor
        self._spool = spool
        self._bridge: Bridge | None = None
        self._collector: IListeningPort | None = None

    async def start(self) -> None:
        """Starts the collector and the bridge, then sends the messages of the devices."""
        site = IntakeSite(IntakeResource(self.arrivals, keys=frozenset(_KEYS.values())), self._reactor)
        self._collector = await listen(self._reactor, ListenAddress("127.0.0.1", 0), site)
        port = cast(IPv4Address, self._collector.getHost()).port
        config = parse_text(_CONFIGURATION.format(port=port, keys=_KEYS, spool=self._spool), "demo.yaml")
        bridge = Bridge(config, Process(self._reactor, recent=self._recent or logs.Recent()))
        await bridge.start()
        self._bridge = bridge
        ports = bridge.listener_set.ports()
        devices = len({sample.device for sample in SAMPLES})
        self._echo(f"The bridge listens on 127.0.0.1, UDP port {ports['udp']} and TCP port {ports['tcp']}.")
        self._echo(
            f"{devices} devices send {len(SAMPLES)} messages. The collector receives (intake, event time, event):\n"
        )
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), lambda: _send_samples(ports))

    def print_next_steps(self) -> None:
        """Prints what the user can try next."""
        assert self._bridge is not None
        port = self._bridge.listener_set.ports()["udp"]
        self._echo("\nAll events have arrived. Send your own message from another terminal:")
        self._echo(f"  logger -n 127.0.0.1 -P {port} -d 'hello from me'", bold=True)
        self._echo("Open the status page in a browser:")
        self._echo(f"  http://127.0.0.1:{self._bridge.admin_server.port}/", bold=True)
        self._echo("Ctrl-C ends the demo and removes its spool.\n")

    def _echo(self, text: str, *, bold: bool = False) -> None:
        self._write(text, None, bold)

    async def stop(self) -> None:
        """Stops the bridge, then the collector."""
        if self._bridge is not None:
            await self._bridge.stop()
        if self._collector is not None:
            await defer.maybeDeferred(self._collector.stopListening)


def _send_samples(ports: dict[str, int]) -> None:
    """Sends every sample from the address of its device. Blocks, so call it in a thread. Raises SendError."""
    for sample in SAMPLES:
        kind = "udp" if sample.transport == "udp" else "tcp"
        frame = sample.write(datetime.now(UTC)).encode()
        connection = SendConnection(SendTarget(kind, "127.0.0.1", ports[kind]), sample.address)
        connection.send(b"%d %b" % (len(frame), frame) if sample.transport == "counted" else frame + b"\n")
        connection.close()
