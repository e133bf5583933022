# mypy: disallow-untyped-calls=False
"""Where the admin site is served: ``admin.listen``, and the control socket that only the owner may use."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource

from bridge.admin.auth import Authentication
from bridge.admin.resource import Page, site
from bridge.config import Config
from bridge.listen.sockets import ListenError, bind, port_of
from bridge.listen.unix_port import UnixPort
from bridge.tls.pem import PemError
from bridge.tls.server import ServerContext

log = Logger(namespace="admin")


class AdminServer:
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
        self._site = site(pages, Authentication(self._token))
        self._context: ServerContext | None = None
        self._control_site = site({**pages, **own_pages})
        self._control_site.resource.putChild(b"control", control)
        self._port: IListeningPort | None = None
        self._socket: UnixPort | None = None
        self._control = config.spool.directory / "control.sock"

    async def open(self) -> None:
        """Bind both. Raises ListenError."""
        admin = self._config.admin
        factory: Any = self._site
        if admin.certificate is not None:
            try:
                self._context = ServerContext(admin.certificate, admin.private_key)
            except PemError as error:
                raise ListenError(f"admin.listen: {error}") from None
            factory = TLSMemoryBIOFactory(self._context, False, self._site)
        elif not admin.listen.is_loopback:
            raise ListenError("admin.listen: reachable from elsewhere, it needs certificate, private_key and token")
        with bind("tcp", admin.listen.host, admin.listen.port, name="admin.listen", v6only=False) as bound:
            self._port = self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
        try:
            self._socket = UnixPort(control_socket(self._control), self._reactor, self._control_site)
        except OSError as error:
            raise ListenError(f"{self._control}: {error.strerror}") from None

    def change(self, config: Config) -> None:
        """Another configuration holds: its token counts, and certificates are read again."""
        self._config = config
        admin = config.admin
        if self._context is None or admin.certificate is None:
            return
        try:
            self._context.become(ServerContext(admin.certificate, admin.private_key))
        except PemError as error:
            log.error("admin.listen: {why}; the certificate from before is shown", why=error)

    def certificates(self) -> dict[str, float]:
        """When the certificate expires, in seconds since the epoch."""
        return {} if self._context is None else {"admin.listen": self._context.expires}

    def _token(self) -> str | None:
        token = self._config.admin.token
        return None if token is None else token.reveal()

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
