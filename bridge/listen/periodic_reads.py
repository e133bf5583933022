"""Reads the connections that bring little data at a time together, every few milliseconds.

Hundreds of devices with a connection each send single messages. If each were read when it arrives, the fixed cost per
read would be several times the cost of the message. A sender of a stream does not notice that it is read later: the
kernel keeps what arrives. Connections whose protocol answers are read at once.

The connections are in an epoll set of their own, which the reactor waits for as one descriptor.
"""

import select

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.host.interfaces import Reactor

INTERVAL = 0.05
"""Seconds between the beginnings of two reads of all connections. It is little beside the seconds for which a batch is
open."""
SMALL = 2048
"Bytes of a read up to which it counts as small."
SMALL_READS = 8
"Small reads in a row after which a connection is read periodically."
LARGE = 16 * 1024
"""Bytes of a read from which on a connection is read at once again: it sends 320 KiB/s. One that sends as fast as it is
read would fill its receive buffer within the interval, since the kernel needs several times the size of short messages.
"""
SMALL_READS_AFTER_LARGE = 10_000
"Small reads in a row after which such a connection is read periodically again."


@implementer(IReadDescriptor)
class PeriodicReads:
    """Waits for the data of many connections."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._readers: dict[int, IReadDescriptor] = {}
        self._epoll = select.epoll()
        self._timer: IDelayedCall | None = None
        self._began: float | None = None
        "Time at which the connections were read in this turn; None if they were not."
        self.interval = INTERVAL
        "0 while listeners are closed: then all data is read as soon as it arrives."

    def fileno(self) -> int:
        """Returns the descriptor of the epoll set, which is readable while one of the connections is."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "connections"

    def add(self, reader: IReadDescriptor) -> None:
        """Reads a connection periodically from now on."""
        descriptor = reader.fileno()
        if descriptor in self._readers:
            return
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = reader
        if self._timer is None:
            self._reactor.addReader(self)

    def remove(self, reader: IReadDescriptor) -> bool:
        """Stops reading a connection. Returns False if it was not read."""
        descriptor = reader.fileno()
        if self._readers.get(descriptor) is not reader:
            return False
        del self._readers[descriptor]
        self._epoll.unregister(descriptor)
        if not self._readers:
            self._reactor.removeReader(self)
            self._cancel()
        return True

    def doRead(self) -> None:
        """Called by the reactor when a connection has data."""
        self._began = self._reactor.seconds()
        for descriptor, _ in self._epoll.poll(0, len(self._readers) + 1):
            self._readers[descriptor].doRead()

    def all_read(self) -> None:
        """Waits for the next interval. Called when no connection was left over in the turn."""
        began, self._began = self._began, None
        if began is not None and self._readers and self.interval:
            self._reactor.removeReader(self)
            wait = max(0.0, began + self.interval - self._reactor.seconds())
            self._timer = self._reactor.callLater(wait, self._resume)

    def read_at_once(self, wanted: bool) -> None:
        """Reads all data as soon as it arrives, or periodically again."""
        self.interval = 0.0 if wanted else INTERVAL
        if wanted and self._timer is not None:
            self._cancel()
            self._resume()

    def _resume(self) -> None:
        self._timer = None
        self._reactor.addReader(self)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def connectionLost(self, reason: Failure) -> None:
        """Ends the connections. Called by a reactor that ends."""
        self._cancel()
        for reader in list(self._readers.values()):
            reader.connectionLost(reason)
