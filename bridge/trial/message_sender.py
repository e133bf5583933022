"""Opens the sender of test messages that fits the transport of a target."""

from typing import Protocol

from bridge import __version__
from bridge.routing.conditions import Address
from bridge.trial.relp_sender import RelpSender
from bridge.trial.send_connection import SendConnection
from bridge.trial.send_target import ClientTls, SendTarget


class MessageSender(Protocol):
    """Sends messages over one connection. ``send`` and ``close`` raise SendError."""

    @property
    def acknowledged(self) -> int | None:
        """The number of acknowledged messages; None if the transport has no acknowledgements."""

    def send(self, frame: bytes) -> None:
        """Sends one message, without its end."""

    def close(self) -> None:
        """Ends the connection when everything is sent, and acknowledged if the transport can."""

    def abort(self) -> None:
        """Closes the connection after an error."""


class _PlainSender:
    """Sends each message as a datagram, or as a part of a stream with the end that it needs."""

    acknowledged = None

    def __init__(self, connection: SendConnection, *, octet_counted: bool) -> None:
        self._end = b"" if connection.datagrams or octet_counted else b"\n"
        self._connection = connection
        self.close = connection.close
        self.abort = connection.abort

    def send(self, frame: bytes) -> None:
        self._connection.send(frame + self._end)


def open_sender(target: SendTarget, source: Address | None, tls: ClientTls, *, octet_counted: bool) -> MessageSender:
    """Connects to a target. ``source`` is the local address to send from. Raises SendError."""
    connection = SendConnection(target, source, tls)
    if target.acknowledges:
        return RelpSender(connection, f"syslog-bridge,{__version__}")
    return _PlainSender(connection, octet_counted=octet_counted)
