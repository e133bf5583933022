"""Accepts connections on a Unix socket that is already bound.

Twisted's own port needs a path, changes its mode, and removes it at the end. This socket may have been inherited as a
descriptor, and may outlive the process.
"""
# mypy: disallow-untyped-calls=False

import socket

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IProtocolFactory, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.host.interfaces import Reactor
from bridge.listen.descriptors import DescriptorReserve
from bridge.listen.stream_transport import UnixStreamTransport
from bridge.listen.stream_turns import StreamTurns
from bridge.listen.tcp_port import AT_ONCE


@implementer(IReadDescriptor)
class UnixPort:
    """Accepts connections on one listening socket, which ``stopListening`` closes.

    With ``descriptors``, it pauses when few descriptors are left. With ``turns``, its connections are read in turns.
    """

    def __init__(
        self, bound: socket.socket, reactor: Reactor, factory: IProtocolFactory, *,
        descriptors: DescriptorReserve | None = None, turns: StreamTurns | None = None,
    ) -> None:  # fmt: skip
        self._bound = bound
        self._reactor = reactor
        self._factory = factory
        self._descriptors = descriptors
        self._turns = turns or StreamTurns()
        factory.doStart()
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._bound.fileno()

    def logPrefix(self) -> str:
        return "unix"

    def connectionLost(self, reason: Failure) -> None:
        """Called when the reactor has removed the port."""

    def doRead(self) -> None:
        """Called when connections are waiting: accepts them."""
        for _ in range(AT_ONCE):
            if self._descriptors is not None and not self._descriptors.has_room():
                self._reactor.removeReader(self)
                self._descriptors.wait(self._reactor, self._resume)
                return
            try:
                connection, _address = self._bound.accept()
            except OSError:
                return
            protocol = self._factory.buildProtocol(UNIXAddress(None))
            if protocol is None:
                connection.close()
                continue
            protocol.makeConnection(
                UnixStreamTransport(connection, protocol, "", None, 0, self._reactor, turns=self._turns, waits=True)
            )

    def _resume(self) -> None:
        self._reactor.addReader(self)

    def stopListening(self) -> None:
        """Stops accepting connections and closes the socket."""
        if self._descriptors is not None:
            self._descriptors.forget(self._resume)
        self._reactor.removeReader(self)
        self._bound.close()
        self._factory.doStop()
