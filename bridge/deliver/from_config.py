"""Computes targets, trust and limits of delivery from a configuration."""

from dataclasses import replace
from urllib.parse import urlsplit

from bridge.batching.endpoints import ENDPOINTS, PLAIN_BATCH
from bridge.config import Config, Destination, Intake
from bridge.config.units import milliseconds
from bridge.deliver.context import RequestLimits
from bridge.deliver.http_connect import HttpProxy
from bridge.deliver.request import RequestTarget, authentication
from bridge.deliver.tls import Trust

REQUEST_SECONDS = 30.0
"Seconds that a request may take before the events that wait for it are late. A longer timeout does not extend them."


def bandwidth(config: Config) -> float | None:
    """Returns the bytes per second that all requests together may send; None: no limit."""
    bits = config.collector.max_bandwidth
    return None if bits is None else bits / 8


def request_limits(config: Config) -> RequestLimits:
    """Returns how requests are composed."""
    return RequestLimits(
        in_flight=config.collector.connections_per_intake,
        max_events=config.batch.max_events,
        max_bytes=config.batch.max_bytes,
        resolution_ms=milliseconds(config.batch.timestamp_resolution),
        catch_up_ms=milliseconds(config.batch.backlog_timestamp_resolution),
        live_for=max(10.0, 3 * config.batch.max_age.total_seconds()),
        late_after=2 * config.batch.max_age.total_seconds()
        + min(REQUEST_SECONDS, config.collector.timeout.total_seconds()),
        live_first=config.spool.order == "live-first",
    )


def target(intake: Intake) -> RequestTarget:
    """Returns the URL, headers and encoding of an intake's requests."""
    scattered = intake.destination.scattered_endpoint
    # In JSON, the bytes of ``encoding: bytes`` would change.
    joins = (
        intake.destination.small_batches == "array" and intake.endpoint == PLAIN_BATCH.path
        and intake.encoding != "bytes"
    )  # fmt: skip
    return replace(
        _target(intake, intake.endpoint),
        scattered=None if scattered is None else _target(intake, scattered),
        joined=_target(intake, "/array") if joins else None,
    )


def _target(intake: Intake, path: str) -> RequestTarget:
    destination, endpoint, key = intake.destination, ENDPOINTS[path], intake.intake_key.reveal
    return RequestTarget(
        url=destination.url + path,
        headers=dict if endpoint.key_in_body else lambda: authentication(destination.authentication, key()),
        gzip=destination.compression == "gzip", endpoint=endpoint, key=key,
        fallback_urls=tuple(url + path for url in destination.urls[1:]),
    )  # fmt: skip


def trust(destination: Destination) -> Trust:
    """Returns the authorities to trust at a destination, and the client certificate to show there."""
    return Trust(
        destination.ca_file, destination.extra_ca_file, destination.client_cert_file, destination.client_key_file,
        legacy_ciphers=destination.legacy_ciphers,
    )  # fmt: skip


def proxy(destination: Destination) -> HttpProxy | None:
    """Returns the HTTP proxy in front of a destination; None: connect directly."""
    written = destination.proxy
    if written is None or written.url is None:
        return None
    parts = urlsplit(written.url)
    assert parts.hostname and parts.port, "the configuration check requires host and port"
    credentials = None
    if written.username is not None and written.password is not None:
        credentials = (written.username, written.password.reveal())
    return HttpProxy(parts.hostname, parts.port, credentials)
