"""Makes up one request of pieces: body and headers, as the intake's endpoint takes them. Blocking reads; runs in the
spool's thread. The key is put in here, and nowhere before: the spool holds none."""

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
    """Where an intake's events go. ``repr`` shows no key."""

    url: str
    "The endpoint's whole URL."
    headers: Callable[[], dict[str, str]]
    "The authentication, made anew for each request; empty where the key is in the body."
    gzip: bool
    endpoint: Endpoint = PLAIN_BATCH
    key: Callable[[], str] = str
    others: tuple[str, ...] = ()
    "The same at other base URLs, where the first is in trouble."

    @property
    def urls(self) -> tuple[str, ...]:
        """All of them, in the order of preference."""
        return (self.url, *self.others)

    def __repr__(self) -> str:
        return f"Target({self.url})"


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out for some pieces, without the authentication."""

    data: bytes
    plain_size: int
    "Bytes of the body before compression."
    size: int
    "Of its events as they are in the spool: what pieces are measured by."
    sha256: str
    "Of the body before compression, its key masked."
    headers: dict[str, str]
    exact: bool
    kept: Callable[[], bytes] = field(repr=False)
    "The body as it may be kept: inflated, without a key."


def authentication(kind: str, key: str) -> dict[str, str]:
    """The header that carries a key: ``header``, or ``basic`` (the key is the password; any user name will do)."""
    if kind == "basic":
        return {"Authorization": "Basic " + b64encode(f"syslog-bridge:{key}".encode()).decode()}
    return {"X-SEKOIAIO-INTAKE-KEY": key}


def compose(pieces: Sequence[Piece], target: RequestTarget) -> Request:
    """One request of these. Raises Damaged, OSError."""
    endpoint = target.endpoint
    key = target.key() if endpoint.key_in_body else ""
    body = _wrapped(pieces, endpoint, key) if endpoint.json else batch_reader.as_plain(pieces)
    data = igzip.compress(body, compresslevel=1) if target.gzip else body

    def kept() -> bytes:
        inflated = igzip.decompress(data) if target.gzip else data
        return endpoints.without_key(inflated, key) if key else inflated

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
        hashlib.sha256(endpoints.without_key(body, key) if key else body).hexdigest(),
        headers, endpoint.exact, kept,
    )  # fmt: skip


def _wrapped(pieces: Sequence[Piece], endpoint: Endpoint, key: str) -> bytes:
    events: list[bytes] = []
    times: list[Sequence[int] | repeat[int]] = []
    for piece in pieces:
        lines, moments = batch_reader.rows_of(piece)
        try:
            events += [endpoints.as_json_string(line, piece.batch.encoding) for line in lines]
        except ValueError as error:
            raise batch_reader.Damaged(piece.batch, str(error)) from None
        times.append(moments or repeat(piece.earliest, len(lines)))
    return endpoints.wrapped(endpoint, events, chain.from_iterable(times), key)
