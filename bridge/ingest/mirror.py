# mypy: disallow-untyped-calls=False
"""``copy_to:`` of a route: each frame as it came, to another forwarder too, so that both can be compared for a while.

Best effort, and counted apart: a copy that cannot be sent at once is dropped, never held, and never in the way of what
it is a copy of. Over UDP a datagram each, over TCP a line each (octet-counted where a frame holds a line end). The
receiver sees the bridge as the sender.
"""

import socket
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from twisted.internet import task
from twisted.internet.interfaces import IAddress, IConnector, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import ReconnectingClientFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.config import CopyTarget

log = Logger(namespace="listen")

RESOLVE_EVERY = 300.0
"Seconds after which a name is looked up again."
LONGEST_WAIT = 30
"Seconds between two attempts to connect, at most."


class MirrorTarget(Protocol):
    """The way to one target."""

    def send(self, frames: Sequence[bytes]) -> int:
        """How many were sent."""

    def stop(self) -> None:
        """No more."""


class Mirror:
    """All targets of a configuration. Counted by target, as it is written."""

    def __init__(self, reactor: Any) -> None:
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._reactor = reactor
        self._ways: dict[CopyTarget, MirrorTarget] = {}

    def send(self, targets: Collection[CopyTarget], frames: Sequence[bytes]) -> None:
        """The frames of one read, to each target."""
        for target in targets:
            delivery_path = self._ways.get(target)
            sent = 0 if delivery_path is None else delivery_path.send(frames)
            self.sent[str(target)] += sent
            self.dropped[str(target)] += len(frames) - sent

    def change(self, targets: Collection[CopyTarget]) -> None:
        """These are the targets from now on."""
        for target in set(self._ways) - set(targets):
            self._ways.pop(target).stop()
        for target in set(targets) - set(self._ways):
            kind: Callable[[CopyTarget, Any], MirrorTarget] = (
                DatagramMirror if target.transport == "udp" else StreamMirror
            )
            self._ways[target] = kind(target, self._reactor)
            self.sent[str(target)] += 0

    def stop(self) -> None:
        """No more copies."""
        self.change(())


class DatagramMirror:
    """The way to a target over UDP."""

    def __init__(self, target: CopyTarget, reactor: Any) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reactor = reactor
        self._look_up = task.LoopingCall(self._resolve)
        self._look_up.clock = reactor
        self._look_up.start(RESOLVE_EVERY)

    def send(self, frames: Sequence[bytes]) -> int:
        """What the kernel takes without waiting."""
        if self._socket is None:
            return 0
        sent = 0
        for frame in frames:
            try:
                self._socket.send(frame)
            except BlockingIOError:
                break
            except OSError:
                continue  # too long for a datagram; or nobody was there for an earlier one
            sent += 1
        return sent

    def stop(self) -> None:
        """Close."""
        if self._look_up.running:
            self._look_up.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _resolve(self) -> None:
        found = self._reactor.resolve(self._target.host)
        found.addCallbacks(self._connect, self._unknown)

    def _connect(self, address: str) -> None:
        if not self._look_up.running:
            return
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            made.connect((address, self._target.port))
        except OSError as error:
            made.close()
            log.warn("copy_to {target}: {why}", target=self._target, why=error.strerror)
            return
        if self._socket is not None:
            self._socket.close()
        self._socket = made

    def _unknown(self, failure: Failure) -> None:
        log.warn("copy_to {target}: the name cannot be resolved; copies are dropped", target=self._target)


@implementer(IPushProducer)
class _Writer(TwistedProtocol):
    """A connection to a target; full where the far side does not read as fast as we write."""

    full = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.full = True

    def pauseProducing(self) -> None:
        """For the transport: its buffer is full."""
        self.full = True

    def resumeProducing(self) -> None:
        """For the transport: it is not any more."""
        self.full = False

    def stopProducing(self) -> None:
        """For the transport: the connection has ended."""
        self.full = True


class StreamMirror(ReconnectingClientFactory):
    """The way to a target over TCP; connected anew, later and later."""

    noisy = False
    maxDelay = LONGEST_WAIT

    def __init__(self, target: CopyTarget, reactor: Any) -> None:
        self._target = target
        self._writer: _Writer | None = None
        self._told = False
        self.clock = reactor
        self._connector = reactor.connectTCP(target.host, target.port, self, timeout=10)

    def send(self, frames: Sequence[bytes]) -> int:
        """All, or none while the far side is away or slow."""
        writer = self._writer
        if writer is None or writer.full or writer.transport is None:
            return 0
        writer.transport.write(b"".join(map(_framed, frames)))
        return len(frames)

    def stop(self) -> None:
        """Close when what was written is sent."""
        self.stopTrying()
        if self._writer is not None and self._writer.transport is not None:
            self._writer.transport.unregisterProducer()  # type: ignore[attr-defined]
            self._writer.transport.loseConnection()
        else:
            self._connector.disconnect()

    def buildProtocol(self, addr: IAddress | None) -> _Writer:
        """Connected."""
        self.resetDelay()
        self._told = False
        self._writer = _Writer()
        return self._writer

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """The far side has gone."""
        self._writer = None
        self._tell(reason)
        super().clientConnectionLost(connector, reason)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """The far side is not there."""
        self._tell(reason)
        super().clientConnectionFailed(connector, reason)

    def _tell(self, reason: Failure) -> None:
        if not self._told and self.continueTrying:
            self._told = True
            why = reason.getErrorMessage()
            log.warn("copy_to {target}: no connection, copies are dropped: {why}", target=self._target, why=why)


def _framed(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame) if b"\n" in frame else frame + b"\n"
