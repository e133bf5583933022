"""Converts ``intakes.yaml`` of the vendor's forwarder (rsyslog in a container) into a configuration of the bridge.

Each entry is a port with a key. It becomes a listener with an intake on the same port, so that no device needs a
change. The compose file that is usually in the same folder gives the region, the size of the disk queue and the host
ports of the container. The rsyslog files of ``extended_conf/`` become listeners, routes and intakes. ``changes`` lists
everything that will be different.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bridge.config.addresses import REGIONS
from bridge.config.faults import FaultReport, Place, printable
from bridge.config.yaml_tree import Entries, Items, Scalar, read
from bridge.setup.compose_file import ComposeFile
from bridge.setup.import_receiver import ABOUT_CONDITIONS, Receiver, ReceiverDraft
from bridge.setup.import_result import (
    DEFAULT_REGION,
    Imported,
    ImportedIntakes,
    Port,
    host_of,
    place_of_host,
    url_of_host,
)
from bridge.setup.rsyslog_import import read_rsyslog
from bridge.setup.rsyslog_template import FORWARDER, FORWARDER_HTTP
from bridge.util.names import free_name

_KINDS = ("udp", "tcp", "tls")
_KNOWN = ("name", "protocol", "input_protocol", "port", "intake_key", "debug", "stats", "queue_size",
          "tls_key_name", "tls_cert_name", "tls_ca_name")  # fmt: skip
_KEY = re.compile("[!-~]+")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def import_forwarder_files(
    data: bytes, file: Path, compose: ComposeFile, collector: Mapping[str, str] | None, report: FaultReport
) -> Imported:
    """Imports an ``intakes.yaml`` and the files of ``extended_conf``; faults go to the report and quote no intake key.

    ``collector`` is the region or URL that the operator chose. Raises OSError.
    """
    root, whole = read(data, str(file), report)
    entries = root.get("intakes") if isinstance(root, Entries) else None
    extended = _extended(file, compose)
    if not isinstance(entries, Items) or not (entries or extended):
        if whole:
            why = "has no list of intakes" if data.strip() else "is empty, so it has no list of intakes"
            report.at(Place(str(file), 1, 1), f"the file {why}. Is this the forwarder's intakes.yaml?")
        return Imported()
    return _Reader(report, compose, collector).read(entries, extended)


def _extended(file: Path, compose: ComposeFile) -> list[Path]:
    """Returns the rsyslog files that the forwarder includes: those of the mounted folder, or of the usual one."""
    mounted = compose.volumes.get("/extended_conf", "extended_conf")
    folders = [file.parent / mounted, file.parent / "extended_conf"]
    return next((files for folder in folders if (files := sorted(folder.glob("*.conf")))), [])


class _Reader:
    """Reads the entries into listeners and intakes, and fills the fault report."""

    def __init__(self, report: FaultReport, compose: ComposeFile, given: Mapping[str, str] | None) -> None:
        self._report = report
        self._environment = compose.environment
        self._published = compose.published
        self._given = given
        self._ports: list[Port] = []
        self._intakes = ImportedIntakes()
        self._places: dict[tuple[str, str, int], Place] = {}
        self._notes: list[str] = list(compose.notes)

    def read(self, entries: Items, extended: Sequence[Path]) -> Imported:
        for entry, place in zip(entries, entries.places, strict=True):
            if isinstance(entry, Entries):
                self._entry(entry, place)
            else:
                self._report.at(place, "an intake must be a mapping with name, protocol, port and intake_key.")
        collector, max_size = self._collector(), self._queue_size()
        draft = ReceiverDraft(replaced=self._given is not None)
        read_rsyslog(extended, draft, certificates="tls")
        received = self._extended(draft, collector, bool(extended))
        result = Imported(
            collector, max_size, [*self._ports, *received.ports], received.routes, self._intakes.keys,
            self._intakes.drafts, not_carried=draft.not_carried(self._intakes.keys.values()),
            differing=draft.differing(self._intakes.keys.values()),
        )  # fmt: skip
        changes = [*self._changes(result), *self._notes, *received.notes]
        return replace(result, changes=changes)

    def _extended(self, draft: ReceiverDraft, collector: Mapping[str, str], present: bool) -> Receiver:
        """Builds what the files of extended_conf add to the entries."""
        endpoint = self._environment.get("ENDPOINT", "").strip().lower()
        for host in draft.hosts:
            if place_of_host(host) is None and self._given is None and host.lower() != endpoint:
                place = Place("extended_conf", 1, 1)
                text = f"the destination {printable(host)[:60]} is not a region's."
                self._report.at(place, f"{text} Give the collector with --region or --url.")
        names = {port.name for port in self._ports}
        received = draft.build(self._intakes, collector, self._host_addresses, names)
        for port in received.ports:
            transport = "udp" if port.kind == "udp" else "tcp"
            host, _, number = port.address.rpartition(":")
            if (first := self._places.get((transport, host, int(number)))) is not None:
                text = f"port: extended_conf listens on {transport} {number} too. Remove the port from one of the two."
                self._report.at(first, text)
        if present:
            self._notes.append(
                "extended_conf: its listeners, rules and intakes were imported; lines without a counterpart are listed"
                " below"
            )
        if received.routes:
            self._notes.extend(ABOUT_CONDITIONS)
        return received

    def _host_addresses(self, port: Port) -> Sequence[str]:
        """Returns the addresses of the host that lead to a port in the container."""
        transport = "udp" if port.kind == "udp" else "tcp"
        number = int(port.address.rpartition(":")[2])
        return [f"{host}:{outer}" for host, outer in self._outer(transport, number)]

    def _outer(self, transport: str, port: int) -> list[tuple[str, int]]:
        return self._published.get((transport, port), [("*", port)])

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
                " admin.alerts_intake: INTAKE to send alarms to an intake",
            )
            return
        if not key or not _KEY.fullmatch(key):
            self._report.at(entry.place_of("intake_key"), "intake_key: write one word of letters and digits.")
            return
        kind, port = self._kind(entry), self._port(entry)
        if kind is None or port is None:
            return
        transport = "udp" if kind == "udp" else "tcp"
        addresses = self._outer(transport, port)
        if self._published and (transport, port) not in self._published:
            self._note(
                title,
                f"the compose file does not publish {transport} {port}, so devices could reach it only with host"
                " networking; the listener is on that port",
            )
        for host, outer in addresses:
            if outer != port:
                self._note(
                    title,
                    f"the port in the container was {port}; the devices send to {outer} (docker-compose.yml), so the"
                    " listener uses that port",
                )
            first = self._places.setdefault((transport, host, outer), place)
            if first is not place:
                self._report.at(
                    entry.place_of("port"),
                    f"port: {transport} {outer} is used by the entry in line {first.line}. Choose another port.",
                )
                return
        self._listen(entry, title, kind, addresses, self._intake(title, key, _template(entry)))

    def _listen(self, entry: Entries, title: str, kind: str, addresses: Sequence[tuple[str, int]], intake: str) -> None:
        files: tuple[str, str] | tuple[None, None] = (None, None)
        if kind == "tls":
            certificate = _safe(_text(entry, "tls_cert_name") or "server")
            files = (f"tls/{certificate}.crt", f"tls/{_safe(_text(entry, 'tls_key_name') or 'server')}.key")
            if _text(entry, "tls_ca_name"):
                self._note(
                    title,
                    "tls_ca_name is not needed: the forwarder did not verify clients; to verify them, set"
                    " client_ca_file of the listener",
                )
        base = " ".join(printable(title).split())[:60] or "listener"
        for host, outer in addresses:
            listener = free_name(base, {port.name for port in self._ports}, separator=" ")
            self._ports.append(Port(listener, kind, f"{host}:{outer}", intake, *files))
        if _text(entry, "queue_size"):
            self._note(title, "queue_size is not needed: all events are on disk, within spool.max_size")
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

    def _intake(self, title: str, key: str, template: str) -> str:
        """Returns the intake of an entry. Entries with the same key share one intake, and so one spool folder."""
        name = self._intakes.find(key)
        if name is not None:
            self._note(title, f"has the same key as intake {name}, so it became another listener of that intake")
            return name
        name = self._intakes.add(title, key, template=template)
        if name != title:
            self._note(title, f"the intake is named {name} (only a-z 0-9 _ . - are allowed)")
        return name

    # --- settings of the whole configuration --------------------------------------------------------------------------

    def _collector(self) -> Mapping[str, str]:
        """Returns the region or URL of the collector; one that cannot be known is a fault, never a guess."""
        if self._given is not None:
            return self._given
        configured = self._environment.get("REGION")
        region = (configured or "").strip().upper()
        if region in REGIONS:
            return {"region": region}
        if configured is None or not region:
            self._notes.append(
                f"the compose file sets no region, so {DEFAULT_REGION} is used, the forwarder's default; set another"
                " with --region"
            )
            return {"region": DEFAULT_REGION}
        place = configured.place
        if region != "OTHER":
            regions = ", ".join(REGIONS)
            text = f"REGION: {printable(region)[:20]} is unknown. Give one of {regions} with --region, or --url."
            self._report.at(place, text)
            return {"region": DEFAULT_REGION}
        endpoint = self._environment.get("ENDPOINT")
        host = (endpoint or "").strip().lower()
        if not _HOST.fullmatch(host):
            text = (
                "REGION: OTHER needs the host of the collector in ENDPOINT. Give the collector with --region or --url."
            )
            self._report.at(endpoint.place if endpoint is not None else place, text)
            return {"region": DEFAULT_REGION}
        found = place_of_host(host) or {"url": url_of_host(host)}
        if "url" in found:
            self._notes.append(
                f"the collector's URL was made from ENDPOINT: {found['url']}; test it with `syslog-bridge check"
                " --connect`, or give another with --url"
            )
        return found

    def _queue_size(self) -> str | None:
        if self._environment.get("MEMORY_MESSAGES"):
            self._notes.append("MEMORY_MESSAGES is not needed: events are written to disk at once, not held in memory")
        # rsyslog's units are powers of 1024, for example 180g.
        configured = self._environment.get("DISK_SPACE", "").strip().lower()
        match = re.fullmatch("([1-9][0-9]{0,17})([kmgt]?)b?", configured)
        if match is None:
            if configured:
                self._notes.append("DISK_SPACE is not a size, so spool.max_size keeps its default")
            return None
        max_size = f"{match[1]}{match[2].upper()}iB" if match[2] else f"{match[1]}B"
        self._notes.append(f"the disk queue of {match[0]} became spool.max_size: {max_size}, shared by all intakes")
        return max_size

    def _changes(self, result: Imported) -> Iterator[str]:
        where = f"region {result.collector['region']}" if "region" in result.collector else result.collector["url"]
        relp = _is_set(self._environment.get("RELP_OUTPUT"))
        before = "RELP on TCP 11514 (RELP_OUTPUT; every HTTPS request is acknowledged too)" if relp else "TCP 10514"
        yield (
            f"firewall: the bridge sends HTTPS, TCP 443 to {host_of(result.collector)} ({where}),"
            f" instead of {before}; test it with `syslog-bridge check --connect`"
        )
        yield from _ALWAYS
        if result.certificates:
            yield (
                f"TLS: copy {', '.join(result.certificates)} from the forwarder's certs/ to the folder of the"
                " configuration, readable only by the bridge's user; a .crt with a chain must begin with the server's"
                " certificate"
            )
        yield "keys: each key is in its own file, keys/NAME, not in the configuration; a reload reads changed keys"
        if placeholders := self._intakes.placeholders():
            yield (
                f"keys: {', '.join(placeholders)}: not 16 letters and digits, so probably a placeholder;"
                " test all keys with `syslog-bridge check --send-test`"
            )


_ALWAYS = (
    "ports: unchanged, so no device needs a change; the forwarder and the bridge cannot use them at the same time",
    "event time: the device's time instead of the time of reception; if device times have no zone, set timezone: for"
    " all senders or sources: for some (`syslog-bridge status` shows clocks that are hours off)",
    "event text: the message without its header, as before, but with the structured data of products that write any"
    " (payload: auto); format: of an intake selects the text that its parser expects (`syslog-bridge formats`)",
    "long events: up to 250 KiB; longer ones are quarantined and counted instead of being cut or lost silently",
    "not imported: events that are still in the forwarder's disk queue",
)


def _template(entry: Entries) -> str:
    return FORWARDER_HTTP if (_text(entry, "protocol") or "").lower() == "http" else FORWARDER


def _text(entry: Entries, key: str) -> str | None:
    value = entry.get(key)
    return str(value).strip() if isinstance(value, Scalar) else None


def _is_true(entry: Entries, key: str) -> bool:
    return (_text(entry, key) or "false").lower() in ("true", "yes", "on", "1")


def _is_set(value: str | None) -> bool:
    # The forwarder's own test: any text, so also "false".
    return bool(value)


def _safe(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]+", "-", name).strip(".") or "server"
