"""Opens ``admin.listen`` and the control socket, which only its owner may use."""
# mypy: disallow-untyped-calls=False

import os
import socket
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource

from bridge.admin.auth import Authentication
from bridge.admin.control import MAX_BODY_BYTES
from bridge.admin.documentation import Documentation
from bridge.admin.resource import Page, site
from bridge.admin.site import AdminLimits
from bridge.config import Config
from bridge.host.interfaces import Reactor
from bridge.listen.sockets import ListenError, bind
from bridge.listen.unix_port import UnixPort
from bridge.tls.pem import PemError
from bridge.tls.server import ServerContext

log = Logger(namespace="admin")


class AdminServer:
    """Owns the admin port and the control socket of one bridge."""

    def __init__(
        self, config: Config, reactor: Reactor, *, pages: Mapping[str, Page], control_pages: Mapping[str, Page],
        control: Resource,
    ) -> None:  # fmt: skip
        """``pages`` are served on both. ``control_pages`` and ``control`` are served on the control socket only."""
        self._config = config
        self._reactor = reactor
        self._limits = AdminLimits("admin.listen", reactor)
        authentication = Authentication(self._token, self._limits.note_refused)
        self._site = site(pages, authentication, self._limits, Documentation())
        self._context: ServerContext | None = None
        control_limits = AdminLimits("control.sock", reactor, body_limit=MAX_BODY_BYTES)
        self._control_site = site({**pages, **control_pages}, limits=control_limits)
        self._control_site.resource.putChild(b"control", control)
        self._port: IListeningPort | None = None
        self._socket: UnixPort | None = None
        self._control = config.spool.directory / "control.sock"

    async def open(self) -> None:
        """Binds both. Raises ListenError."""
        admin = self._config.admin
        factory: IProtocolFactory = self._site
        if admin.cert_file is not None:
            try:
                self._context = ServerContext(admin.cert_file, admin.key_file)
            except PemError as error:
                raise ListenError(f"admin.listen: {error.text}", error.hint) from None
            factory = TLSMemoryBIOFactory(self._context, False, self._site)
        elif not admin.listen.is_loopback:
            raise ListenError("admin.listen: an address beyond loopback needs cert_file, key_file and token")
        with bind("tcp", admin.listen.host, admin.listen.port, name="admin.listen", v6only=False) as bound:
            self._port = self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)  # type: ignore[arg-type]
        try:
            self._socket = UnixPort(control_socket(self._control), self._reactor, self._control_site)
        except OSError as error:
            raise ListenError(f"{self._control}: {error.strerror}") from None

    def change(self, config: Config) -> None:
        """Applies another configuration: uses its token and reads its certificate again."""
        self._config = config
        admin = config.admin
        if self._context is None or admin.cert_file is None:
            return
        try:
            self._context.replace_with(ServerContext(admin.cert_file, admin.key_file))
        except PemError as error:
            log.error("admin.listen: {why}. The previous certificate stays in use", why=error)

    @property
    def refused(self) -> Counter[str]:
        """Returns the number of refused connections and requests of the admin port, by reason."""
        return self._limits.rejections.counts

    def certificates(self) -> dict[str, float]:
        """Returns the expiry time of the certificate, in seconds since the epoch; empty without a certificate."""
        return {} if self._context is None else {"admin.listen": self._context.expires}

    def _token(self) -> str | None:
        token = self._config.admin.token
        return None if token is None else token.reveal()

    @property
    def port(self) -> int:
        """The port of the admin endpoint; 0 if it is not open."""
        return 0 if self._port is None else int(getattr(self._port.getHost(), "port", 0))

    async def close(self) -> None:
        """Closes both."""
        if self._port is not None:
            await defer.maybeDeferred(self._port.stopListening)
            self._port = None
        if self._socket is not None:
            self._socket.stopListening()
            # The next start removes a file that cannot be removed now.
            with suppress(OSError):
                self._control.unlink()
            self._socket = None


def control_socket(path: Path) -> socket.socket:
    """Returns a listening Unix socket that only its owner may use.

    An old socket file is removed: the spool's lock guarantees that no other process uses it.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # A socket path is limited to 107 bytes. The path through the directory's descriptor is short for any spool path.
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
