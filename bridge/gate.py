# mypy: disallow-untyped-calls=False
"""Where the admin site is served: ``admin.listen``, and the control socket that only the owner may use."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort

from bridge.admin.resource import Page, site
from bridge.config import Config
from bridge.listen.sockets import ListenError, bind, port_of
from bridge.listen.unix_port import UnixPort


class Gate:
    """The admin listeners of one configuration."""

    def __init__(
        self, config: Config, reactor: Any, *, pages: Mapping[str, Page], own_pages: Mapping[str, Page]
    ) -> None:
        """``own_pages``: what the control socket answers beside ``pages``."""
        self._config = config
        self._reactor = reactor
        self._site = site(pages)
        self._control_site = site({**pages, **own_pages})
        self._port: IListeningPort | None = None
        self._socket: UnixPort | None = None
        self._control = config.spool.directory / "control.sock"

    async def open(self) -> None:
        """Bind both. Raises ListenError."""
        listen = self._config.admin.listen
        with bind("tcp", listen.host, listen.port, name="admin.listen", v6only=False) as bound:
            self._port = self._reactor.adoptStreamPort(bound.fileno(), bound.family, self._site)
        try:
            self._socket = UnixPort(control_socket(self._control), self._reactor, self._control_site)
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
