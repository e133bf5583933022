"""The doors of Unix sockets: programs of this machine, which have no address; its own name is their source."""

import socket

from bridge.config import Listener
from bridge.listen.listener import ListenerContext
from bridge.listen.tcp import TcpListener
from bridge.listen.tcp_connection import SyslogFactory
from bridge.listen.udp import UdpListener
from bridge.listen.unix_port import UnixPort

LONGEST = 1 << 20
"Bytes of the longest datagram: no protocol bounds it, only the sender's buffer."


class UnixDatagramListener(UdpListener):
    """One datagram socket, such as /dev/log. A sender waits where it is full: the kernel drops nothing."""

    port = 0
    kernel_drops = 0

    def __init__(self, listener: Listener, bound: socket.socket, listener_context: ListenerContext) -> None:
        super().__init__(listener, bound, listener_context, local=socket.gethostname(), longest=LONGEST)


class UnixStreamListener(TcpListener):
    """One listening socket."""

    port = 0

    def __init__(self, listener: Listener, bound: socket.socket, listener_context: ListenerContext) -> None:
        super().__init__(
            listener, bound, listener_context, SyslogFactory(listener, listener_context, local=socket.gethostname())
        )
        self._accepting: UnixPort | None = None

    def start(self) -> None:
        """Accept."""
        self._accepting = UnixPort(self._bound.dup(), self._listener_context.reactor, self.factory)

    async def shut(self) -> None:
        """Accept no more."""
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None
        self._bound.close()
