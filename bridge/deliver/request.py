"""Builds a request from pieces: body and headers for the intake's endpoint.

Reads files and blocks, so it runs in the spool thread. The key is added here and nowhere earlier: the spool contains
no keys.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from isal import igzip

from bridge.batching import endpoints
from bridge.batching.endpoints import PLAIN_BATCH, Endpoint
from bridge.batching.groups import NO_TIME
from bridge.spool import Piece, batch_reader
from bridge.syslog.timestamps import rfc3339

TIME_HEADER = "X-SEKOIAIO-EVENT-TIMESTAMP"


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """URL, headers and key of an intake's requests. ``repr`` shows no key."""

    url: str
    "Complete URL of the endpoint."
    headers: Callable[[], dict[str, str]]
    "Returns the authentication headers of one request; empty if the key is in the body."
    gzip: bool
    endpoint: Endpoint = PLAIN_BATCH
    key: Callable[[], str] = str
    fallback_urls: tuple[str, ...] = ()
    "URLs of the same endpoint at other base URLs, used while the first is unavailable."
    scattered: "RequestTarget | None" = None
    "Target of requests whose times are too far apart for one timestamp: its endpoint takes a time with each event."

    joined: "RequestTarget | None" = None
    "Target of requests that carry small batches of several intakes; None if each request carries one intake."

    @property
    def urls(self) -> tuple[str, ...]:
        """Returns all URLs in order of preference."""
        return (self.url, *self.fallback_urls)

    def secrets(self, headers: dict[str, str]) -> list[str]:
        """Returns the forms of the key in a request with these headers. With Basic authentication the header has
        another form of it."""
        forms = (self.key(), *(value.removeprefix("Basic ") for value in headers.values()))
        return [form for form in forms if form]

    def without_key(self, body: bytes) -> bytes:
        """Returns the body of a response without the key, because a response may repeat the request. Call it before any
        text is cut, so that no part of the key stays."""
        for secret in self.secrets(self.headers()):
            if (sent := secret.encode()) in body:
                body = body.replace(sent, b"****")
        return body

    def __repr__(self) -> str:
        return f"Target({self.url})"


@dataclass(frozen=True, slots=True)
class Request:
    """Body and headers of one request, without the authentication headers."""

    data: bytes
    plain_size: int
    "Size of the body before compression, in bytes."
    size: int
    "Size of the events as stored in the spool, in bytes. Limits on pieces use this size."
    sha256: str
    "SHA-256 of the body before compression, with the key masked."
    headers: dict[str, str]
    exact: bool
    evidence: Callable[[], bytes] = field(repr=False)
    "Returns the body in a form that may be stored: uncompressed, with the key masked."


def authentication(kind: str, key: str) -> dict[str, str]:
    """Returns the authentication header: ``header`` sends the key itself, ``basic`` sends it as password with a
    fixed user name (any is accepted)."""
    if kind == "basic":
        return {"Authorization": "Basic " + b64encode(f"syslog-bridge:{key}".encode()).decode()}
    return {"X-SEKOIAIO-INTAKE-KEY": key}


def compose(pieces: Sequence[Piece], target: RequestTarget) -> Request:
    """Builds one request from pieces. Raises Damaged, OSError."""
    endpoint = target.endpoint
    key = target.key() if endpoint.key_in_body else ""
    body = _json_body(pieces, endpoint, key) if endpoint.json else batch_reader.as_plain(pieces)
    data = igzip.compress(body, compresslevel=1) if target.gzip else body

    def evidence() -> bytes:
        inflated = igzip.decompress(data) if target.gzip else data
        return endpoints.mask_key(inflated, key) if key else inflated

    first, earliest = pieces[0], min(piece.earliest for piece in pieces)
    headers = {
        "Content-Type": endpoint.content_type,
        "X-Request-ID": f"{first.batch.sequence}-{first.start}" if first.start else str(first.batch.sequence),
    }
    if earliest != NO_TIME and (endpoint.single or not endpoint.exact):
        headers[TIME_HEADER] = rfc3339(earliest)
    if target.gzip:
        headers["Content-Encoding"] = "gzip"
    return Request(
        data, len(body), sum(piece.size for piece in pieces),
        hashlib.sha256(endpoints.mask_key(body, key) if key else body).hexdigest(),
        headers, endpoint.exact, evidence,
    )  # fmt: skip


def _json_body(pieces: Sequence[Piece], endpoint: Endpoint, key: str) -> bytes:
    events: list[bytes] = []
    times: list[Sequence[int] | repeat[int]] = []
    for piece in pieces:
        lines, moments = batch_reader.rows_of(piece)
        try:
            events += [endpoints.as_json_string(line, piece.batch.encoding) for line in lines]
        except ValueError as error:
            raise batch_reader.Damaged(piece.batch, str(error)) from None
        times.append(moments or repeat(piece.earliest, len(lines)))
    return endpoints.json_body(endpoint, events, chain.from_iterable(times), key)
