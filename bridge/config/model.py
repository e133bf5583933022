"""Defines the resolved configuration: all defaults are filled in and all references are valid.

Durations are `timedelta` (`never` is None), sizes are bytes, zones `ZoneInfo`, lists tuples. Fields are named as the
keys of the file.
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
from bridge.config.gateway_sections import AdminSection, BatchSection, LedgerSection, SpoolSection, TimestampsSection
from bridge.config.listener_sections import Listener, SourceFacts
from bridge.config.routes import Route, Unrouted
from bridge.config.secret import Secret

never: Final = None
"""The value of the duration `never`: no time limit."""


@dataclass(frozen=True)
class Destination:
    """The delivery settings of an intake: its own keys if given, else those of the collector.

    `urls` end without a slash. The first one is used as long as it answers.
    """

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
