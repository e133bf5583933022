"""Converts ``intakes.yaml`` of the vendor's forwarder (rsyslog in a container) into a configuration of the bridge.

Each entry is a port with a key. It becomes a listener with an intake on the same port, so that no device needs a
change. The ``docker-compose.yml`` that is usually in the same folder gives the region, the size of the disk queue and
the host ports of the container. ``changes`` lists everything that will be different.
"""

import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.config.addresses import REGIONS
from bridge.config.faults import FaultReport, Place, printable
from bridge.config.fields import SPOOL_NAMES
from bridge.config.yaml_tree import Entries, Items, Scalar, read
from bridge.formats import UnknownFormat, find
from bridge.setup import compose_file

_KINDS = ("udp", "tcp", "tls")
_KNOWN = ("name", "protocol", "input_protocol", "port", "intake_key", "debug", "stats", "queue_size",
          "tls_key_name", "tls_cert_name", "tls_ca_name")  # fmt: skip
_KEY = re.compile("[!-~]+")
_DEFAULT_REGION = "FRA1"
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


@dataclass(frozen=True)
class Imported:
    """The result of an import. ``keys`` has the intake keys by intake name; ``changes`` are sorted by importance."""

    region: str = _DEFAULT_REGION
    max_size: str | None = None
    ports: Sequence[Port] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    formats: Mapping[str, str] = field(default_factory=dict)
    changes: Sequence[str] = ()
    certificates: Sequence[str] = ()
    "The certificate and key files that the operator must copy, relative to the configuration."

    def as_yaml(self, source: str) -> str:
        """Returns the configuration as YAML; ``source`` is the imported file."""
        max_size = f", max_size: {self.max_size}" if self.max_size else ""
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
                f'spool: {{directory: "/var/lib/syslog-bridge/spool"{max_size}}}',
                "",
            ]
        )

    def _intake(self, name: str) -> Iterator[str]:
        yield f"  {name}:"
        yield f"    intake_key: {{file: keys/{name}}}"
        yield "    payload: auto    # the message, and structured data of products that write any; a format replaces it"
        if name in self.formats:
            yield f"    # format: {self.formats[name]}    # guessed from the name; check it before you enable it"


def _listener(port: Port) -> str:
    files = f", certificate: {port.certificate}, private_key: {port.private_key}" if port.certificate else ""
    return f'  - {{name: {json.dumps(port.name)}, {port.kind}: "*:{port.port}", intake: {port.intake}{files}}}'


def imported(data: bytes, file: str, services: Entries | None, region: str | None) -> tuple[Imported, FaultReport]:
    """Imports an ``intakes.yaml``; returns the result and a report of all faults. Neither quotes an intake key."""
    report = FaultReport()
    root, whole = read(data, file, report)
    entries = root.get("intakes") if isinstance(root, Entries) else None
    if not isinstance(entries, Items) or not entries:
        if whole:
            report.at(Place(file, 1, 1), "the file has no list of intakes. Is this the forwarder's intakes.yaml?")
        return Imported(), report
    return _Reader(report, services).read(entries, region), report


class _Reader:
    """Reads the entries into listeners and intakes, and fills the fault report."""

    def __init__(self, report: FaultReport, services: Entries | None) -> None:
        self._report = report
        self._environment = compose_file.environment(services)
        self._published = compose_file.published(services)
        self._ports: list[Port] = []
        self._keys: dict[str, str] = {}
        self._formats: dict[str, str] = {}
        self._places: dict[tuple[str, int], Place] = {}
        self._notes: list[str] = []
        self._placeholders: list[str] = []

    def read(self, entries: Items, given_region: str | None) -> Imported:
        for entry, place in zip(entries, entries.places, strict=True):
            if isinstance(entry, Entries):
                self._entry(entry, place)
            else:
                self._report.at(place, "an intake must be a mapping with name, protocol, port and intake_key.")
        region, max_size = self._region(given_region), self._queue_size()
        certificates = sorted({name for port in self._ports for name in (port.certificate, port.private_key) if name})
        return Imported(
            region, max_size, self._ports, self._keys, self._formats,
            [*self._changes(region, certificates), *self._notes], certificates,
        )  # fmt: skip

    def _entry(self, entry: Entries, place: Place) -> None:
        title = _text(entry, "name")
        key = _text(entry, "intake_key")
        if not title:
            self._report.at(place, "name: missing. Add the name of the intake.")
            return
        for unknown in sorted(set(entry) - set(_KNOWN)):
            self._note(title, f"the unknown key {unknown[:40]!r} was ignored")
        if _is_true(entry, "stats"):
            self._note(
                title,
                "the forwarder's own statistics are not imported; use /metrics and `syslog-bridge status`, or set"
                " admin.self_events: INTAKE to send alarms to an intake",
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
            self._note(
                title,
                f"the port in the container was {port}; the devices send to {host_port} (docker-compose.yml), so the"
                " listener uses that port",
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
        base = " ".join(printable(title).split())[:60] or "listener"
        listener = _free_name(base, " ", {port.name for port in self._ports})
        self._ports.append(Port(listener, kind, host_port, intake, *files))
        if _is_true(entry, "debug"):
            self._note(title, "debug is not imported; use `syslog-bridge explain` or `syslog-bridge tail`")

    def _note(self, title: str, text: str) -> None:
        self._notes.append(f"{printable(title)}: {text}")

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
        for name, known in self._keys.items():
            if known == key:
                self._note(title, f"has the same key as intake {name}, so it became another listener of that intake")
                return name
        base = re.sub("[^a-z0-9_.-]+", "-", title.lower()).strip("-_.")[:60] or "intake"
        name = _free_name(base, "-", {*self._keys, *SPOOL_NAMES})
        if name != title:
            self._note(title, f"the intake is named {name} (only a-z 0-9 _ . - are allowed)")
        if not _REAL_KEY.fullmatch(key):
            self._placeholders.append(name)
        self._keys[name] = key
        if (guessed := _guess_format(name)) is not None:
            self._formats[name] = guessed
        return name

    # --- settings of the whole configuration --------------------------------------------------------------------------

    def _region(self, given: str | None) -> str:
        configured = self._environment.get("REGION", "").upper()
        if given is not None or configured in REGIONS:
            return given or configured
        if configured:
            self._notes.append(
                f"the region {printable(configured)[:20]} is unknown, so {_DEFAULT_REGION} is used; set one of"
                f" {', '.join(REGIONS)} with --region"
            )
        else:
            self._notes.append(
                f"docker-compose.yml sets no region, so {_DEFAULT_REGION} is used, the forwarder's default; set another"
                " with --region"
            )
        return _DEFAULT_REGION

    def _queue_size(self) -> str | None:
        # rsyslog's units are powers of 1024, for example 180g.
        match = re.fullmatch("([1-9][0-9]{0,6})([kmgt])b?", self._environment.get("DISK_SPACE", "").lower())
        if match is None:
            return None
        max_size = f"{match[1]}{match[2].upper()}iB"
        self._notes.append(f"the disk queue of {match[0]} became spool.max_size: {max_size}, shared by all intakes")
        return max_size

    def _changes(self, region: str, certificates: Sequence[str]) -> Iterator[str]:
        yield (
            f"firewall: the bridge sends HTTPS, TCP 443 to {urlsplit(REGIONS[region]).hostname} (region {region}),"
            " instead of TCP 10514; test it with `syslog-bridge check --connect`"
        )
        yield from _ALWAYS
        if certificates:
            yield (
                f"TLS: copy {', '.join(certificates)} from the forwarder's certs/ to the folder of the configuration,"
                " readable only by the bridge's user; a .crt with a chain must begin with the server's certificate"
            )
        yield "keys: each key is in its own file, keys/NAME, not in the configuration; a reload reads changed keys"
        if self._placeholders:
            yield (
                f"keys: {', '.join(self._placeholders)}: not 16 letters and digits, so probably a placeholder;"
                " test all keys with `syslog-bridge check --send-test`"
            )


_ALWAYS = (
    "ports: unchanged, so no device needs a change; the forwarder and the bridge cannot use them at the same time",
    "event time: the device's time instead of the time of reception; if device times have no zone, set timezone: for"
    " all senders or sources: for some (`syslog-bridge status` shows clocks that are hours off)",
    "event text: the message without its header, as before, but with the structured data of products that write any"
    " (payload: auto); format: of an intake selects the text that its parser expects (`syslog-bridge formats`)",
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


def _free_name(base: str, separator: str, taken: Collection[str]) -> str:
    """Returns ``base``, with a number if it is taken."""
    numbered = (f"{base}{separator}{count}" for count in itertools.count(2))
    return next(name for name in itertools.chain((base,), numbered) if name not in taken)


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
