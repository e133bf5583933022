"""What a configuration means for each part of the running graph: values, made anew for each generation."""

from datetime import timedelta
from urllib.parse import urlsplit

from bridge.batching import Limits, Window
from bridge.batching.wrapping import ENDPOINTS
from bridge.config import Config, CopyTarget, Destination, Intake, SharedBacklog
from bridge.deliver.composing import Target, authentication
from bridge.deliver.office import Turn
from bridge.deliver.proxy import Proxy
from bridge.deliver.tls import Trust
from bridge.fleet.fleet import Terms as FleetTerms
from bridge.routing import Router
from bridge.spool import BatchLimits
from bridge.spool.budget import Terms


def milliseconds(delta: timedelta) -> int:
    """A duration as the spool counts."""
    return round(delta.total_seconds() * 1000)


def router(config: Config) -> Router:
    """The routes, compiled."""
    return Router(
        routes=config.routes,
        intakes=config.intakes,
        listeners={listener.name: listener.intake for listener in config.listeners},
        sources=config.sources,
        unrouted=config.unrouted,
        timezone=config.timezone,
    )


def copy_targets(config: Config) -> set[CopyTarget]:
    """All to whom frames are copied."""
    return {target for route in config.routes for target in route.copy_to}


def road_limits(config: Config) -> Limits:
    """How events are grouped, and which times are believed."""
    past, future = config.timestamps.max_past, config.timestamps.max_future
    return Limits(
        resolution_ms=milliseconds(config.batch.timestamp_resolution),
        window=Window(None if past is None else milliseconds(past), None if future is None else milliseconds(future)),
    )


def batch_limits(config: Config) -> BatchLimits:
    """When a batch is sealed."""
    batch = config.batch
    return BatchLimits(
        max_age=batch.max_age.total_seconds(),
        max_events=batch.max_events,
        max_bytes=batch.max_bytes,
        resolution_ms=milliseconds(batch.timestamp_resolution),
    )


def seal_every(config: Config) -> float:
    """Seconds between two looks for batches that are to be sealed."""
    return min(0.25, config.batch.max_age.total_seconds() / 4)


def quarantine_bounds(config: Config) -> dict[str, int]:
    """Bytes by reason: a quarter each, and what ``unrouted`` says."""
    quarter = config.spool.quarantine.max_size // 4
    unrouted = config.unrouted.max_size if config.unrouted.kind == "hold" else quarter
    return {"refused": quarter, "oversize": quarter, "damaged": quarter, "unrouted": unrouted}


def quarantine_age(config: Config, reason: str) -> float | None:
    """Seconds that frames are held; None: for ever."""
    hold = config.unrouted if reason == "unrouted" else config.spool.quarantine
    return None if hold.max_age is None else hold.max_age.total_seconds()


def budget_terms(config: Config) -> Terms:
    """How much the spool may hold."""
    return Terms(config.spool.max_size, config.spool.min_free, pause=config.spool.when_full == "pause")


def bandwidth(config: Config) -> float | None:
    """Bytes a second on the way out; None: no limit."""
    bits = config.collector.max_bandwidth
    return None if bits is None else bits / 8


def fleet(share: SharedBacklog) -> FleetTerms:
    """What a shared backlog is like."""
    after = share.alone_after
    return FleetTerms(
        urls=share.amqp, prefix=share.queue_prefix, role=share.role, exit=share.exit, max_bytes=share.max_bytes,
        prefetch=share.prefetch, alone_after=None if after is None else after.total_seconds(),
    )  # fmt: skip


def turn(config: Config) -> Turn:
    """How requests are made up."""
    return Turn(
        in_flight=config.collector.connections_per_intake,
        max_events=config.batch.max_events,
        max_bytes=config.batch.max_bytes,
        resolution_ms=milliseconds(config.batch.timestamp_resolution),
        catch_up_ms=milliseconds(config.batch.catch_up_resolution),
        live_for=max(10.0, 3 * config.batch.max_age.total_seconds()),
        live_first=config.spool.order == "live-first",
    )


def target(intake: Intake) -> Target:
    """Where an intake's events go."""
    destination = intake.destination
    endpoint = ENDPOINTS[destination.endpoint]
    key = intake.intake_key.reveal
    return Target(
        url=destination.url + destination.endpoint,
        headers=dict if endpoint.key_in_body else lambda: authentication(destination.authentication, key()),
        gzip=destination.compression == "gzip", endpoint=endpoint, key=key,
        others=tuple(url + destination.endpoint for url in destination.urls[1:]),
    )  # fmt: skip


def trust(destination: Destination) -> Trust:
    """Whom to trust at a destination, and who we are there."""
    return Trust(destination.ca_file, destination.extra_ca_file, destination.client_certificate, destination.client_key)


def proxy(destination: Destination) -> Proxy | None:
    """The proxy on the way to a destination."""
    written = destination.proxy
    if written is None or written.url is None:
        return None
    parts = urlsplit(written.url)
    assert parts.hostname and parts.port, "the configuration's check lets no other in"
    credentials = None
    if written.username is not None and written.password is not None:
        credentials = (written.username, written.password.reveal())
    return Proxy(parts.hostname, parts.port, credentials)
