"""Represents the accepted connections of stream listeners: each is read in its turn, and stops while it is not read.

A client that does not read the gateway's answers makes them pile up in memory. So a connection is not read while more
than ``MAX_UNSENT`` bytes are unsent, whatever protocol is on top of it.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Iterable
from typing import Any

from twisted.internet import main, tcp, unix
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.ingest.addresses import share_of
from bridge.listen.pauses import Pause, Pauses
from bridge.listen.periodic_reads import LARGE, SMALL, SMALL_READS, SMALL_READS_AFTER_LARGE
from bridge.listen.stream_turns import StreamTurns

log = Logger(namespace="listen")

MAX_READ = 128 * 1024
"""Bytes of one socket read, at most: twice Twisted's own limit. A sender at full speed has that much in the socket, and
half as many reads halve the fixed cost per read.
"""
FIRST_READ = 8 * 1024
"Bytes of a connection's first read: what its data costs is not known yet."
MIN_READ = 4 * 1024
"Bytes of one read if the data is expensive, as many tiny messages are."
SLOW = 0.01
"Seconds of a read after which the next one is half as long."
VERY_SLOW = 0.1
"Seconds of a read after which all connections of its address are read in smaller pieces, new ones included."
QUICK = 0.0025
"Seconds of a full read below which the next one is four times as long."


class AnswersNotRead(ConnectionLost):
    """Tells a protocol that its client was lost while it did not read what was sent to it."""


class StreamTransport(tcp.Server):
    """Reads the TCP connection of one client when it is its turn."""

    def __init__(self, *server: Any, turns: StreamTurns, waits: bool = False) -> None:
        """Takes the arguments of Twisted's class. ``waits``: the client needs no answer, so it may be read later."""
        self.turn = 0
        self._periodic = turns.periodic if waits else None
        self._is_periodic = False
        self._small_reads, self._small_reads_needed = 0, SMALL_READS
        self._turns = turns
        self._read_size = self._asked = FIRST_READ
        self._unsent = 0
        self._pauses = Pauses()
        super().__init__(*server)
        self.source = share_of(str(self.client[0]))

    def count_for(self, host: str) -> None:
        """Lets the reads count for another address: the client behind a load balancer."""
        self.source = share_of(host)

    # --- reading ------------------------------------------------------------------------------------------------------

    def doRead(self) -> None:
        """Called by the reactor when there is data."""
        self._turns.ready(self)

    def read(self, turn: int) -> int:
        """Reads once, in the turn with this number. Returns the number of bytes."""
        self.turn = turn
        if self._pauses or not self._is_open():
            return 0  # since it became ready
        self._asked = MIN_READ if self._turns.unsent.exceeded else self._turns.read_size(self.source, self._read_size)
        try:
            data = self.socket.recv(self._asked)
        except BlockingIOError:
            return 0
        except OSError:
            self.connectionLost(Failure(main.CONNECTION_LOST))
            return 0
        if not data:
            self.readConnectionLost(Failure(main.CONNECTION_DONE))
            return 0
        try:
            self.protocol.dataReceived(data)
        except Exception:
            log.failure("defect while a connection was read")
            self.connectionLost(Failure())
        return len(data)

    def note_cost(self, size: int, seconds: float) -> bool:
        """Adapts the size of the next read to the cost of the latest one. Returns True if there may be more data."""
        full = size >= self._asked
        if self._periodic is not None:
            self._note_size(size)
        if seconds > SLOW:
            self._read_size = max(MIN_READ, self._asked // 2)
            if seconds > VERY_SLOW:
                self._turns.limit_reads(self.source, self._read_size)
        elif full and seconds < QUICK and size < MAX_READ:
            self._read_size = min(MAX_READ, self._asked * 4)
        return full

    def _note_size(self, size: int) -> None:
        """Chooses between periodic reads and reads at once, by the latest sizes."""
        if size > SMALL:
            self._small_reads = 0
            if size >= LARGE:
                self._small_reads_needed = SMALL_READS_AFTER_LARGE
                self._end_periodic()
            return
        self._small_reads += 1
        if self._small_reads >= self._small_reads_needed and not self._is_periodic and size and not self.dataBuffer:
            if reads := self._is_open() and not self._pauses:
                super().stopReading()
            self._is_periodic = True
            if reads:
                self.startReading()

    def _end_periodic(self) -> None:
        self._small_reads = 0
        if self._is_periodic:
            self._is_periodic = False
            if self._periodic is not None and self._periodic.remove(self):
                super().startReading()

    def startReading(self) -> None:
        """Waits for data."""
        if self._is_periodic and self._periodic is not None:
            self._periodic.add(self)
        else:
            super().startReading()

    def stopReading(self) -> None:
        """Does not wait for data any more."""
        if self._is_periodic and self._periodic is not None:
            self._periodic.remove(self)
        super().stopReading()

    def startWriting(self) -> None:
        """Waits until the client takes data. Meanwhile data is read at once: if the client ends the connection, the
        reactor must see what it has sent before."""
        self._end_periodic()
        super().startWriting()

    def pauseProducing(self) -> None:
        """Stops reading for the protocol."""
        self._pause(Pause.PROTOCOL)

    def resumeProducing(self) -> None:
        """Reads again for the protocol, unless there is another reason to pause."""
        self._resume(Pause.PROTOCOL)

    def _pause(self, reason: Pause) -> None:
        if self._pauses.begin(reason):
            self.stopReading()

    def _resume(self, reason: Pause) -> None:
        if self._pauses.end(reason) and self._is_open():
            self.startReading()

    def _is_open(self) -> bool:
        return bool(self.connected and not self.disconnecting and not self._aborting)

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Sends data, now or as soon as the client reads it."""
        super().write(data)
        self._note_unsent()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Sends pieces of data."""
        super().writeSequence(iovec)
        self._note_unsent()

    def doWrite(self) -> Any:
        """Called by the reactor when the socket takes data. Returns the reason if the connection has ended."""
        ended = super().doWrite()
        self._note_unsent()
        return ended

    def connectionLost(self, reason: Failure) -> None:
        """Called when the connection has ended."""
        if Pause.UNSENT in self._pauses and reason.check(ConnectionLost):
            reason = Failure(AnswersNotRead())
        self._turns.unsent.change(-self._unsent)
        self._unsent = 0
        super().connectionLost(reason)

    def _note_unsent(self) -> None:
        if not self.connected:
            return
        unsent = len(self.dataBuffer) - self.offset + self._tempDataLen
        self._turns.unsent.change(unsent - self._unsent)
        self._unsent = unsent
        if not unsent:
            self._resume(Pause.UNSENT)
        elif self._turns.unsent.stops(unsent):
            self._pause(Pause.UNSENT)


class UnixStreamTransport(StreamTransport, unix.Server):
    """Reads the Unix socket connection of one client when it is its turn."""

    repstr = "connection to a Unix socket"
