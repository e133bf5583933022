"""Converts ``intakes.yaml`` of the vendor's forwarder (rsyslog in a container) into a configuration of the bridge.

Each entry is a port with a key. It becomes a listener with an intake on the same port, so that no device needs a
change. The ``docker-compose.yml`` that is usually in the same folder gives the region, the size of the disk queue and
the host ports of the container. ``changes`` lists everything that will be different.
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
from bridge.config.yaml_tree import Entries, Items, Scalar, read
from bridge.formats import UnknownFormat, find
from bridge.setup import compose_file

_KINDS = ("udp", "tcp", "tls")
_KNOWN = ("name", "protocol", "input_protocol", "port", "intake_key", "debug", "stats", "queue_size",
          "tls_key_name", "tls_cert_name", "tls_ca_name")  # fmt: skip
_KEY = re.compile("[!-~]+")
_REAL_KEY = re.compile("[A-Za-z0-9]{16,}")


@dataclass(frozen=True)
class Port:
    """A listener, made from an entry of ``intakes.yaml``."""

    name: str
    kind: str
    port: int
    intake: str
    certificate: str | None = None
    private_key: str | None = None


@dataclass
class Imported:
    """The result of an import. ``keys`` has the intake keys by intake name; ``changes`` are sorted by importance."""

    region: str = "FRA1"
    max_size: str | None = None
    ports: list[Port] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    formats: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    @property
    def certificates(self) -> list[str]:
        """Returns the certificate and key files that the operator must copy, relative to the configuration."""
        return sorted({name for port in self.ports for name in (port.certificate, port.private_key) if name})

    def as_yaml(self, source: str) -> str:
        """Returns the configuration as YAML; ``source`` is the imported file."""
        spool = '{directory: "/var/lib/syslog-bridge/spool"' + (
            f", max_size: {self.max_size}}}" if self.max_size else "}"
        )
        return "\n".join(
            [
                f"# Generated from {printable(source)} by `syslog-bridge import`."
                " After a change, run `syslog-bridge check`.",
                "timezone: UTC    # zone of event times without a zone; sources: can set another one per sender",
                "",
                f"collector: {{region: {self.region}}}",
                "",
                "listeners:    # all messages of a listener go to its intake",
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
            yield f"    # format: {self.formats[name]}    # guessed from the name; check it before you enable it"


def _listener(port: Port) -> str:
    files = f", certificate: {port.certificate}, private_key: {port.private_key}" if port.certificate else ""
    return f'  - {{name: {json.dumps(port.name)}, {port.kind}: "*:{port.port}", intake: {port.intake}{files}}}'


def imported(data: bytes, file: str, services: Entries | None, region: str | None) -> tuple[Imported, FaultReport]:
    """Imports an ``intakes.yaml``; returns the result and a report of all faults. Neither quotes an intake key."""
    report = FaultReport()
    root, whole = read(data, file, report)
    found = Imported()
    entries = root.get("intakes") if isinstance(root, Entries) else None
    if not isinstance(entries, Items) or not entries:
        if whole:
            report.at(Place(file, 1, 1), "the file has no list of intakes. Is this the forwarder's intakes.yaml?")
        return found, report
    _Reader(found, report, compose_file.environment(services), compose_file.published(services)).read(entries, region)
    return found, report


class _Reader:
    """Reads the entries and fills the result and the fault report."""

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
                self._report.at(place, "an intake must be a mapping with name, protocol, port and intake_key.")
        self._region(region)
        self._queue()
        self._found.changes += [*self._outbound(), *_ALWAYS, *self._tls(), *self._keys(), *self._notes]

    def _entry(self, entry: Entries, place: Place) -> None:
        title = _text(entry, "name")
        key = _text(entry, "intake_key")
        if not title:
            self._report.at(place, "name: missing. Add the name of the intake.")
            return
        for unknown in sorted(set(entry) - set(_KNOWN)):
            self._notes.append(f"{printable(title)}: the unknown key {unknown[:40]!r} was ignored")
        if _is_true(entry, "stats"):
            self._notes.append(
                f"{printable(title)}: the forwarder's own statistics are not imported; use /metrics and"
                " `syslog-bridge status`, or set admin.self_events: INTAKE to send alarms to an intake"
            )
            return
        if not key or not _KEY.fullmatch(key):
            self._report.at(entry.place_of("intake_key"), "intake_key: write one word of letters and digits.")
            return
        kind, port = self._kind(entry), self._port(entry)
        if kind is None or port is None:
            return
        transport = "udp" if kind == "udp" else "tcp"
        host_port = self._published.get((transport, port), port)
        if host_port != port:
            self._notes.append(
                f"{printable(title)}: the port in the container was {port}; the devices send to {host_port}"
                " (docker-compose.yml), so the listener uses that port"
            )
        first = self._places.setdefault((transport, host_port), place)
        if first is not place:
            self._report.at(
                entry.place_of("port"),
                f"port: {transport} {host_port} is used by the entry in line {first.line}. Choose another port.",
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
                f"{printable(title)}: debug is not imported; use `syslog-bridge explain` or `syslog-bridge tail`"
            )

    def _kind(self, entry: Entries) -> str | None:
        key = "input_protocol" if entry.get("input_protocol") else "protocol"
        given = (_text(entry, key) or "").lower()
        if given in _KINDS:
            return given
        self._report.at(entry.place_of(key), f"{key}: {given[:20]!r} is not supported. Write tcp, udp or tls.")
        return None

    def _port(self, entry: Entries) -> int | None:
        text = _text(entry, "port") or ""
        if re.fullmatch("[1-9][0-9]{0,4}", text) and int(text) < 65536:
            return int(text)
        self._report.at(entry.place_of("port"), "port: write a number from 1 to 65535.")
        return None

    def _intake(self, title: str, key: str) -> str:
        """Returns the intake of an entry. Entries with the same key share one intake, and so one spool folder."""
        if key in self._names_of_keys:
            name = self._names_of_keys[key]
            self._notes.append(
                f"{printable(title)}: has the same key as intake {name}, so it became another listener of that intake"
            )
            return name
        name = self._free_name(title)
        if name != title:
            self._notes.append(f"{printable(title)}: the intake is named {name} (only a-z 0-9 _ . - are allowed)")
        if not _REAL_KEY.fullmatch(key):
            self._placeholders.append(name)
        self._names_of_keys[key] = name
        self._found.keys[name] = key
        if (guessed := _guess_format(name)) is not None:
            self._found.formats[name] = guessed
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

    # --- settings of the whole configuration --------------------------------------------------------------------------

    def _region(self, given: str | None) -> None:
        configured = self._environment.get("REGION", "").upper()
        if given is not None:
            self._found.region = given
        elif configured in REGIONS:
            self._found.region = configured
        elif configured:
            self._notes.append(
                f"the region {printable(configured)[:20]} is unknown, so FRA1 is used; set one of {', '.join(REGIONS)}"
                " with --region"
            )
        else:
            self._notes.append(
                "docker-compose.yml sets no region, so FRA1 is used, the forwarder's default; set another with --region"
            )

    def _queue(self) -> None:
        # rsyslog's units are powers of 1024, for example 180g.
        match = re.fullmatch("([1-9][0-9]{0,6})([kmgt])b?", self._environment.get("DISK_SPACE", "").lower())
        if match:
            self._found.max_size = f"{match[1]}{match[2].upper() if match[2] != 'k' else 'K'}iB"
            size(self._found.max_size)
            self._notes.append(
                f"the disk queue of {match[0]} became spool.max_size: {self._found.max_size}, shared by all intakes"
            )

    def _outbound(self) -> Iterator[str]:
        host = urlsplit(REGIONS[self._found.region]).hostname
        yield (
            f"firewall: the bridge sends HTTPS, TCP 443 to {host} (region {self._found.region}), instead of TCP"
            " 10514; test it with `syslog-bridge check --connect`"
        )

    def _tls(self) -> Iterator[str]:
        if self._found.certificates:
            yield (
                f"TLS: copy {', '.join(self._found.certificates)} from the forwarder's certs/ to the folder of the"
                " configuration, readable only by the bridge's user; a .crt with a chain must begin with the server's"
                " certificate"
            )

    def _keys(self) -> Iterator[str]:
        yield ("keys: each key is in its own file, keys/NAME, not in the configuration; a reload reads changed keys")
        if self._placeholders:
            yield (
                f"keys: {', '.join(self._placeholders)}: not 16 letters and digits, so probably a placeholder;"
                " test all keys with `syslog-bridge check --send-test`"
            )


_ALWAYS = (
    "ports: unchanged, so no device needs a change; the forwarder and the bridge cannot use them at the same time",
    "event time: the device's time instead of the time of reception; if device times have no zone, set timezone: for"
    " all senders or sources: for some (`syslog-bridge status` shows clocks that are hours off)",
    "event text: the message without its header, as before; format: of an intake selects the text that its parser"
    " expects (`syslog-bridge formats`)",
    "long events: up to 250 KiB; longer ones are quarantined and counted instead of being cut or lost silently",
    "not imported: rsyslog files of extended_conf/, and events that are still in the forwarder's disk queue",
)

CUT_OVER = (
    "check the configuration: `syslog-bridge check -c FILE --connect --send-test`",
    "stop the forwarder with `docker compose stop`; its disk queue keeps the events that it has not sent",
    "start the bridge on the same ports and check in `syslog-bridge status` that every device is among the sources",
    "start the forwarder again with other host ports (ports: in docker-compose.yml) until its disk queue is empty",
)
"""The steps to replace the forwarder by the bridge."""


def _text(entry: Entries, key: str) -> str | None:
    value = entry.get(key)
    return str(value).strip() if isinstance(value, Scalar) else None


def _is_true(entry: Entries, key: str) -> bool:
    return (_text(entry, key) or "false").lower() in ("true", "yes", "on", "1")


def _safe(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]+", "-", name).strip(".") or "server"


def _guess_format(name: str) -> str | None:
    """Returns the format whose name is the longest prefix of an intake name, in whole words; None if none matches."""
    parts = re.split("[-_. ]", name)
    for count in range(len(parts), 0, -1):
        try:
            return find("-".join(parts[:count])).name
        except UnknownFormat:
            continue
    return None
