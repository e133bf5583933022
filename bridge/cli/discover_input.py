"""Opens what ``syslog-bridge discover`` watches: a capture, ports of its own, or the running bridge."""

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import click

from bridge.cli.explain import BUILT_IN
from bridge.cli.setup_answers import named_listeners
from bridge.cli.survey import CaptureSettings, notes_of, opened
from bridge.config import Config, parse_text
from bridge.config.addresses import Address
from bridge.discover import Observer, Received
from bridge.explain.capture import Capture
from bridge.operations import spool_owner
from bridge.operations.control_client import ControlError
from bridge.operations.following import FollowedMessages
from bridge.operations.port_receiver import PortReceiver
from bridge.util.counts import counted
from bridge.util.errors import BridgeError
from bridge.util.files import shown_path

_ANYWHERE = (("udp", "udp", "*:514"), ("tcp", "tcp", "*:514"))
_MAX_PORTS = 8
_WITHOUT_BRIDGE = "--capture FILE, or --listen udp://*:514 --listen tcp://*:514"
WHAT_TO_NAME = f"Name what to watch: {_WITHOUT_BRIDGE}"
"What to do if no bridge can be followed."


@dataclass(slots=True)
class Watched:
    """Holds the messages that are watched and, after their end, the facts about the watching."""

    messages: Iterator[Received | None]
    "None stands for a moment without a message."
    origin: str
    listeners: list[tuple[str, str, str]] = field(default_factory=lambda: list(_ANYWHERE))
    "Name, kind and address of the listeners that a configuration needs."
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    "Reason -> number of packets or lines that are not messages."


@contextmanager
def capture_of(
    path: Path, *, stream: bool, source: str | None, ports_of_syslog: Collection[int] = ()
) -> Iterator[Watched]:  # fmt: skip
    """Opens a capture. ``ports_of_syslog``: those besides 514 where every message is syslog. Raises CaptureError."""
    config = parse_text(BUILT_IN)
    settings = CaptureSettings(path, config.listeners[0], stream, None if source is None else ip_address(source))
    with opened(config, settings, ports_of_syslog) as capture:
        ports: dict[tuple[str, int], int] = {}
        where = "stdin" if str(path) == "-" else shown_path(path)
        watched = Watched(_captured(capture, ports), f"the capture {where}")
        yield watched
        watched.skipped = dict(capture.skipped)
        watched.notes += notes_of(capture)
        if ports:
            busiest = sorted(sorted(ports, key=lambda port: (-ports[port], port))[:_MAX_PORTS], key=_udp_first)
            watched.listeners = [
                (kind if len(busiest) == 1 else f"{kind}-{port}", kind, f"*:{port}") for kind, port in busiest
            ]
        elif capture.kind == "text":
            watched.notes.append(
                "The capture does not tell ports and transports: the listeners are the usual ones."
                + ("" if source else " It has no addresses either: routes name the hosts of the headers. Add source:.")
            )


def _udp_first(port: tuple[str, int]) -> tuple[bool, int]:
    return port[0] != "udp", port[1]


def _captured(capture: Capture, ports: dict[tuple[str, int], int]) -> Iterator[Received]:
    for captured in capture:
        kind, port = captured.kind, captured.port
        if port is not None:
            ports[kind, port] = ports.get((kind, port), 0) + 1
        yield Received(
            captured.frame, "" if captured.source is None else str(captured.source),
            None if captured.received is None else captured.received.timestamp(),
            "" if port is None else f"{kind} {port}",
        )  # fmt: skip


@contextmanager
def ports_of(ports: tuple[tuple[str, Address], ...], duration: timedelta) -> Iterator[Watched]:
    """Listens on ports of its own. Raises PortError."""
    listeners = list(named_listeners((kind, str(address)) for kind, address in ports))
    with PortReceiver(ports) as receiver:
        click.echo(f"discover: listening on {', '.join(f'{kind}://{at}' for _, kind, at in listeners)}", err=True)
        messages = receiver.messages(time.monotonic() + duration.total_seconds())
        watched = Watched(messages, ", ".join(f"{kind} {at}" for _, kind, at in listeners), listeners)
        yield watched
        if receiver.refused:
            watched.notes.append(f"{receiver.refused:,} TCP connections were refused, because there were too many.")


def not_permitted(error: PermissionError) -> BridgeError:
    """Returns the error of a user who may not follow the bridge."""
    return BridgeError(
        f"{error.filename}: permission denied. Only root and the bridge's user can follow the bridge",
        f"Run the command with sudo, or watch without a bridge: {_WITHOUT_BRIDGE}",
    )


@contextmanager
def running_bridge(config: Config, duration: timedelta) -> Iterator[Watched]:
    """Follows the bridge that runs with a configuration. Raises ControlError."""
    directory = config.spool.directory
    followed = FollowedMessages(directory, time.monotonic() + duration.total_seconds())
    try:
        if not spool_owner.has_owner(directory):
            raise ControlError("no bridge is running", WHAT_TO_NAME)
        followed.start()
    except PermissionError as error:
        raise not_permitted(error) from None
    click.echo(f"discover: following the bridge that owns {shown_path(directory)}", err=True)
    watched = Watched(iter(followed), f"the running bridge {shown_path(directory)}", _listeners(config))
    yield watched
    if followed.missed:
        watched.notes.append(f"Not examined: {counted(followed.missed, 'message')} that came too fast.")
    if others := [listener.name for listener in config.listeners if not (listener.udp or listener.tcp)]:
        watched.notes.append(f"Listeners to copy from the present configuration: {', '.join(others)}.")


def _listeners(config: Config) -> list[tuple[str, str, str]]:
    found = [(listener, "udp", listener.udp) for listener in config.listeners if listener.udp]
    found += [(listener, "tcp", listener.tcp) for listener in config.listeners if listener.tcp]
    return [(listener.name, kind, str(at)) for listener, kind, at in found] or list(_ANYWHERE)


class _ProgressLine:
    """Shows how much has been received, on stderr: each second on a terminal, else each half minute."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._interval = 1.0 if self._terminal else 30.0
        self._begin = time.monotonic()
        self._next = self._begin + self._interval
        self._shown = False

    def show(self, observer: Observer) -> None:
        """Shows the numbers if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, seconds = now + self._interval, now - self._begin
        senders = counted(len(observer.sources), "sender")
        text = f"discover: {counted(observer.count, 'message')} of {senders} in {seconds:.0f} s"
        click.echo(f"\r{text}" if self._terminal else text, err=True, nl=not self._terminal)
        self._shown = True

    def end(self) -> None:
        """Ends the line on a terminal."""
        if self._shown and self._terminal:
            click.echo(err=True)


def collect(watched: Watched, observer: Observer, most: int | None) -> bool:
    """Passes all messages, or ``most`` of them, to the observer. Returns False if Ctrl-C ended it before."""
    progress = _ProgressLine()
    try:
        for number, received in enumerate(watched.messages):
            if received is not None:
                observer.add(received)
                if observer.count == most:
                    return True
            if received is None or not number & 0x3FF:
                progress.show(observer)
    except KeyboardInterrupt:
        return False
    finally:
        progress.end()
    return True
