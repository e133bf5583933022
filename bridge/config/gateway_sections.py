"""Defines the sections `timestamps`, `batch`, `spool`, `cluster`, `ledger` and `admin`."""

from datetime import timedelta
from typing import Annotated, Literal

from bridge.config import fields, units
from bridge.config.addresses import Address
from bridge.config.fields import Section
from bridge.config.spool_place import DEFAULT_DIRECTORY
from bridge.config.units import Share

GB = 1000**3

Resolution = Annotated[fields.Duration, fields.within("1ms", "1h", units.duration)]


class TimestampsSection(Section):
    """The section `timestamps`: maximum distance of an event time from its reception; None means no limit."""

    max_past: fields.DurationOrNever = timedelta(days=31)
    max_future: fields.DurationOrNever = timedelta(days=1)


class BatchSection(Section):
    """The section `batch`: when a batch is sealed, and how far apart the event times of one request may be.

    `max_bytes` is in bytes.
    """

    max_age: Annotated[fields.Duration, fields.within("10ms", "1h", units.duration)] = timedelta(seconds=2)
    max_events: Annotated[fields.Integer, fields.within("1", "1000000", int)] = 20_000
    # The vendor's own library respects this upper limit of a request body.
    max_bytes: Annotated[fields.Size, fields.within("1KiB", "10MiB", units.size)] = 5_000_000
    timestamp_resolution: Resolution = timedelta(seconds=1)
    backlog_timestamp_resolution: Resolution = timedelta(seconds=60)


class ArchiveSection(Section):
    """The section `spool.archive`: limits of the delivered events that are kept, in bytes and age (None: no limit)."""

    max_size: fields.Size = 5 * GB
    max_age: fields.DurationOrNever = timedelta(days=7)


class QuarantineSection(Section):
    """The section `spool.quarantine`: limits of the quarantined events, in bytes and age (None: no limit)."""

    max_size: fields.Size = 1 * GB
    max_age: fields.DurationOrNever = timedelta(days=30)


class SpoolSection(Section):
    """The section `spool`. Sizes are bytes on disk or a share of the filesystem."""

    directory: fields.FilePath = DEFAULT_DIRECTORY
    max_size: fields.SizeOrShare = Share(80)
    min_free: fields.SizeOrShare = Share(10)
    when_full: Annotated[Literal["drop-oldest", "pause"], fields.of_choice("drop-oldest", "pause")] = "drop-oldest"
    order: Annotated[Literal["live-first", "oldest-first"], fields.of_choice("live-first", "oldest-first")] = (
        "live-first"
    )
    fsync: Annotated[Literal["never", "backlog", "always"], fields.of_choice("never", "backlog", "always")] = "backlog"
    archive: ArchiveSection | None = None
    quarantine: QuarantineSection = QuarantineSection()


class ClusterSection(Section):
    """The section `cluster`, a backlog shared through RabbitMQ; `amqp`, the list of brokers, is required.

    `max_bytes` limits the bytes of one queue, `prefetch` the bytes that a courier holds in memory. Couriers with the
    same `egress_group` share `max_request_rate`.
    """

    amqp: fields.BrokerUrls = ()
    username: fields.Text | None = None
    password: fields.AnySecret | None = None
    virtual_host: fields.Text = "/"
    ca_file: fields.Authorities | None = None
    extra_ca_file: fields.Authorities | None = None
    client_cert_file: fields.FilePath | None = None
    client_key_file: fields.FilePath | None = None
    queue_prefix: fields.QueuePrefix = "syslog-bridge"
    role: Annotated[Literal["both", "gateway", "courier"], fields.of_choice("both", "gateway", "courier")] = "both"
    egress_group: fields.QueuePrefix = "default"
    max_bytes: Annotated[fields.Size, fields.within("1MB", "1TB", units.size)] = 256_000_000
    prefetch: Annotated[fields.Size, fields.within("1MB", "10GB", units.size)] = 64_000_000
    fallback_after: Annotated[fields.DurationOrNever, fields.within("1s", "1d", units.duration)] = timedelta(seconds=10)


class LedgerSection(Section):
    """The section `ledger`: how long the history is kept; None means forever."""

    keep: fields.DurationOrNever = timedelta(days=400)


class HeartbeatSection(Section):
    """The section `admin.heartbeat`; `intake` is required."""

    intake: fields.IntakeName | None = None
    every: Annotated[fields.Duration, fields.within("1m", "1d", units.duration)] = timedelta(hours=1)


class AdminSection(Section):
    """The section `admin`; listening beyond loopback requires `cert_file`, `key_file` and `token`.

    `alerts_format: forwarder` writes statistics to `alerts_intake` every `alerts_statistics_every`, in the form
    of the vendor's forwarder.
    """

    listen: fields.ListenAddress = Address("127.0.0.1", 8514)
    cert_file: fields.FilePath | None = None
    key_file: fields.FilePath | None = None
    token: fields.HeaderSecret | None = None
    alerts_intake: fields.IntakeName | None = None
    alerts_format: Annotated[Literal["text", "forwarder"], fields.of_choice("text", "forwarder")] = "text"
    alerts_statistics_every: Annotated[fields.Duration, fields.within("10s", "1h", units.duration)] = timedelta(
        minutes=5
    )
    heartbeat: HeartbeatSection | None = None
    show_messages: fields.Flag = True
