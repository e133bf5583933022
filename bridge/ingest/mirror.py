"""Mirrors frames to other forwarders, as the ``copy_to:`` of a route asks, so that both can be compared for a while.

Mirroring is best effort and counted separately. A copy that cannot be sent at once is dropped, never held, and never
delays the original. Over UDP each frame is one datagram. Over TCP each frame is one line, or octet-counted (RFC 6587)
if it contains a line end. The receiver sees the bridge's address as the sender.
"""
# mypy: disallow-untyped-calls=False

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
from bridge.host.interfaces import Reactor

log = Logger(namespace="listen")

RESOLVE_EVERY = 300.0
"Seconds after which a host name is resolved again."
LONGEST_WAIT = 30
"Longest time between two connection attempts, in seconds."


class MirrorTarget(Protocol):
    """Declares what ``Mirror`` needs of one target."""

    def send(self, frames: Sequence[bytes]) -> int:
        """Sends frames and returns how many were sent."""

    def stop(self) -> None:
        """Stops sending and closes the socket."""


class Mirror:
    """Sends copies to all targets of a configuration and counts them by target, as the configuration writes it."""

    def __init__(self, reactor: Reactor) -> None:
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._reactor = reactor
        self._mirrors: dict[CopyTarget, MirrorTarget] = {}

    def send(self, targets: Collection[CopyTarget], frames: Sequence[bytes]) -> None:
        """Sends the frames of one read to each target."""
        for target in targets:
            mirror = self._mirrors.get(target)
            sent = 0 if mirror is None else mirror.send(frames)
            self.sent[str(target)] += sent
            self.dropped[str(target)] += len(frames) - sent

    def change(self, targets: Collection[CopyTarget]) -> None:
        """Replaces the targets. Targets in both sets keep their sockets."""
        for target in set(self._mirrors) - set(targets):
            self._mirrors.pop(target).stop()
        for target in set(targets) - set(self._mirrors):
            kind: Callable[[CopyTarget, Any], MirrorTarget] = (
                DatagramMirror if target.transport == "udp" else StreamMirror
            )
            self._mirrors[target] = kind(target, self._reactor)
            self.sent[str(target)] += 0

    def stop(self) -> None:
        """Stops all targets."""
        self.change(())


class DatagramMirror:
    """Sends copies to one target over UDP."""

    def __init__(self, target: CopyTarget, reactor: Reactor) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reactor = reactor
        self._resolve_loop = task.LoopingCall(self._resolve)
        self._resolve_loop.clock = reactor
        self._resolve_loop.start(RESOLVE_EVERY)

    def send(self, frames: Sequence[bytes]) -> int:
        """Sends the frames that the kernel accepts without blocking, and returns their number."""
        if self._socket is None:
            return 0
        sent = 0
        for frame in frames:
            try:
                self._socket.send(frame)
            except BlockingIOError:
                break
            except OSError:
                continue  # the frame is too long for a datagram, or an ICMP error of an earlier one is reported
            sent += 1
        return sent

    def stop(self) -> None:
        """Closes the socket."""
        if self._resolve_loop.running:
            self._resolve_loop.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _resolve(self) -> None:
        found = self._reactor.resolve(self._target.host)
        found.addCallbacks(self._connect, self._unknown)

    def _connect(self, address: str) -> None:
        if not self._resolve_loop.running:
            return
        new_socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        new_socket.setblocking(False)
        try:
            new_socket.connect((address, self._target.port))
        except OSError as error:
            new_socket.close()
            log.warn("copy_to {target}: cannot connect the socket: {why}", target=self._target, why=error.strerror)
            return
        if self._socket is not None:
            self._socket.close()
        self._socket = new_socket

    def _unknown(self, failure: Failure) -> None:
        log.warn(
            "copy_to {target}: the host name cannot be resolved, copies are dropped. Check the name and DNS.",
            target=self._target,
        )


@implementer(IPushProducer)
class _Writer(TwistedProtocol):
    """Holds a connection to a target. ``full`` is True while the receiver does not read fast enough."""

    full = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.full = True

    def pauseProducing(self) -> None:
        """Called by the transport when its buffer is full."""
        self.full = True

    def resumeProducing(self) -> None:
        """Called by the transport when its buffer has room again."""
        self.full = False

    def stopProducing(self) -> None:
        """Called by the transport when the connection has ended."""
        self.full = True


class StreamMirror(ReconnectingClientFactory):
    """Sends copies to one target over TCP, and reconnects with increasing delays."""

    noisy = False
    maxDelay = LONGEST_WAIT

    def __init__(self, target: CopyTarget, reactor: Reactor) -> None:
        self._target = target
        self._writer: _Writer | None = None
        self._warned = False
        self.clock = reactor  # type: ignore[assignment]
        self._connector = reactor.connectTCP(target.host, target.port, self, timeout=10)

    def send(self, frames: Sequence[bytes]) -> int:
        """Sends all frames, or none while the receiver is disconnected or slow. Returns how many were sent."""
        writer = self._writer
        if writer is None or writer.full or writer.transport is None:
            return 0
        writer.transport.write(b"".join(map(_frame_bytes, frames)))
        return len(frames)

    def stop(self) -> None:
        """Closes the connection after the data written so far has been sent."""
        self.stopTrying()
        if self._writer is not None and self._writer.transport is not None:
            self._writer.transport.unregisterProducer()  # type: ignore[attr-defined]
            self._writer.transport.loseConnection()
        else:
            self._connector.disconnect()

    def buildProtocol(self, addr: IAddress | None) -> _Writer:
        """Creates the protocol of a new connection."""
        self.resetDelay()
        self._warned = False
        self._writer = _Writer()
        return self._writer

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """Called when the connection is lost: logs it and reconnects."""
        self._writer = None
        self._warn_once(reason)
        super().clientConnectionLost(connector, reason)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Called when a connection attempt fails: logs it and tries again."""
        self._warn_once(reason)
        super().clientConnectionFailed(connector, reason)

    def _warn_once(self, reason: Failure) -> None:
        if not self._warned and self.continueTrying:
            self._warned = True
            why = reason.getErrorMessage()
            log.warn("copy_to {target}: no connection, copies are dropped: {why}", target=self._target, why=why)


def _frame_bytes(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame) if b"\n" in frame else frame + b"\n"
