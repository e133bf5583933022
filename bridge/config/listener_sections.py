"""Defines the sections `listeners` and `sources`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from bridge.config import fields, units
from bridge.config.addresses import Address, UnixAddress
from bridge.config.fields import Section

Kind = Literal["udp", "tcp", "tls", "relp", "https", "unix_datagram", "unix_stream"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NETWORK: tuple[Kind, ...] = ("tcp", "tls", "relp", "https")
"Stream listeners that accept connections from other hosts."
STREAMS: tuple[Kind, ...] = (*NETWORK, "unix_stream")


class Listener(Section):
    """An entry of `listeners`; exactly one of KINDS is given. Sizes are in bytes."""

    name: fields.Name = ""
    udp: fields.ListenAddress | None = None
    tcp: fields.ListenAddress | None = None
    tls: fields.ListenAddress | None = None
    relp: fields.ListenAddress | None = None
    https: fields.ListenAddress | None = None
    unix_datagram: fields.SocketPath | None = None
    unix_stream: fields.SocketPath | None = None
    mode: fields.Mode = 0o666
    framing: Annotated[Literal["auto", "lf", "octet-counted"], fields.of_choice("auto", "lf", "octet-counted")] = "auto"
    receive_buffer: Annotated[fields.Size, fields.within("4KiB", "1GiB", units.size)] = 16 << 20
    max_connections: Annotated[fields.Integer, fields.within("1", "1000000", int)] = 1000
    max_connections_per_peer: Annotated[fields.Integer, fields.within("1", "1000000", int)] = 50
    max_events_per_request: Annotated[fields.Integer, fields.within("1", "10000000", int)] = 100_000
    request_buffer: Annotated[fields.Size, fields.within("20MiB", "10GiB", units.size)] = 64 << 20
    idle_timeout: fields.DurationOrNever = None
    allow: fields.Networks | None = None
    intake: fields.IntakeName | None = None
    backlog: Annotated[fields.Integer, fields.within("1", "65535", int)] = 1024
    keepalive: Annotated[fields.DurationOrNever, fields.within("1s", "9h", units.duration)] = timedelta(minutes=5)
    cert_file: fields.FilePath | None = None
    key_file: fields.FilePath | None = None
    client_ca_file: fields.Authorities | None = None
    client_names: fields.Texts = ()
    client_fingerprints: fields.Fingerprints = ()
    tls_min_version: Annotated[Literal["1.2", "1.3"], fields.of_choice("1.2", "1.3")] = "1.2"
    cipher_suites: fields.CipherSuites = ()
    legacy_ciphers: fields.Flag = False
    trusted_proxies: fields.Networks | None = None  # load balancers whose PROXY header names the real peer
    handshake_timeout: Annotated[fields.Duration, fields.within("100ms", "5m", units.duration)] = timedelta(seconds=10)

    @property
    def kind(self) -> Kind:
        """Returns the kind of the listener: its protocol and transport."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def full_name(self) -> str:
        """Returns the name; by default kind and address, such as udp:*:514."""
        return self.name or f"{self.kind}:{self.address}"

    @property
    def transport(self) -> Literal["udp", "tcp", "unix"]:
        """Returns the type of socket that the address belongs to."""
        return "unix" if self.unix_path else "udp" if self.udp else "tcp"

    @property
    def takes_datagrams(self) -> bool:
        """Returns True if messages arrive as datagrams, False for a stream."""
        return self.kind in ("udp", "unix_datagram")

    @property
    def unix_path(self) -> Path | None:
        """Returns the path of a Unix socket, None for other listeners."""
        return self.unix_datagram or self.unix_stream

    @property
    def address(self) -> Address | UnixAddress:
        """Returns the address or path to listen on."""
        address = getattr(self, self.kind)
        if isinstance(address, Path):
            return UnixAddress(address)
        assert isinstance(address, Address)
        return address


class SourceFacts(Section):
    """An entry of `sources`: properties of the senders in `source`, which is required.

    `rate_limit` is in events per second. With `hostname` (globs), the entry applies to hosts behind a relay at
    `source`. `alert_if_rate_below` is a share of the events that each source usually sends at the hour of the day.
    """

    source: fields.Networks = ()
    hostname: fields.Texts = ()
    timezone: fields.Zone | None = None
    name: fields.Name | None = None
    relay: fields.Flag = False
    alert_if_silent_for: fields.Duration | None = None
    alert_if_rate_below: fields.RateShare | None = None
    rate_limit: fields.Rate | None = None
    detect_gaps: fields.Flag = False


# Keys that apply only to some kinds of listeners, with these kinds.
ONLY_FOR: dict[str, tuple[Kind, ...]] = {
    "framing": ("tcp", "tls", "unix_stream"),
    "max_connections": STREAMS,
    "max_connections_per_peer": NETWORK,
    "max_events_per_request": ("https",),
    "request_buffer": ("https",),
    "idle_timeout": STREAMS,
    "backlog": STREAMS,
    "allow": ("udp", *NETWORK),
    "mode": ("unix_datagram", "unix_stream"),
    "keepalive": ("tcp", "tls", "relp"),
    "receive_buffer": ("udp", "unix_datagram"),
    "cert_file": ("tls", "relp", "https"),
    "key_file": ("tls", "relp", "https"),
    "client_ca_file": ("tls", "relp"),
    "client_names": ("tls", "relp"),
    "client_fingerprints": ("tls", "relp"),
    "tls_min_version": ("tls", "relp", "https"),
    "cipher_suites": ("tls", "relp", "https"),
    "legacy_ciphers": ("tls", "relp", "https"),
    "handshake_timeout": ("tls", "relp", "https"),
    "trusted_proxies": NETWORK,
}
