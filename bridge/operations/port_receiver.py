"""Receives messages on ports of its own, over UDP and TCP, while no other program listens there.

A port that is in use is never shared: the other program would lose messages.
"""

import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from bridge.config.addresses import Address
from bridge.discover import Received
from bridge.ingest.addresses import address_of
from bridge.listen.sockets import grow_receive_buffer, open_port
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.framing import StreamFramer, datagrams
from bridge.util.errors import BridgeError

MAX_CONNECTIONS = 1000
MAX_FRAME = 256 * 1024
_READ = 64 * 1024
_DRAIN = 200
"Datagrams that are read in a row."
_TURN_SECONDS = 0.25
_BUFFER = 16 << 20
_BACKLOG = 128


class PortError(BridgeError):
    """Raised when a port cannot be bound; the text says why and what to do."""


class PortReceiver:
    """Receives on some ports: (kind, address), where kind is ``udp`` or ``tcp``. Raises PortError.

    Use it as a context manager, which closes all sockets.
    """

    def __init__(self, ports: Sequence[tuple[str, Address]]) -> None:
        self._selector = selectors.DefaultSelector()
        self._streams: dict[socket.socket, tuple[StreamFramer, str]] = {}
        self._open = ExitStack()
        self.refused = 0
        "Connections beyond the limit."
        self.bound: list[tuple[str, tuple[str, int]]] = []
        "Kind and local address of each port."
        try:
            for kind, address in ports:
                self._bind(kind, address)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "PortReceiver":
        return self

    def __exit__(self, *error: object) -> None:
        for connection in list(self._streams):
            connection.close()
        self._open.close()
        self._selector.close()

    def _bind(self, kind: str, address: Address) -> None:
        try:
            opened = open_port(kind, address.host, address.port, v6only=address.host != "*", backlog=_BACKLOG)
        except OSError as error:
            raise _port_error(kind, address, error) from None
        self._open.callback(opened.close)
        if kind == "udp":
            grow_receive_buffer(opened, _BUFFER)
        self.bound.append((kind, opened.getsockname()[:2]))
        self._selector.register(opened, selectors.EVENT_READ, self._drain if kind == "udp" else self._accept)

    def messages(self, until: float, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Received | None]:
        """Yields messages until a time of the clock, and None at least four times a second."""
        while (left := until - clock()) > 0:
            ready = self._selector.select(min(left, _TURN_SECONDS))
            for key, _ in ready:
                yield from key.data(key.fileobj)
            if not ready:
                for framer, source in self._streams.values():
                    yield from _received(framer.idle(), source)
            yield None

    def _drain(self, udp: socket.socket) -> Iterator[Received]:
        for _ in range(_DRAIN):
            try:
                data, peer = udp.recvfrom(_READ)
            except OSError:
                return
            if data.strip(b"\r\n\0"):
                yield Received(list_of(datagrams([data]))[0], str(address_of(peer[0])), time.time(), "udp")

    def _accept(self, listener: socket.socket) -> Iterator[Received]:
        try:
            connection, peer = listener.accept()
        except OSError:
            return
        if len(self._streams) >= MAX_CONNECTIONS:
            self.refused += 1
            connection.close()
            return
        connection.setblocking(False)
        self._streams[connection] = StreamFramer("auto", MAX_FRAME), str(address_of(peer[0]))
        self._selector.register(connection, selectors.EVENT_READ, self._read)
        yield from ()

    def _read(self, connection: socket.socket) -> Iterator[Received]:
        framer, source = self._streams[connection]
        try:
            data = connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            yield from _received(framer.feed(data), source)
            framer.oversize.clear()
            return
        self._selector.unregister(connection)
        del self._streams[connection]
        connection.close()
        yield from _received(framer.close()[0], source)


def _received(frames: Frames, source: str) -> Iterator[Received]:
    now = time.time()
    for frame in list_of(frames) if frames else ():
        if frame:
            yield Received(frame, source, now, "tcp")


def _port_error(kind: str, address: Address, error: OSError) -> PortError:
    where = f"{kind}://{address}"
    if error.errno == errno.EADDRINUSE:
        return PortError(
            f"{where}: another program listens there",
            "Leave it running and read what it receives: "
            f"tcpdump -i any -w - {kind} port {address.port} | syslog-bridge discover --capture -",
        )
    if error.errno == errno.EACCES:
        return PortError(f"{where}: permission denied", "Ports below 1024 need root: use sudo")
    return PortError(f"{where}: {error.strerror}")
