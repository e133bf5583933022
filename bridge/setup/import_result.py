"""Defines the result of an import, and writes it as a configuration."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.config.addresses import REGIONS
from bridge.config.faults import Place, printable
from bridge.config.fields import SPOOL_NAMES
from bridge.config.spool_place import DEFAULT_DIRECTORY
from bridge.formats import UnknownFormat, find
from bridge.setup.import_conditions import Alternative
from bridge.setup.rsyslog_template import RsyslogEvents
from bridge.setup.sent_event import Reader
from bridge.util.names import free_name

DEFAULT_REGION = "FRA1"
_REAL_KEY = re.compile("[A-Za-z0-9]{16,}")
_LONGEST_LINE = 90
_SECRETS = (
    re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16,}(?![A-Za-z0-9])"),
    re.compile(r"""(?i)(?<=intake_key=)[\\"']*[^\\"'\]\s]+"""),
    re.compile(r"(?i)(?<=intake-key:)\s*[^\\\"'\s]+"),
    re.compile(r"""(?i)(?<=\bset\()\s*["'][^"']*["']?"""),
    re.compile(
        r"""(?ix)(?<= pass | .pwd | cret | oken | ikey | _key | tial | .psk)   # pass, pwd, secret, token, api key, ...
        [\w.-]*["']? \s*[(=:\s]\s* ["']? [^"'\s)]+"""
    ),
)


@dataclass(frozen=True)
class Port:
    """An imported listener. ``address`` is ``*:514`` or has a host; without ``intake``, routes decide."""

    name: str
    kind: str
    address: str
    intake: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    reads_rfc5424: bool = True
    "False if the imported server reads every message there as one of RFC 3164."

    @property
    def files(self) -> tuple[str, ...]:
        """Returns the certificate and key files that it names."""
        return tuple(name for name in (self.cert_file, self.key_file, self.client_ca_file) if name)


@dataclass(frozen=True)
class RouteDraft:
    """An imported route of some listeners; without ``intake``, it drops what it takes."""

    listeners: Sequence[str]
    conditions: Alternative
    intake: str | None
    origin: str
    "The file and line that it comes from."


@dataclass(frozen=True)
class IntakeDraft:
    """An imported intake. ``place`` is the region or URL that differs from the collector's."""

    payload: str = "auto"
    format: str | None = None
    "The text format: guessed from the name and therefore a comment, unless it was identified by messages."
    place: Mapping[str, str] = field(default_factory=dict)
    identified: bool = False
    template: str = ""
    "The text that the imported server sends. Empty if it is not known."


@dataclass(frozen=True)
class Imported:
    """The result of an import. ``keys`` has the intake keys by intake name; ``changes`` are sorted by importance."""

    collector: Mapping[str, str] = field(default_factory=lambda: {"region": DEFAULT_REGION})
    max_size: str | None = None
    ports: Sequence[Port] = ()
    routes: Sequence[RouteDraft] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    intakes: Mapping[str, IntakeDraft] = field(default_factory=dict)
    changes: Sequence[str] = ()
    differing: Sequence[str] = ()
    "What is carried over with a difference: file:line, the line without secrets, and the difference."
    not_carried: Sequence[str] = ()
    "What has no counterpart: file:line, the line without secrets, and the reason."
    reader: Reader = RsyslogEvents.of
    "Reads a message as the imported server does."

    @property
    def certificates(self) -> Sequence[str]:
        """Returns the certificate and key files that the operator must copy, relative to the configuration."""
        return sorted({file for port in self.ports for file in port.files if not file.startswith("/")})

    @property
    def names_files(self) -> bool:
        """Returns True if the configuration names certificate files, which may not exist on this machine yet."""
        return any(port.files for port in self.ports)

    def as_yaml(self, source: str) -> str:
        """Returns the configuration as YAML; ``source`` is the imported file."""
        max_size = f", max_size: {self.max_size}" if self.max_size else ""
        rest = "go to the intake of the listener" if any(port.intake for port in self.ports) else "are held"
        routed = f"the routes decide; messages that none takes {rest}"
        about = routed if self.routes else "all messages of a listener go to its intake"
        return "\n".join(
            [
                f"# Generated from {printable(source)} by `syslog-bridge import`."
                " After a change, run `syslog-bridge check`.",
                "timezone: UTC    # zone of event times without a zone; sources: can set another one per sender",
                "",
                f"collector: {_flow(self.collector)}",
                "",
                f"listeners:    # {about}",
                *map(_listener, self.ports),
                "",
                "intakes:",
                *(line for name in self.keys for line in self._intake(name)),
                "",
                *self._routes(),
                f'spool: {{directory: "{DEFAULT_DIRECTORY}"{max_size}}}',
                "",
            ]
        )

    def _intake(self, name: str) -> Iterator[str]:
        intake = self.intakes.get(name, IntakeDraft())
        yield f"  {name}:"
        yield f"    intake_key: {{file: keys/{name}}}"
        yield from (f"    {key}: {json.dumps(value)}" for key, value in intake.place.items())
        if intake.format is not None and intake.identified:
            yield f"    format: {intake.format}    # all senders that were seen are of products with this format"
            return
        about = (
            "    # the message, and structured data of products that write any; a format replaces it"
            if intake.payload == "auto"
            else "    # as the imported template writes it"
        )
        yield f"    payload: {intake.payload}{about}"
        if intake.format is not None:
            yield f"    # format: {intake.format}    # guessed from the name; check it before you enable it"

    def _routes(self) -> Iterator[str]:
        if not self.routes:
            return
        yield "routes:    # the first route that matches takes the message"
        for route in self.routes:
            target = "drop: true" if route.intake is None else f"intake: {route.intake}"
            conditions = "".join(f", {name}: {value}" for name, value in route.conditions.as_yaml())
            listeners = f"listener: {json.dumps(list(route.listeners))}"
            yield f"  - {{{target}, {listeners}{conditions}}}    # {printable(route.origin)}"
        yield ""


class ImportedIntakes:
    """Names the intakes of an import. Entries with the same key share one intake, and so one spool folder."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.drafts: dict[str, IntakeDraft] = {}

    def find(self, key: str, payload: str = "auto", place: Mapping[str, str] | None = None) -> str | None:
        """Returns the intake with this key, payload and place."""
        for name, known in self.keys.items():
            draft = self.drafts[name]
            if known == key and draft.payload == payload and draft.place == (place or {}):
                return name
        return None

    def add(
        self, title: str, key: str, payload: str = "auto", place: Mapping[str, str] | None = None, *, template: str = ""
    ) -> str:  # fmt: skip
        """Adds an intake and returns its name, made from a title."""
        base = re.sub("[^a-z0-9_.-]+", "-", title.lower()).strip("-_.")[:60] or "intake"
        name = free_name(base, {*self.keys, *SPOOL_NAMES})
        self.keys[name] = key
        self.drafts[name] = IntakeDraft(payload, _guess_format(name), dict(place or {}), template=template)
        return name

    def placeholders(self) -> list[str]:
        """Returns the intakes whose key does not look like one."""
        return [name for name, key in self.keys.items() if not _REAL_KEY.fullmatch(key)]


def place_of_host(host: str) -> dict[str, str] | None:
    """Returns the region, or else the URL, of the collector that belongs to a syslog host of the vendor.

    Returns None for any other host.
    """
    host = host.strip().lower().rstrip(".")
    bare = host.removeprefix("relp.")
    if bare in ("intake.sekoia.io", "app.sekoia.io"):
        return {"region": DEFAULT_REGION}
    labels = bare.split(".")
    if labels[-2:] != ["sekoia", "io"]:
        return None
    for region in REGIONS:
        if region.lower() in labels:
            return {"region": region}
    return {"url": url_of_host(bare)}


def url_of_host(host: str) -> str:
    """Returns the URL of a collector, with the path that the vendor's newer regions have."""
    return f"https://{host}{urlsplit(REGIONS['FRA2']).path}"


def host_of(collector: Mapping[str, str]) -> str:
    """Returns the host that the bridge connects to."""
    url = collector.get("url") or REGIONS[collector["region"]]
    return urlsplit(url).hostname or url


def without_secrets(line: str, keys: Collection[str] = ()) -> str:
    """Returns a line of an imported file for the terminal: shortened, and with *** for what may be a secret."""
    text = " ".join(printable(line.replace("\t", " ")).split())
    for key in sorted(keys, key=len, reverse=True):
        text = text.replace(key, "***")
    for secret in _SECRETS:
        text = secret.sub("***", text)
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 3]}..."


def not_carried_over(place: Place, line: str, reason: str, keys: Collection[str]) -> str:
    """Returns the entry of a line that has no counterpart."""
    return f"{place.file}:{place.line}: {without_secrets(line, keys)}: {reason}"


def _flow(settings: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{k}: {v if k == 'region' else json.dumps(v)}" for k, v in settings.items()) + "}"


def _listener(port: Port) -> str:
    keys = [f"name: {json.dumps(port.name)}", f"{port.kind}: {json.dumps(port.address)}"]
    named = (("intake", port.intake), ("cert_file", port.cert_file), ("key_file", port.key_file))
    keys += [f"{key}: {value if key == 'intake' else json.dumps(value)}" for key, value in named if value]
    if port.client_ca_file:
        keys.append(f"client_ca_file: {json.dumps(port.client_ca_file)}")
    return f"  - {{{', '.join(keys)}}}"


def _guess_format(name: str) -> str | None:
    """Returns the format whose name is the longest prefix of an intake name, in whole words; None if none matches."""
    parts = re.split("[-_. ]", name)
    for count in range(len(parts), 0, -1):
        try:
            return find("-".join(parts[:count])).name
        except UnknownFormat:
            continue
    return None
