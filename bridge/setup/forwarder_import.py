"""From the vendor's forwarder (rsyslog in a container) to a bridge: its ``intakes.yaml`` as a configuration of ours.

Each entry was a port with a key; here it becomes a listener with an intake, on the same port, so that no device needs
a change. The ``docker-compose.yml`` that usually lies beside it is read for the region, the size of its disk queue and
the ports that the container was given on the host. Everything that will be different is a line of ``changes``.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.config.addresses import REGIONS
from bridge.config.faults import FaultReport, Place, printable
from bridge.config.fields import SPOOL_NAMES
from bridge.config.units import size
from bridge.config.yaml_tree import (
    Entries,
    Items,
    Scalar,
    read,
)
from bridge.formats import UnknownFormat, find
from bridge.setup import compose_file

_KINDS = ("udp", "tcp", "tls")
_KNOWN = ("name", "protocol", "input_protocol", "port", "intake_key", "debug", "stats", "queue_size",
          "tls_key_name", "tls_cert_name", "tls_ca_name")  # fmt: skip
_KEY = re.compile("[!-~]+")
_REAL_KEY = re.compile("[A-Za-z0-9]{16,}")


@dataclass(frozen=True)
class Port:
    """One listener: what stood in an entry."""

    name: str
    kind: str
    port: int
    intake: str
    certificate: str | None = None
    private_key: str | None = None


@dataclass
class Imported:
    """What was read. ``keys`` by the intakes' names, in their order; ``changes`` in the order of their weight."""

    region: str = "FRA1"
    max_size: str | None = None
    ports: list[Port] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    formats: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    @property
    def certificates(self) -> list[str]:
        """Files that somebody must bring, below the configuration's folder."""
        return sorted({name for port in self.ports for name in (port.certificate, port.private_key) if name})

    def as_yaml(self, source: str) -> str:
        """The configuration."""
        spool = '{directory: "/var/lib/syslog-bridge/spool"' + (
            f", max_size: {self.max_size}}}" if self.max_size else "}"
        )
        return "\n".join(
            [
                f"# Made from {printable(source)} by `syslog-bridge import`. After a change: `syslog-bridge check`.",
                "timezone: UTC    # of device times that carry no zone; sources: gives some senders another",
                "",
                f"collector: {{region: {self.region}}}",
                "",
                "listeners:    # what comes to one goes to its intake, whoever sends it",
                *map(_listener, self.ports),
                "",
                "intakes:",
                *(line for name in self.keys for line in self._intake(name)),
                "",
                f"spool: {spool}",
                "",
            ]
        )

    def _intake(self, name: str) -> Iterator[str]:
        yield f"  {name}:"
        yield f"    intake_key: {{file: keys/{name}}}"
        if name in self.formats:
            yield f"    # format: {self.formats[name]}    # so it seems by its name; its parser may want another text"


def _listener(port: Port) -> str:
    files = f", certificate: {port.certificate}, private_key: {port.private_key}" if port.certificate else ""
    return f'  - {{name: {json.dumps(port.name)}, {port.kind}: "*:{port.port}", intake: {port.intake}{files}}}'


def imported(data: bytes, file: str, services: Entries | None, region: str | None) -> tuple[Imported, FaultReport]:
    """What an ``intakes.yaml`` says, and every fault of it. No fault and no change quotes a key."""
    report = FaultReport()
    root, whole = read(data, file, report)
    found = Imported()
    entries = root.get("intakes") if isinstance(root, Entries) else None
    if not isinstance(entries, Items) or not entries:
        if whole:
            report.at(Place(file, 1, 1), "no list of intakes: is this the forwarder's intakes.yaml?")
        return found, report
    _Reader(found, report, compose_file.environment(services), compose_file.published(services)).read(entries, region)
    return found, report


class _Reader:
    """Goes through the entries once."""

    def __init__(
        self, found: Imported, report: FaultReport, environment: dict[str, str], published: dict[tuple[str, int], int]
    ) -> None:
        self._found = found
        self._report = report
        self._environment = environment
        self._published = published
        self._places: dict[tuple[str, int], Place] = {}
        self._names_of_keys: dict[str, str] = {}
        self._notes: list[str] = []
        self._placeholders: list[str] = []

    def read(self, entries: Items, region: str | None) -> None:
        for entry, place in zip(entries, entries.places, strict=True):
            if isinstance(entry, Entries):
                self._entry(entry, place)
            else:
                self._report.at(place, "an intake is a mapping: name, protocol, port, intake_key")
        self._region(region)
        self._queue()
        self._found.changes += [*self._outbound(), *_ALWAYS, *self._tls(), *self._keys(), *self._notes]

    def _entry(self, entry: Entries, place: Place) -> None:
        title = _text(entry, "name")
        key = _text(entry, "intake_key")
        if not title:
            self._report.at(place, "name: missing: every intake has one")
            return
        for unknown in sorted(set(entry) - set(_KNOWN)):
            self._notes.append(f"{printable(title)}: the key {unknown[:40]!r} is not known here and was left out")
        if _is_true(entry, "stats"):
            self._notes.append(
                f"{printable(title)}: the forwarder's own statistics are not imitated; /metrics and"
                " `syslog-bridge status` tell more, and admin.self_events: INTAKE sends alarms to an intake"
            )
            return
        if not key or not _KEY.fullmatch(key):
            self._report.at(entry.place_of("intake_key"), "intake_key: one word of letters and digits is needed")
            return
        kind, port = self._kind(entry), self._port(entry)
        if kind is None or port is None:
            return
        transport = "udp" if kind == "udp" else "tcp"
        host_port = self._published.get((transport, port), port)
        if host_port != port:
            self._notes.append(
                f"{printable(title)}: its port in the container was {port}; the devices send to {host_port}, as"
                " docker-compose.yml says, and so does the listener"
            )
        first = self._places.setdefault((transport, host_port), place)
        if first is not place:
            self._report.at(
                entry.place_of("port"), f"port: {transport} {host_port} is taken by the entry in line {first.line}"
            )
            return
        intake = self._intake(title, key)
        files: tuple[str, str] | tuple[None, None] = (None, None)
        if kind == "tls":
            certificate = _safe(_text(entry, "tls_cert_name") or "server")
            files = (f"tls/{certificate}.crt", f"tls/{_safe(_text(entry, 'tls_key_name') or 'server')}.key")
        self._found.ports.append(Port(self._listener_name(title), kind, host_port, intake, *files))
        if _is_true(entry, "debug"):
            self._notes.append(
                f"{printable(title)}: debug: use `syslog-bridge explain`, or `tail` where it is to be watched"
            )

    def _kind(self, entry: Entries) -> str | None:
        key = "input_protocol" if entry.get("input_protocol") else "protocol"
        given = (_text(entry, key) or "").lower()
        if given in _KINDS:
            return given
        wanted = "tcp, udp or tls"
        self._report.at(entry.place_of(key), f"{key}: {given[:20]!r} cannot be carried over: {wanted} is needed")
        return None

    def _port(self, entry: Entries) -> int | None:
        text = _text(entry, "port") or ""
        if re.fullmatch("[1-9][0-9]{0,4}", text) and int(text) < 65536:
            return int(text)
        self._report.at(entry.place_of("port"), "port: a number from 1 to 65535 is needed")
        return None

    def _intake(self, title: str, key: str) -> str:
        """The intake of an entry: one per key, as two would share the collector's but not the spool."""
        if key in self._names_of_keys:
            name = self._names_of_keys[key]
            self._notes.append(
                f"{printable(title)}: has the key of intake {name}, so it is a second listener of that one"
            )
            return name
        name = self._free_name(title)
        if name != title:
            self._notes.append(f"{printable(title)}: is intake {name} here (a-z 0-9 _ . - only)")
        if not _REAL_KEY.fullmatch(key):
            self._placeholders.append(name)
        self._names_of_keys[key] = name
        self._found.keys[name] = key
        if (meant := _format_in(name)) is not None:
            self._found.formats[name] = meant
        return name

    def _free_name(self, title: str) -> str:
        base = re.sub("[^a-z0-9_.-]+", "-", title.lower()).strip("-_.")[:60] or "intake"
        name, count = base, 1
        while name in self._found.keys or name in SPOOL_NAMES:
            count += 1
            name = f"{base}-{count}"
        return name

    def _listener_name(self, title: str) -> str:
        base = " ".join(printable(title).split())[:60] or "listener"
        taken, name, count = {port.name for port in self._found.ports}, base, 1
        while name in taken:
            count += 1
            name = f"{base} {count}"
        return name

    # --- what holds for all -------------------------------------------------------------------------------------------

    def _region(self, given: str | None) -> None:
        said = self._environment.get("REGION", "").upper()
        if given is not None:
            self._found.region = given
        elif said in REGIONS:
            self._found.region = said
        elif said:
            self._notes.append(
                f"the region {printable(said)[:20]} is none of {', '.join(REGIONS)}: FRA1 was taken;"
                " --region says another"
            )
        else:
            self._notes.append(
                "no region was found (docker-compose.yml): FRA1 was taken, as the forwarder does; --region says another"
            )

    def _queue(self) -> None:
        # rsyslog's units are powers of 1024: 180g
        match = re.fullmatch("([1-9][0-9]{0,6})([kmgt])b?", self._environment.get("DISK_SPACE", "").lower())
        if match:
            self._found.max_size = f"{match[1]}{match[2].upper() if match[2] != 'k' else 'K'}iB"
            size(self._found.max_size)
            self._notes.append(
                f"the disk queue of {match[0]} is the spool's max_size, {self._found.max_size}:"
                " one budget over all intakes"
            )

    def _outbound(self) -> Iterator[str]:
        host = urlsplit(REGIONS[self._found.region]).hostname
        yield (
            f"firewall: the bridge goes out by HTTPS, TCP 443 to {host} (region {self._found.region}), no longer by TCP"
            " 10514; `syslog-bridge check --connect` tries it"
        )

    def _tls(self) -> Iterator[str]:
        if self._found.certificates:
            yield (
                f"TLS: bring {', '.join(self._found.certificates)} from the forwarder's certs/ into the configuration's"
                " folder, readable by the bridge's user only; a chain belongs into the .crt, the server's certificate"
                " first"
            )

    def _keys(self) -> Iterator[str]:
        yield (
            "keys: each stands in a file of its own, keys/NAME, and not in the configuration; a new one is taken over"
            " by a reload"
        )
        if self._placeholders:
            yield (
                f"keys: {', '.join(self._placeholders)}: not 16 letters and digits, so perhaps a placeholder:"
                " `syslog-bridge check --send-test` tries each"
            )


_ALWAYS = (
    "ports: the same, so no device needs a change; only one of the two programs can have them at a time",
    "event time: what the device wrote, no longer the time of arrival; where device times carry no zone, set"
    " timezone: for all or sources: for some (`status` shows clocks that are hours off)",
    "event text: the message behind the header, as before; an intake's format: gives the text that its parser reads"
    " (`syslog-bridge formats`)",
    "long events: up to 250 KiB; what is longer is kept aside and counted, not cut or lost in silence",
    "not carried over: rsyslog files of extended_conf/, and what still waits in the forwarder's disk queue",
)

CUT_OVER = (
    "check it: `syslog-bridge check -c FILE --connect --send-test`",
    "`docker compose stop` the forwarder: what it had not sent is saved in its disk queue",
    "start the bridge on the same ports, and see in `syslog-bridge status` that every device is among the sources",
    "start the forwarder once more with other host ports (ports: in docker-compose.yml), until its queue is sent",
)
"""The steps from one to the other."""


def _text(entry: Entries, key: str) -> str | None:
    value = entry.get(key)
    return str(value).strip() if isinstance(value, Scalar) else None


def _is_true(entry: Entries, key: str) -> bool:
    return (_text(entry, key) or "false").lower() in ("true", "yes", "on", "1")


def _safe(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]+", "-", name).strip(".") or "server"


def _format_in(name: str) -> str | None:
    """The format that a name is, or begins with."""
    parts = re.split("[-_. ]", name)
    for count in range(len(parts), 0, -1):
        try:
            return find("-".join(parts[:count])).name
        except UnknownFormat:
            continue
    return None
