"""Mirrors frames to other forwarders, as the ``mirror_to:`` of a route asks, so that both can be compared for a while.

Mirroring is best effort and counted separately. A copy that cannot be sent at once is dropped, never held, and never
delays the original. Over UDP each frame is one datagram. Over TCP each frame is one line, or octet-counted (RFC 6587)
if it contains a line end. The receiver sees the bridge's address as the sender.
"""
# mypy: disallow-untyped-calls=False

import socket
from collections import Counter
from collections.abc import Collection, Sequence

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.config import MirrorTarget
from bridge.host.interfaces import Reactor
from bridge.host.periodic import PeriodicTasks
from bridge.util.errors import BridgeError

log = Logger(namespace="listen")

RESOLVE_EVERY = 300.0
"Seconds after which a host name is resolved again."
LONGEST_WAIT = 30.0
"Longest time between two connection attempts, in seconds."
REPORT_EVERY = 60.0
"Minimum seconds between two log lines about the connection to one target."
MAX_ANSWER = 64 * 1024
"Bytes that a target may send over one connection. Receivers of syslog send nothing."


class Mirror:
    """Sends copies to all targets of a configuration and counts them by target, as the configuration writes it."""

    def __init__(self, reactor: Reactor) -> None:
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._reactor = reactor
        self._mirrors: dict[object, DatagramMirror | StreamMirror] = {}
        "Sockets and connections by target, a ``MirrorTarget``."

    def send(self, targets: Collection[object], frames: Sequence[bytes]) -> None:
        """Sends the frames of one read to each target."""
        for target in targets:
            mirror = self._mirrors.get(target)
            sent = 0 if mirror is None else mirror.send(frames)
            self.sent[str(target)] += sent
            self.dropped[str(target)] += len(frames) - sent

    def change(self, targets: Collection[MirrorTarget]) -> None:
        """Replaces the targets. Targets in both sets keep their sockets."""
        for target in set(self._mirrors) - set(targets):
            self._mirrors.pop(target).stop()
        for target in set(targets) - set(self._mirrors):
            kind = DatagramMirror if target.transport == "udp" else StreamMirror
            self._mirrors[target] = kind(target, self._reactor)
            self.sent[str(target)] += 0

    def stop(self) -> None:
        """Stops all targets."""
        self.change(())


class DatagramMirror:
    """Sends copies to one target over UDP.

    If a name has addresses of both families, IPv4 is preferred: UDP does not show whether the receiver listens on
    both, and a receiver that listens on one nearly always listens on IPv4.
    """

    def __init__(self, target: MirrorTarget, reactor: Reactor) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reactor = reactor
        self._stopped = False
        self._tasks = PeriodicTasks(reactor)
        self._tasks.add(self._resolve, RESOLVE_EVERY)
        self._tasks.start()
        self._resolve()

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
        self._stopped = True
        self._tasks.stop()
        self._replace_socket(None)

    def _resolve(self) -> None:
        deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), socket.getaddrinfo, self._target.host, self._target.port,
            type=socket.SOCK_DGRAM,
        ).addCallbacks(self._connect, self._warn)  # fmt: skip

    def _connect(self, addresses: Sequence[tuple[int, int, int, str, tuple[object, ...]]]) -> None:
        if self._stopped:
            return
        for family, kind, _, _, address in sorted(addresses, key=lambda found: found[0] != socket.AF_INET):
            new_socket = socket.socket(family, kind)
            new_socket.setblocking(False)
            try:
                new_socket.connect(address)
            except OSError:
                # There is no route for this family.
                new_socket.close()
                reason = Failure()
            else:
                self._replace_socket(new_socket)
                return
        self._warn(reason)

    def _warn(self, reason: Failure) -> None:
        effect = "copies are dropped" if self._socket is None else "copies are still sent to its previous address"
        log.warn(
            "mirror_to {target}: no address: {why}; {effect}. Check the name, DNS and the network.",
            target=self._target, why=reason.getErrorMessage(), effect=effect,
        )  # fmt: skip

    def _replace_socket(self, new_socket: socket.socket | None) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = new_socket


@implementer(IPushProducer)
class _Writer(Protocol):
    """Holds a connection to a target. ``full`` is True while the receiver does not read fast enough."""

    full = False

    def __init__(self, mirror: "StreamMirror") -> None:
        self._mirror = mirror
        self._received = 0

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]
        self._mirror.connected(self)

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_ANSWER:
            self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.full = True
        if self._received > MAX_ANSWER:
            reason = Failure(BridgeError("the target sends data, as no receiver of syslog does. Check mirror_to"))
        self._mirror.disconnected(reason)

    def pauseProducing(self) -> None:
        """Called by the transport when its buffer is full."""
        self.full = True

    def resumeProducing(self) -> None:
        """Called by the transport when its buffer has room again."""
        self.full = False

    def stopProducing(self) -> None:
        """Called by the transport when the connection has ended."""
        self.full = True


class StreamMirror(Factory):
    """Sends copies to one target over TCP, to any of its addresses, and reconnects with increasing delays."""

    noisy = False

    def __init__(self, target: MirrorTarget, reactor: Reactor) -> None:
        self._target = target
        self._clock = reactor
        self._reported_at = float("-inf")
        self._unreported = 0
        self._writer: _Writer | None = None
        # Imported only where frames are copied over TCP: it takes about 10 ms of each start.
        from twisted.application.internet import ClientService, backoffPolicy  # noqa: PLC0415

        # HostnameEndpoint rejects names with an underscore, as containers have.
        endpoint = TCP4ClientEndpoint if "_" in target.host else HostnameEndpoint
        self._service = ClientService(
            endpoint(reactor, target.host, target.port, timeout=10), self,
            retryPolicy=backoffPolicy(maxDelay=LONGEST_WAIT), clock=reactor,
        )  # fmt: skip
        # A lost connection is reported by ``disconnected``, so only the first attempts are watched here.
        self._service.whenConnected(failAfterFailures=1).addErrback(self._warn)
        self._service.startService()

    def send(self, frames: Sequence[bytes]) -> int:
        """Sends all frames, or none while the receiver is disconnected or slow. Returns how many were sent."""
        writer = self._writer
        if writer is None or writer.full or writer.transport is None:
            return 0
        writer.transport.write(b"".join(map(_frame_bytes, frames)))
        return len(frames)

    def stop(self) -> None:
        """Closes the connection after the data written so far has been sent."""
        if self._writer is not None and self._writer.transport is not None:
            self._writer.transport.unregisterProducer()  # type: ignore[attr-defined]
        self._service.stopService()

    def buildProtocol(self, addr: IAddress | None) -> _Writer:
        """Creates the protocol of a new connection."""
        return _Writer(self)

    def connected(self, writer: _Writer) -> None:
        """Called when a connection is open."""
        self._writer = writer

    def disconnected(self, reason: Failure) -> None:
        """Called when the connection is lost."""
        self._writer = None
        self._warn(reason)

    def _warn(self, reason: Failure) -> None:
        if not self._service.running:
            return
        self._unreported += 1
        if (now := self._clock.seconds()) - self._reported_at < REPORT_EVERY:
            return
        count, why = self._unreported, reason.getErrorMessage()
        self._reported_at, self._unreported = now, 0
        times = f" ({count} times since the last report)" if count > 1 else ""
        log.warn(
            "mirror_to {target}: no connection, copies are dropped: {why}{times}",
            target=self._target, why=why, times=times,
        )  # fmt: skip


def _frame_bytes(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame) if b"\n" in frame else frame + b"\n"
