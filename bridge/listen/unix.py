"""Listens on Unix sockets. Local programs have no peer address, so the machine's host name is the source."""

import socket

from bridge.config import Listener
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import SyslogFactory
from bridge.listen.udp import UdpListener
from bridge.listen.unix_port import UnixPort

LONGEST = 1 << 20
"Bytes of the longest datagram. Only the sender's buffer limits it, not a protocol."


class UnixDatagramListener(UdpListener):
    """Receives on one datagram socket, such as /dev/log.

    A sender blocks while the socket's buffer is full, so the kernel drops nothing.
    """

    port = 0
    kernel_drops = 0

    def __init__(self, listener: Listener, bound: socket.socket, listener_context: ListenerContext) -> None:
        super().__init__(listener, bound, listener_context, local=socket.gethostname(), longest=LONGEST)


class UnixStreamListener(TcpListener):
    """Accepts connections on one Unix stream socket."""

    port = 0

    def __init__(self, listener: Listener, bound: socket.socket, listener_context: ListenerContext) -> None:
        factory = SyslogFactory(listener, listener_context, local=socket.gethostname())
        super().__init__(listener, bound, listener_context, factory)

    def start(self) -> None:
        self._listening = UnixPort(
            self.bound.dup(), self._reactor, self._factory, descriptors=self._descriptors, turns=self._turns
        )
