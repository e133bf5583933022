"""Defines the answers of ``syslog-bridge setup``: how they are parsed, and the configuration that they make."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bridge.config import addresses as read
from bridge.config.addresses import REGIONS
from bridge.config.faults import printable
from bridge.config.fields import time_zone
from bridge.config.units import duration
from bridge.formats import find
from bridge.tls.pem import PemError, read_certificates, read_identity

KINDS = ("udp", "tcp", "tls")
"The kinds of listeners that setup can write."


@dataclass(frozen=True)
class SetupAnswers:
    """The values of a first configuration, written as in the configuration file."""

    collector: str
    "A region's name or an https:// base URL."
    format: str | None
    intake: str
    sources: tuple[str, ...]
    "Addresses and networks; empty: every sender."
    listeners: tuple[tuple[str, str], ...]
    "Kind and address, such as ('udp', '*:514')."
    identity: tuple[Path, Path] | None
    "Absolute paths of the certificate and of its private key, for a TLS listener."
    timezone: str
    spool: Path

    @property
    def intakes(self) -> tuple[str, ...]:
        """The names of the intakes, each of which needs a key."""
        return (self.intake,)

    @property
    def routed(self) -> bool:
        """True if only the named senders are delivered."""
        return bool(self.sources)

    def as_yaml(self) -> str:
        """Returns the configuration, with comments for editing it later."""
        key = "region" if self.collector in REGIONS else "url"
        form = f"format: {self.format}" if self.format else "payload: auto"
        hint = (
            "    # payload: auto sends the message, and structured data of products that write any. If the",
            "    # text of a message does not name its host, write payload: line. A format chooses the payload itself.",
        )
        lines = [
            "# Written by `syslog-bridge setup`. After a change, run `syslog-bridge check` to find errors.",
            f"timezone: {self.timezone}    # for device times without a time zone; set another per sender in sources:",
            "",
            f"collector: {{{key}: {self.collector}}}",
            "",
            "listeners:",
            *(f"  - {{{', '.join(self._entry(*named))}}}" for named in named_listeners(self.listeners)),
            "",
            "intakes:",
            f"  {self.intake}: {{intake_key: {{file: keys/{self.intake}}}, {form}}}",
            *(() if self.format else hint),
            "",
        ]
        if self.sources:
            listed = ", ".join(json.dumps(source) if ":" in source else source for source in self.sources)
            lines += [
                "routes:                # the first matching route applies",
                f"  - {{name: {self.intake}, intake: {self.intake}, source: [{listed}]}}",
                "unrouted: hold         # held and shown by `syslog-bridge status` until a route matches",
            ]
        else:
            lines.append(f"unrouted: {{intake: {self.intake}}}    # all senders; add routes: for several intakes")
        return "\n".join([*lines, "", f"spool: {{directory: {json.dumps(str(self.spool))}}}", ""])

    def _entry(self, name: str, kind: str, at: str) -> Iterator[str]:
        yield f"name: {name}"
        yield f"{kind}: {json.dumps(at)}"
        if kind == "tls" and self.identity is not None:
            certificate, private_key = (json.dumps(str(path)) for path in self.identity)
            yield f"cert_file: {certificate}"
            yield f"key_file: {private_key}"


def needs_identity(listeners: tuple[tuple[str, str], ...]) -> bool:
    """Returns True if a listener needs a certificate and a private key."""
    return any(kind == "tls" for kind, _ in listeners)


def named_listeners(listeners: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yields name, kind and address of each listener. The names are unique: udp, tcp, udp-2."""
    counts: Counter[str] = Counter()
    for kind, at in listeners:
        counts[kind] += 1
        yield kind if counts[kind] == 1 else f"{kind}-{counts[kind]}", kind, at


# --- parsers: convert the user's text to a value, or raise ValueError with what is expected -------------------------


def collector(text: str) -> str:
    """Parses a region or a base URL. Raises ValueError."""
    if text.upper() in REGIONS:
        return text.upper()
    if "://" not in text:
        raise ValueError(f"'{printable(text)}' is not a region ({', '.join(REGIONS)}) or an https:// URL")
    return read.base_url(text)


def format(text: str) -> str | None:
    """Parses the name of a format; none or nothing is None. Raises ValueError."""
    if not text or text == "none":
        return None
    find(text)
    return text


def sources(text: str) -> tuple[str, ...]:
    """Parses addresses and networks; all is an empty tuple. Raises ValueError."""
    given = text.replace(",", " ").split()
    if [each.lower() for each in given] == ["all"]:
        return ()
    return tuple(str(read.network(each)).removesuffix("/32").removesuffix("/128") for each in given)


def listener(text: str) -> tuple[str, str]:
    """Parses one listener, such as udp://*:514. Raises ValueError."""
    kind, mark, at = text.partition("://")
    if not mark or kind not in KINDS:
        raise ValueError(
            f"'{printable(text)}' is not a listener, such as udp://*:514, tcp://192.0.2.1:514 or tls://*:6514"
        )
    return kind, str(read.address(at))


def listeners(text: str) -> tuple[tuple[str, str], ...]:
    """Parses one or more listeners. Raises ValueError."""
    found = tuple(map(listener, text.replace(",", " ").split()))
    if not found:
        raise ValueError("at least one listener is needed, such as udp://*:514")
    return found


def zone(text: str) -> str:
    """Parses the name of a time zone. Raises ValueError."""
    return time_zone(text).key


def discovery(text: str) -> Path | timedelta | None:
    """Parses the path of a capture, or a time to listen; no is None. Raises ValueError."""
    if text.strip().lower() in ("no", "n", ""):
        return None
    path = Path(text).expanduser()
    if path.exists():
        return path
    try:
        period = duration(text)
    except ValueError:
        raise ValueError(f"'{printable(text)}' is no file, and no time such as 10m. Enter no to leave it out") from None
    if not period:
        raise ValueError("the time to listen is 0: enter a time such as 10m, or no")
    return period


def key(text: str) -> str:
    """Parses an intake key. The text of an error does not contain it. Raises ValueError."""
    key = text.strip()
    if not key or not all("!" <= letter <= "~" for letter in key):
        raise ValueError("an intake key is one word of letters and digits; copy it from the intake's page")
    return key


def certificate(text: str) -> Path:
    """Parses the path of a PEM file with a certificate. Raises ValueError."""
    path = Path(text).expanduser().absolute()
    try:
        read_certificates(path)
    except PemError as error:
        raise ValueError(str(error)) from None
    return path


def private_key(text: str, certificate_file: Path) -> Path:
    """Parses the path of the private key of a certificate. Raises ValueError."""
    path = Path(text).expanduser().absolute()
    try:
        read_identity(certificate_file, path)
    except PemError as error:
        raise ValueError(str(error)) from None
    return path
