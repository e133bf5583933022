"""Turns a valid document into the configuration: default names, dependent defaults and destinations."""

from __future__ import annotations

from pathlib import Path

from bridge.config.addresses import REGIONS
from bridge.config.collector_section import CollectorSection, IntakeSection
from bridge.config.document import Document
from bridge.config.gateway_sections import BatchSection
from bridge.config.listener_sections import Listener
from bridge.config.model import Config, Destination, Intake
from bridge.config.routes import Route


def named_listeners(listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    """Returns the listeners; those without a name are named by kind and address."""
    return tuple(
        listener if listener.name else listener.model_copy(update={"name": f"{listener.kind}:{listener.address}"})
        for listener in listeners
    )


def named_routes(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Returns the routes; those without a name are named by their position, counted from 1."""
    return tuple(
        route if route.name else route.model_copy(update={"name": f"route-{position}"})
        for position, route in enumerate(routes, start=1)
    )


def resolved(document: Document, *, sha256: str, files: tuple[Path, ...]) -> Config:
    """Returns the configuration of a document that passed all checks."""
    collector = _collector(document.collector)
    return Config(
        timezone=document.timezone,
        collector=collector,
        listeners=tuple(_listener(listener) for listener in named_listeners(document.listeners)),
        max_frame_size=document.max_frame_size,
        oversize=document.oversize,
        sources=document.sources,
        intakes={name: _intake(name, written, collector) for name, written in document.intakes.items()},
        routes=named_routes(document.routes),
        unrouted=document.unrouted,
        timestamps=document.timestamps,
        batch=_batch(document.batch),
        spool=document.spool,
        ledger=document.ledger,
        admin=document.admin,
        sha256=sha256,
        files=files,
    )


# Written values limit the defaults of related keys: `connections: 2` also lowers the default of
# `connections_per_intake`.


def _collector(written: CollectorSection) -> CollectorSection:
    per_intake = min(written.connections_per_intake, written.connections)
    return written.model_copy(update={"connections_per_intake": per_intake})


def _listener(written: Listener) -> Listener:
    per_peer = min(written.max_connections_per_peer, written.max_connections)
    if written.unix_path:
        per_peer = written.max_connections  # All local programs count as one peer.
    return written.model_copy(update={"max_connections_per_peer": per_peer})


def _batch(written: BatchSection) -> BatchSection:
    catch_up = max(written.catch_up_resolution, written.timestamp_resolution)
    return written.model_copy(update={"catch_up_resolution": catch_up})


def _intake(name: str, written: IntakeSection, collector: CollectorSection) -> Intake:
    return Intake(
        name=name,
        intake_key=written.key,
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
    client = own if own.client_certificate else collector
    return Destination(
        urls=address.url or (REGIONS[address.region or ""],),
        endpoint=own.endpoint or collector.endpoint,
        authentication=own.authentication or collector.authentication,
        compression=own.compression or collector.compression,
        proxy=own.proxy or collector.proxy,
        ca_file=authorities.ca_file,
        extra_ca_file=authorities.extra_ca_file,
        client_certificate=client.client_certificate,
        client_key=client.client_key,
        timeout=collector.timeout,
    )
