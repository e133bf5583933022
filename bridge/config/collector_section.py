"""Defines the sections `collector` and `intakes`; an intake's own keys override those of the collector."""

from datetime import timedelta
from typing import Annotated, Literal

from bridge.config import fields, units
from bridge.config.addresses import ENDPOINTS, REGIONS
from bridge.config.fields import Section

Endpoint = Annotated[str, fields.of_choice(*ENDPOINTS)]
Region = Annotated[str, fields.of_choice(*REGIONS)]
Authentication = Annotated[Literal["header", "basic"], fields.of_choice("header", "basic")]
SmallBatches = Annotated[Literal["plain", "array"], fields.of_choice("plain", "array")]
Compression = Annotated[Literal["gzip", "none"], fields.of_choice("gzip", "none")]


class ProxySection(Section):
    """An HTTP proxy, used with CONNECT; the proxy resolves the collector's name. `url` is required."""

    url: fields.ProxyUrl | None = None
    username: fields.Text | None = None
    password: fields.AnySecret | None = None


class DeliverySettings(Section):
    """The keys that the collector and a single intake have in common; None if not given.

    `url` may hold several URLs, in the order of preference.
    """

    region: Region | None = None
    url: fields.BaseUrls | None = None
    proxy: ProxySection | None = None
    ca_file: fields.Authorities | None = None
    extra_ca_file: fields.Authorities | None = None
    client_cert_file: fields.FilePath | None = None
    client_key_file: fields.FilePath | None = None


class CollectorSection(DeliverySettings):
    """The section `collector`: delivery settings of all intakes; `max_bandwidth` is in bits per second.

    With `small_batches: array`, one request to `/array` carries small batches of several intakes with a time each, so
    that many quiet intakes need fewer requests. It applies to intakes with the endpoint `/plain/batch`.
    """

    endpoint: Endpoint = "/plain/batch"
    authentication: Authentication = "header"
    compression: Compression = "gzip"
    timeout: Annotated[fields.Duration, fields.within("100ms", "1h", units.duration)] = timedelta(seconds=30)
    connections: Annotated[fields.Integer, fields.within("1", "1000", int)] = 8
    connections_per_intake: Annotated[fields.Integer, fields.within("1", "1000", int)] = 4
    max_request_rate: Annotated[fields.Number, fields.within("0.01", "100000", float)] = 50.0
    small_batches: SmallBatches = "plain"
    max_bandwidth: fields.Bandwidth | None = None
    legacy_ciphers: fields.Flag = False


class IntakeSection(DeliverySettings):
    """An entry of `intakes`, as written. `intake_key` is required; `quota` is in bytes per day.

    `scattered_endpoint` receives, in one request with the time of each event, events whose times are too far apart for
    the one timestamp of a request to `endpoint`.
    """

    intake_key: fields.IntakeKeySecret | None = None
    endpoint: Endpoint | None = None
    scattered_endpoint: Endpoint | None = None
    authentication: Authentication | None = None
    compression: Compression | None = None
    format: fields.Format | None = None
    payload: fields.Payload | None = None
    encoding: Annotated[Literal["auto", "latin-1", "bytes"], fields.of_choice("auto", "latin-1", "bytes")] = "auto"
    timestamp: fields.Timestamp | None = None
    quota: fields.Volume | None = None
