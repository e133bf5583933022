# mypy: disallow-untyped-calls=False
"""The door of a RELP listener: syslog whose every message is acknowledged, once it is on the disk.

One acknowledgement a read: its messages are appended as a whole, then a group commit (``spool.commits``) is waited for,
then all answers go in one write. Frames that were filtered, or put aside in quarantine, are done with, and are
acknowledged like any other. What could not be kept is not: the connection ends, and the sender sends it again.

A full intake makes its sender wait, whatever ``when_full`` says: nothing is read, and nothing acknowledged, until what
it sent is in the spool. With a certificate the door speaks TLS.
"""

import socket

from bridge import __version__
from bridge.config import Listener
from bridge.ingest.peers import Peer
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import SyslogConnection, SyslogFactory
from bridge.listen.tls import TlsConnection, TlsFactory, TlsListener
from bridge.syslog import relp
from bridge.syslog.framing import Oversize, datagrams

_SOFTWARE = b"syslog-bridge,%b" % __version__.encode()


class RelpSession:
    """What a RELP connection adds to one of plain syslog."""

    _factory: SyslogFactory
    _peer: Peer
    _held: bool
    acknowledges = True

    def __init__(self, factory: SyslogFactory, *rest: object) -> None:
        super().__init__(factory, *rest)  # type: ignore[call-arg]
        self._relp = relp.RelpFramer(factory.hall.max_frame_size)
        self._answers: list[bytes] = []
        "To be sent with the next commit."
        self._committing = 0
        self._gone = self._leaving = False

    def _read(self, data: bytes) -> None:
        road = self._factory.hall.road
        try:
            commands = self._relp.feed(data)
        except relp.RelpError as error:
            self._refuse("relp_protocol", f"{error}: is it a RELP client (rsyslog: omrelp)?")  # type: ignore[attr-defined]
            return
        frames: list[bytes] = []
        oversize: list[Oversize] = []
        lost = road.landing.losses
        for number, name, message, cut in commands:
            if name == b"syslog":
                if cut is not None:
                    oversize.append(cut)
                elif message:
                    frames.append(message)
                self._answers.append(relp.answer(number))
            else:
                self._answers.append(self._control(number, name, message))
        if frames:
            road.take(self._peer, datagrams(frames), sender=self)  # type: ignore[arg-type]
        if oversize:
            road.take_oversize(self._peer, oversize, self)  # type: ignore[arg-type]
        if road.landing.losses != lost:
            text = "what it sent could not be kept, so it is not acknowledged; it will send it again"
            self._answers.clear()
            self._refuse("not_kept", text)  # type: ignore[attr-defined]
        elif self._answers and not self._held:
            self._acknowledge()

    def _control(self, number: int, name: bytes, data: bytes) -> bytes:
        if name == b"open":
            wanted = relp.offers(data).get(b"commands", b"").split(b",")
            if b"syslog" not in wanted:
                return relp.answer(number, b"500 this server takes the command syslog only")
            return relp.answer(number, b"200 OK\nrelp_version=0\nrelp_software=%b\ncommands=syslog" % _SOFTWARE)
        if name == b"close":
            self._leaving = True
            return relp.answer(number, b"") + relp.GOODBYE
        return relp.answer(number, b"500 unknown command")

    def _acknowledge(self) -> None:
        answers, self._answers = self._answers, []
        self._committing += 1

        def done(error: OSError | None) -> None:
            self._committing -= 1
            if self._gone:
                return
            if error is not None:
                text = f"the spool cannot be synced ({error.strerror}), so nothing is acknowledged"
                self._refuse("not_kept", text)  # type: ignore[attr-defined]
                return
            transport = self.transport  # type: ignore[attr-defined]
            transport.write(b"".join(answers))
            if self._leaving and not self._committing:
                transport.loseConnection()

        self._factory.hall.commit(done)

    def go_on(self) -> None:
        """There is room again: what waited is in the spool."""
        super().go_on()  # type: ignore[misc]
        if self._answers and not self._gone:
            self._acknowledge()

    def end(self) -> None:
        """We end it: what is being committed is acknowledged first."""
        self._leaving = True
        if self._gone or self.transport is None:  # type: ignore[attr-defined]
            return
        if self._committing:
            self._answers.append(relp.GOODBYE)
            self._acknowledge()
        else:
            self.transport.write(relp.GOODBYE)  # type: ignore[attr-defined]
            self.transport.loseConnection()  # type: ignore[attr-defined]

    def check_idle(self) -> None:
        """No message ends by itself."""

    def _finish(self) -> None:
        """The connection has ended. What had begun was not acknowledged, and comes again."""
        self._gone = True


class RelpConnection(RelpSession, SyslogConnection):
    """A sender's connection."""


class RelpTlsConnection(RelpSession, TlsConnection):
    """A sender's connection, with TLS."""


class RelpFactory(SyslogFactory):
    """The connections of one RELP listener."""

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """A new sender's."""
        return RelpConnection(self, peer)


class RelpTlsFactory(TlsFactory):
    """The same with TLS."""

    def connection(self, peer: Peer, host: str) -> SyslogConnection:
        """A new sender's, whose handshake comes first."""
        return RelpTlsConnection(self, peer, host)


def relp_listener(listener: Listener, bound: socket.socket, hall: ListenerContext) -> TcpListener:
    """One listening socket. Raises ListenError."""
    if listener.certificate is not None:
        return TlsListener(listener, bound, hall, RelpTlsFactory(listener, hall))
    return TcpListener(listener, bound, hall, RelpFactory(listener, hall))
