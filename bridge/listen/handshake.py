"""Supervises TLS handshakes of the tls, relp and https listeners: first byte, timeout, eviction and failure."""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bridge.listen import proxy_protocol_header
from bridge.listen.connections import Connections
from bridge.tls.records import RecordsFactory, RecordsTransport
from bridge.tls.server import handshake_fault

_HANDSHAKE = 0x16
"The first byte of a TLS handshake (RFC 8446, content type 22)."
_FIRST = 1024
"Bytes of a client's first data that are kept until the handshake is complete. They tell what it offers."


class Handshake:
    """Supervises the handshake of one connection, which ``refuse(reason, text)`` rejects."""

    def __init__(
        self, connections: Connections[Any], reactor: IReactorTime, *,
        sender: str, refuse: Callable[[str, str], None], plain_text_hint: str,
    ) -> None:  # fmt: skip
        self.done = False
        self.received_data = False
        "True once the client has sent anything."
        self._first_data = b""
        self._connections = connections
        self._sender = sender
        self._refuse: Callable[[str, str], None] | None = refuse
        self._plain_text_hint = plain_text_hint
        timeout = connections.listener.handshake_timeout.total_seconds()
        self._timeout: IDelayedCall | None = reactor.callLater(timeout, self._timed_out)
        connections.handshake_began(self._close_for_new_client)

    def begins(self, data: bytes) -> bool:
        """Checks the client's first data. Rejects the client and returns False if it does not begin a handshake."""
        self.received_data = True
        self._first_data = data[:_FIRST]
        if data[0] == _HANDSHAKE:
            return True
        if proxy_protocol_header.begins(data):
            self._reject(*proxy_protocol_header.UNEXPECTED)
        else:
            self._reject("plain_text", f"it does not speak TLS{self._plain_text_hint}")
        return False

    def complete(self) -> None:
        """Called when the handshake is complete."""
        self.done = True
        self._first_data = b""
        self.stop()

    def stop(self) -> None:
        """Ends the supervision, because the handshake is complete or the connection has ended."""
        self._connections.handshake_ended(self._close_for_new_client)
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
        # These refer to the connection: without the cycle it is freed at once when it ends.
        self._timeout = self._refuse = None

    def note_failure(self, connection: SSL.Connection, error: BaseException | None) -> bool:
        """Counts a connection that ended during the handshake, or that a TLS error ended afterwards.

        Returns False if the connection ended normally, or is a health check: it ended before any data, or it is a load
        balancer's own and ended within the handshake.
        """
        if not self.received_data or (self.done and not isinstance(error, SSL.Error)):
            return False
        if not self.done and self._connections.is_balancer(self._sender):
            return False
        fault, text = "tls_broken", "its TLS data is damaged or was modified in transit"
        if not self.done:
            fault, text = handshake_fault(connection, error, self._first_data)
        self._connections.rejections.note(fault, self._sender, text)
        return True

    def _close_for_new_client(self) -> None:
        self._reject("handshake_timeout", "max_connections is reached, and it has the oldest unfinished TLS handshake")

    def _timed_out(self) -> None:
        what = "the TLS handshake was not completed" if self.received_data else "it sent nothing"
        self._reject("handshake_timeout", f"{what} within handshake_timeout")

    def _reject(self, reason: str, text: str) -> None:
        refuse = self._refuse
        self.stop()
        if refuse is not None:
            refuse(reason, text)


class TlsReceiver(Protocol):
    """Declares what the TLS transport needs of the connection that it decrypts for."""

    handshake: Handshake

    def read_done(self) -> None:
        """Called after all records of one socket read."""


class TlsTransport(RecordsTransport):
    """Decrypts a client's data and tells the connection when one socket read is complete."""

    def dataReceived(self, data: bytes) -> None:
        """Decrypts the data of one socket read."""
        connection: TlsReceiver | None = self.wrappedProtocol  # type: ignore[assignment]
        if connection is None:
            return  # it has ended
        if connection.handshake.received_data or connection.handshake.begins(data):
            super().dataReceived(data)
            connection.read_done()


class TlsTransportFactory(RecordsFactory):
    """Wraps the factory of a TLS listener's connections, each of which is a ``TlsReceiver``."""

    protocol = TlsTransport
