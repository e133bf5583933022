"""Receives syslog over RELP, and acknowledges each message once it is on disk.

The messages of one read are appended as a whole; after a group commit (``spool.group_commit``) all acknowledgements go
out in one write. Filtered and quarantined frames are acknowledged like any other. If a message could not be stored, the
connection is closed without acknowledgement, and the sender sends it again.

A full intake pauses its sender, whatever ``when_full`` says: nothing is read or acknowledged until what it sent is in
the spool. A sender with more than 64 KiB of acknowledgements that wait for a commit is not read either, so a slow disk
lets no memory grow. With a certificate, the listener uses TLS.
"""
# mypy: disallow-untyped-calls=False

import socket

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from bridge import __version__
from bridge.config import Listener
from bridge.ingest.peers import Peer
from bridge.listen.listener import ListenerContext
from bridge.listen.pauses import Pause
from bridge.listen.stream_transport import AnswersNotRead
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import SyslogConnection, SyslogFactory
from bridge.listen.tls import TlsConnection, TlsListener
from bridge.spool.batch import OpenBatch
from bridge.syslog import relp
from bridge.syslog.framing import Oversize, datagrams

_SOFTWARE = b"syslog-bridge,%b" % __version__.encode()


class RelpConnection(SyslogConnection):
    """Reads the RELP connection of one sender, and acknowledges its messages."""

    acknowledges = True

    def __init__(self, factory: SyslogFactory, peer: Peer) -> None:
        super().__init__(factory, peer)
        self._relp = relp.RelpFramer(factory.listener_context.max_frame_size)
        self._answers: list[bytes] = []
        "Responses that are sent after the next commit."
        self._files: list[OpenBatch] = []
        "Files with the events that these responses acknowledge."
        self._held_lost = False
        "True if events that were held could not be stored."
        self._committing = 0
        self._uncommitted = 0
        "Bytes of the responses that wait for a commit."
        self._disconnected = self._close_requested = False

    def _read(self, data: bytes) -> None:
        pipeline = self._factory.listener_context.pipeline
        try:
            commands = self._relp.feed(data)
        except relp.RelpError as error:
            self._refuse("relp_protocol", f"{error}: is it a RELP client (rsyslog: omrelp)?")
            return
        frames: list[bytes] = []
        oversize: list[Oversize] = []
        for number, name, message, cut in commands:
            if name == b"syslog":
                if cut is not None:
                    oversize.append(cut)
                elif message:
                    frames.append(message)
                self._answers.append(relp.answer(number))
            else:
                self._answers.append(self._control(number, name, message))
        self._note_unfinished(self._relp.held)
        lost = 0
        for taken in (
            pipeline.take(self._peer, datagrams(frames), sender=self) if frames else None,
            pipeline.take_oversize(self._peer, oversize, self) if oversize else None,
        ):
            if taken is not None:
                lost += taken.lost
                self._files += taken.files
        if lost:
            self._refuse_lost()
        elif Pause.HELD in self._pauses:
            if self._files:
                # They may be sealed and closed before the sender is resumed, so their sync is requested now.
                self._factory.listener_context.commit(self._files, lambda error: None)
        elif self._answers and (frames or oversize or self._committing):
            self._acknowledge()
        elif self._answers:
            # There is nothing to wait for, on a disk that may be slow.
            answers, self._answers = self._answers, []
            self._write(b"".join(answers))

    def _refuse_lost(self) -> None:
        text = "its messages could not be stored, so they are not acknowledged; the sender will repeat them"
        self._answers.clear()
        self._refuse("not_kept", text)

    def _control(self, number: int, name: bytes, data: bytes) -> bytes:
        if name == b"open":
            wanted = relp.offers(data).get(b"commands", b"").split(b",")
            if b"syslog" not in wanted:
                return relp.answer(number, b"500 this server takes the command syslog only")
            return relp.answer(number, b"200 OK\nrelp_version=0\nrelp_software=%b\ncommands=syslog" % _SOFTWARE)
        if name == b"close":
            self._close_requested = True
            return relp.answer(number, b"") + relp.GOODBYE
        return relp.answer(number, b"500 unknown command")

    def _acknowledge(self) -> None:
        """Sends the responses after a commit of the files with their events."""
        answers, self._answers = b"".join(self._answers), []
        files, self._files = self._files, []
        self._committing += 1
        self._change_uncommitted(len(answers))

        def done(error: OSError | None) -> None:
            self._committing -= 1
            self._change_uncommitted(-len(answers))
            if self._disconnected or self.transport is None:
                return
            if error is not None:
                text = f"the spool cannot be synced to disk ({error.strerror}), so nothing is acknowledged"
                self._refuse("not_kept", text)
                return
            self._write(answers)

        self._factory.listener_context.commit(files, done)

    def _change_uncommitted(self, difference: int) -> None:
        unsent = self._factory.listener_context.turns.unsent
        unsent.change(difference)
        self._uncommitted += difference
        if self._disconnected:
            return
        if not self._uncommitted:
            self._read_again(Pause.UNCOMMITTED)
        elif unsent.stops(self._uncommitted):
            self._stop_reading(Pause.UNCOMMITTED)

    def _write(self, answers: bytes) -> None:
        assert self.transport is not None
        self.transport.write(answers)
        if self._close_requested and not self._committing:
            self.transport.loseConnection()

    def appended(self, batch: OpenBatch | None) -> None:
        """Notes the file of held events. They are acknowledged when no more events of this sender are held."""
        if batch is None:
            self._held_lost = True
            return
        self._files.append(batch)
        self._factory.listener_context.commit([batch], lambda error: None)

    def resume(self) -> None:
        """Reads again after held events have been appended, and acknowledges them."""
        super().resume()
        if self._disconnected:
            return
        if self._held_lost:
            self._refuse_lost()
        elif self._answers:
            self._acknowledge()

    def end(self) -> None:
        """Closes the connection after the running commits have been acknowledged."""
        self._close_requested = True
        if self._disconnected or self.transport is None:
            return
        if Pause.HELD in self._pauses:
            # Events that are held in memory are not acknowledged; the sender repeats them.
            self._answers.clear()
        if self._committing:
            self._answers.append(relp.GOODBYE)
            self._acknowledge()
        else:
            self.transport.write(relp.GOODBYE)
            self.transport.loseConnection()

    def check_idle(self) -> None:
        """Ends a paused connection that its sender has closed. A RELP frame carries its length, so none waits."""
        if self._pauses:
            self._end_if_closed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(AnswersNotRead):
            text = "it did not read its acknowledgements: is its RELP client stuck? It will repeat its messages"
            self._factory.connections.rejections.note("answers_not_read", self._peer.address, text)
        super().connectionLost(reason)

    def _finish(self) -> None:
        """Marks the connection as ended. Incomplete messages were not acknowledged, so the sender repeats them."""
        self._disconnected = True


class RelpTlsConnection(RelpConnection, TlsConnection):
    """Reads the RELP connection of one sender over TLS."""


def relp_listener(listener: Listener, bound: socket.socket, listener_context: ListenerContext) -> TcpListener:
    """Creates a RELP listener, with TLS if it has a certificate. Raises ListenError."""
    if listener.cert_file is None:
        return TcpListener(listener, bound, listener_context, SyslogFactory(listener, listener_context, RelpConnection))
    factory = SyslogFactory(listener, listener_context, RelpTlsConnection)
    return TlsListener(listener, bound, listener_context, factory)
