"""Accepts connections on a TCP socket that is already bound, while the process has file descriptors for them."""
# mypy: disallow-untyped-calls=False

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.failure import Failure

from bridge.host.interfaces import Reactor
from bridge.listen.descriptors import DescriptorReserve
from bridge.listen.stream_transport import StreamTransport
from bridge.listen.stream_turns import StreamTurns

AT_ONCE = 100
"Connections accepted before the reactor handles other events."


class TcpPort(tcp.Port):
    """Twisted's port, but it pauses when few descriptors are left. Twisted's own then closes new connections."""

    descriptors: DescriptorReserve
    turns: StreamTurns
    clock: Reactor
    waits = False
    "True if clients need no answers, so that their data may be read later."

    @classmethod
    def listen_on(
        cls, bound: socket.socket, reactor: Reactor, factory: IProtocolFactory, *,
        descriptors: DescriptorReserve, turns: StreamTurns, waits: bool,
    ) -> "TcpPort":  # fmt: skip
        """Starts to accept connections on a duplicate of a listening socket."""
        port: TcpPort = cls._fromListeningDescriptor(reactor, bound.fileno(), bound.family, factory)
        port.descriptors, port.turns, port.clock, port.waits = descriptors, turns, reactor, waits
        port.startListening()
        return port

    def transport(self, *server: Any) -> StreamTransport:  # type: ignore[override]  # a class there
        """Creates the transport of an accepted connection."""
        return StreamTransport(*server, turns=self.turns, waits=self.waits)

    def doRead(self) -> None:
        """Called when connections are waiting: accepts some of them."""
        for _ in range(AT_ONCE):
            if not self.descriptors.has_room():
                self.stopReading()
                self.descriptors.wait(self.clock, self.startReading)
                return
            self.numberAccepts = 1
            super().doRead()
            if self.numberAccepts == 1:
                # Twisted raises the number after each connection: none was waiting.
                return

    def connectionLost(self, reason: Failure) -> None:
        """Called when the socket is closed."""
        self.descriptors.forget(self.startReading)
        super().connectionLost(reason)
