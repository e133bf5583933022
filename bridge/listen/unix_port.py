# mypy: disallow-untyped-calls=False
"""Accepts on a Unix socket that somebody else has bound. Twisted's own port wants a path, changes its mode, and removes
it at the end; ours may be reached through a descriptor, and may outlive us."""

import socket
from typing import Any

from twisted.internet.interfaces import IProtocolFactory, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_AT_ONCE = 100
"Connections that are taken before others have their turn."


@implementer(IReadDescriptor)
class UnixPort:
    """One listening socket; ``close`` closes it."""

    def __init__(self, bound: socket.socket, reactor: Any, factory: IProtocolFactory) -> None:
        self._bound = bound
        self._reactor = reactor
        self._factory = factory
        factory.doStart()
        reactor.addReader(self)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._bound.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "unix"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has dropped us."""

    def doRead(self) -> None:
        """Someone connects."""
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._bound.accept()
            except OSError:
                return
            with connection:
                connection.setblocking(False)
                # The reactor takes a duplicate of the descriptor.
                self._reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, self._factory)

    def close(self) -> None:
        """Accept no more."""
        self._reactor.removeReader(self)
        self._bound.close()
        self._factory.doStop()
