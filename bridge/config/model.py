"""Defines the resolved configuration, in which all defaults are filled in, and makes it from a valid document.

Durations are `timedelta` (`never` is None), sizes are bytes, zones `ZoneInfo`, lists tuples. Fields are named as the
keys of the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from bridge.config.addresses import REGIONS
from bridge.config.collector_section import CollectorSection, IntakeSection, ProxySection
from bridge.config.document import Document
from bridge.config.faults import Fault
from bridge.config.fields import PayloadName, TimestampName
from bridge.config.gateway_sections import (
    AdminSection,
    BatchSection,
    ClusterSection,
    LedgerSection,
    SpoolSection,
    TimestampsSection,
)
from bridge.config.listener_sections import Listener, SourceFacts
from bridge.config.paste_places import PastePlaces, paste_places
from bridge.config.redact_section import RedactEntry
from bridge.config.routes import Route, Unrouted
from bridge.config.secret import Secret
from bridge.config.yaml_tree import Entries


@dataclass(frozen=True)
class Destination:
    """The delivery settings of an intake: its own keys if given, else those of the collector.

    `urls` end without a slash. The first one is used as long as it answers.
    """

    urls: tuple[str, ...]
    endpoint: str
    scattered_endpoint: str | None
    "Endpoint that takes a time with each event, for events whose times are far apart. None: they take many requests."
    authentication: Literal["header", "basic"]
    compression: Literal["gzip", "none"]
    proxy: ProxySection | None
    ca_file: Path | None
    extra_ca_file: Path | None
    client_cert_file: Path | None
    client_key_file: Path | None
    legacy_ciphers: bool
    timeout: timedelta
    small_batches: Literal["plain", "array"]
    "`array`: one request to `/array` carries small batches of several intakes."

    @property
    def url(self) -> str:
        """Returns the preferred URL."""
        return self.urls[0]


@dataclass(frozen=True)
class Intake:
    """A destination of events. None in `payload` and `timestamp` means: the format or the default decides.

    `quota` is in bytes per day. `format` is the full name of the format, even if the file uses an alias.
    """

    name: str
    intake_key: Secret
    format: str | None
    payload: PayloadName | None
    encoding: Literal["auto", "latin-1", "bytes"]
    timestamp: TimestampName | None
    quota: int | None
    destination: Destination

    @property
    def endpoint(self) -> str:
        """Returns the path that requests are posted to; it decides the form of the events in the spool."""
        return self.destination.endpoint


@dataclass(frozen=True)
class Config:
    """A complete configuration; `sha256` covers the bytes of all files in reading order, in hexadecimal."""

    timezone: ZoneInfo
    collector: CollectorSection
    listeners: tuple[Listener, ...]
    max_frame_size: int
    oversize: Literal["quarantine", "truncate"]
    sources: tuple[SourceFacts, ...]
    redact: tuple[RedactEntry, ...]
    intakes: Mapping[str, Intake]
    routes: tuple[Route, ...]
    unrouted: Unrouted
    timestamps: TimestampsSection
    batch: BatchSection
    spool: SpoolSection
    cluster: ClusterSection | None
    ledger: LedgerSection
    admin: AdminSection
    sha256: str
    files: tuple[Path, ...]
    texts: Mapping[str, bytes] = field(repr=False, compare=False)
    "The bytes of each file by its name, in reading order. They may contain secrets."
    paste_places: PastePlaces
    "Where a new route and a new intake can be pasted."
    old_names: tuple[Fault, ...]
    "A warning for each key that is written with its old name."


def resolved(
    document: Document, root: Entries, *, sha256: str, texts: Mapping[str, bytes], old_names: tuple[Fault, ...]
) -> Config:
    """Returns the configuration of a document that passed all checks, and of its tree. ``texts``: as in Config."""
    collector = _collector(document.collector)
    routes = tuple(_route(*numbered) for numbered in enumerate(document.routes, start=1))
    return Config(
        timezone=document.timezone,
        collector=collector,
        listeners=tuple(map(_listener, document.listeners)),
        max_frame_size=document.max_frame_size,
        oversize=document.oversize,
        sources=document.sources,
        redact=tuple(_redact(*numbered) for numbered in enumerate(document.redact, start=1)),
        intakes={name: _intake(name, written, collector) for name, written in document.intakes.items()},
        routes=routes,
        unrouted=document.unrouted,
        timestamps=document.timestamps,
        batch=_batch(document.batch),
        spool=document.spool,
        cluster=document.cluster,
        ledger=document.ledger,
        admin=document.admin,
        sha256=sha256,
        files=tuple(map(Path, texts)),
        texts=texts,
        paste_places=paste_places(root, routes, next(iter(texts))),
        old_names=old_names,
    )


# Written values limit the defaults of related keys: `connections: 2` also lowers the default of
# `connections_per_intake`.


def _collector(written: CollectorSection) -> CollectorSection:
    per_intake = min(written.connections_per_intake, written.connections)
    return written.model_copy(update={"connections_per_intake": per_intake})


def _listener(written: Listener) -> Listener:
    # All local programs count as one peer of a Unix socket.
    per_peer = written.max_connections if written.unix_path else written.max_connections_per_peer
    per_peer = min(per_peer, written.max_connections)
    return written.model_copy(update={"name": written.full_name, "max_connections_per_peer": per_peer})


def _route(position: int, written: Route) -> Route:
    return written if written.name else written.model_copy(update={"name": f"route-{position}"})


def _redact(position: int, written: RedactEntry) -> RedactEntry:
    # A named pattern names its rule.
    return written if written.name or written.pattern else written.model_copy(update={"name": f"redact-{position}"})


def _batch(written: BatchSection) -> BatchSection:
    resolution = max(written.backlog_timestamp_resolution, written.timestamp_resolution)
    return written.model_copy(update={"backlog_timestamp_resolution": resolution})


def _intake(name: str, written: IntakeSection, collector: CollectorSection) -> Intake:
    assert written.intake_key is not None  # `checks` reports an intake without a key.
    return Intake(
        name=name,
        intake_key=written.intake_key,
        format=written.format,
        payload=written.payload,
        encoding=written.encoding,
        timestamp=written.timestamp,
        quota=written.quota,
        destination=_destination(written, collector),
    )


def _destination(own: IntakeSection, collector: CollectorSection) -> Destination:
    # Related keys come from the same section: an intake's `url` is not combined with the collector's `region`.
    address = own if own.region or own.url else collector
    authorities = own if own.ca_file or own.extra_ca_file else collector
    client = own if own.client_cert_file else collector
    return Destination(
        urls=address.url or (REGIONS[address.region or ""],),
        endpoint=own.endpoint or collector.endpoint,
        scattered_endpoint=own.scattered_endpoint,
        authentication=own.authentication or collector.authentication,
        compression=own.compression or collector.compression,
        proxy=own.proxy or collector.proxy,
        ca_file=authorities.ca_file,
        extra_ca_file=authorities.extra_ca_file,
        client_cert_file=client.client_cert_file,
        client_key_file=client.client_key_file,
        legacy_ciphers=collector.legacy_ciphers,
        timeout=collector.timeout,
        small_batches=collector.small_batches,
    )
