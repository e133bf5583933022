"""What the rest of the bridge reads: the configuration with every default filled in and every reference good.

Durations are `timedelta` (`never` is None), sizes bytes, zones `ZoneInfo`, lists tuples; names are those of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from bridge.config.collector_section import CollectorSection, ProxySection
from bridge.config.fields import PayloadName, TimestampName
from bridge.config.gateway_sections import (
    AdminSection,
    BatchSection,
    LedgerSection,
    SpoolSection,
    TimestampsSection,
)
from bridge.config.listener_sections import Listener, SourceFacts
from bridge.config.routes import Route, Unrouted
from bridge.config.secret import Secret

never: Final = None
"""What the duration `never` is in the model: no limit of time."""


@dataclass(frozen=True)
class Destination:
    """How an intake is reached: its own keys where it has them, else the collector's. `urls` end without a slash; the
    first is used while it answers."""

    urls: tuple[str, ...]
    endpoint: str
    authentication: Literal["header", "basic"]
    compression: Literal["gzip", "none"]
    proxy: ProxySection | None
    ca_file: Path | None
    extra_ca_file: Path | None
    client_certificate: Path | None
    client_key: Path | None
    timeout: timedelta

    @property
    def url(self) -> str:
        """The preferred one."""
        return self.urls[0]


@dataclass(frozen=True)
class Intake:
    """A destination of events, known by its name; None where format or default decide. `quota` in bytes a day.

    `format` is the format's full name, whatever alias was written.
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
        """Where its requests go, which decides what the spool keeps of an event."""
        return self.destination.endpoint


@dataclass(frozen=True)
class Config:
    """A whole configuration; `sha256` is that of the files' bytes in reading order, in hexadecimal."""

    timezone: ZoneInfo
    collector: CollectorSection
    listeners: tuple[Listener, ...]
    max_frame_size: int
    oversize: Literal["quarantine", "truncate"]
    sources: tuple[SourceFacts, ...]
    intakes: Mapping[str, Intake]
    routes: tuple[Route, ...]
    unrouted: Unrouted
    timestamps: TimestampsSection
    batch: BatchSection
    spool: SpoolSection
    ledger: LedgerSection
    admin: AdminSection
    sha256: str
    files: tuple[Path, ...]
