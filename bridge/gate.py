# mypy: disallow-untyped-calls=False
"""Where the admin site is served: ``admin.listen``, and the control socket that only the owner may use."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from bridge.admin.resource import Page, site
from bridge.config import Config
from bridge.listen.sockets import ListenError, bind, port_of


class Gate:
    """The admin listeners of one configuration."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        *,
        pages: Mapping[str, Page],
        own_pages: Mapping[str, Page],
        control: Resource,
    ) -> None:
        """``own_pages`` and ``control``: what the control socket answers beside ``pages``."""
        self._config = config
        self._reactor = reactor
        self._site = site(pages)
        self._control_site = site({**pages, **own_pages})
        self._control_site.resource.putChild(b"control", control)
        self._port: IListeningPort | None = None
        self._socket: ControlPort | None = None
        self._control = config.spool.directory / "control.sock"

    async def open(self) -> None:
        """Bind both. Raises ListenError."""
        listen = self._config.admin.listen
        with bind("tcp", listen.host, listen.port, name="admin.listen", v6only=False) as bound:
            self._port = self._reactor.adoptStreamPort(bound.fileno(), bound.family, self._site)
        try:
            self._socket = ControlPort(control_socket(self._control), self._reactor, self._control_site)
        except OSError as error:
            raise ListenError(f"{self._control}: {error.strerror}") from None

    @property
    def port(self) -> int:
        """The admin endpoint's port."""
        return port_of(self._port) if self._port is not None else 0

    async def close(self) -> None:
        """Close both."""
        if self._port is not None:
            await defer.maybeDeferred(self._port.stopListening)
            self._port = None
        if self._socket is not None:
            self._socket.close()
            self._control.unlink(missing_ok=True)
            self._socket = None


@implementer(IReadDescriptor)
class ControlPort:
    """Accepts on the control socket. Twisted's own Unix port wants a path that it can change the mode of, and ours is
    reached through a descriptor."""

    def __init__(self, bound: socket.socket, reactor: Any, factory: Site) -> None:
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
        return "control"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has dropped us."""

    def doRead(self) -> None:
        """Someone connects."""
        try:
            connection, _ = self._bound.accept()
        except OSError:
            return
        with connection:
            connection.setblocking(False)
            self._reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, self._factory)

    def close(self) -> None:
        """Accept no more."""
        self._reactor.removeReader(self)
        self._bound.close()
        self._factory.doStop()


def control_socket(path: Any) -> socket.socket:
    """A listening Unix socket that only its owner may use. The spool's lock says that no other process has it."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # A socket's name may have 107 bytes; through the directory's descriptor it is short however deep the spool lies.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mask = os.umask(0o177)
    try:
        bound.bind(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(mask)
        os.close(folder)
    bound.listen(16)
    return bound
