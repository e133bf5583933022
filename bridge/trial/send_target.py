"""Parses the target of test messages, and defines the error of a sender."""

from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from bridge.util.errors import BridgeError

_KINDS = ("udp", "tcp", "tls", "relp", "relp+tls")
_EXAMPLES = (
    "Write udp://192.0.2.1:514, tcp://localhost:514, tls://[::1]:6514, relp://192.0.2.1:2514,"
    " relp+tls://192.0.2.1:2514 or unix:///run/syslog-bridge/log."
)


class SendError(BridgeError):
    """Raised when nothing more can be sent; the text says why."""


class SendTarget(NamedTuple):
    """The target of test messages: ``udp``, ``tcp``, ``tls``, ``relp`` or ``relp+tls``, host and port; or ``unix``."""

    kind: str
    host: str = ""
    port: int = 0
    path: str = ""
    "The path of a Unix socket."

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix://{self.path}"
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """True if the connection uses TLS."""
        return self.kind in ("tls", "relp+tls")

    @property
    def acknowledges(self) -> bool:
        """True if the receiver acknowledges each message (RELP)."""
        return self.kind in ("relp", "relp+tls")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a target. Raises ValueError with examples of valid targets."""
        wrong = f"invalid target '{text}'. {_EXAMPLES}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(wrong) from None
        if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/") and "\0" not in parts.path:
            return cls("unix", path=parts.path)
        if parts.scheme not in _KINDS or not parts.hostname or not port or parts.path or parts.query:
            raise ValueError(wrong)
        if "@" in parts.netloc or (":" in parts.hostname) != ("[" in parts.netloc):
            raise ValueError(wrong)
        return cls(parts.scheme, parts.hostname, port)


class ClientTls(NamedTuple):
    """Holds the TLS settings of a sender: paths of PEM files and the name to verify."""

    ca: Path | None = None
    "Authorities to trust instead of the system's."
    certificate: Path | None = None
    "The sender's certificate and its chain."
    private_key: Path | None = None
    "Its private key, if it is not in the certificate's file."
    server_name: str | None = None
    "The name that the receiver's certificate must have. None: the host of the target."
    verify: bool = True
    "False: any certificate is accepted."
