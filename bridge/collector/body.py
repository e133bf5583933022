"""Reads and decompresses the body of a request, up to a size limit."""

from collections.abc import Iterator
from io import SEEK_END, SEEK_SET
from typing import BinaryIO, cast

from isal import isal_zlib
from twisted.web.server import Request

from bridge.collector.refusal import Refusal

BODY_LIMIT = 10 * 1024 * 1024
"""Maximum bytes of a body, compressed and decompressed (`intake.md`: 10 MiB, seen in the vendor's SDK only)."""

PIECE = 1024 * 1024
"""Bytes that are decompressed at once."""

_GZIP_WBITS = 31
# A body may have several gzip members (RFC 1952 section 2.2). The data after a member is copied when the member ends,
# so a body of many empty members would take quadratic time.
_MEMBERS_LIMIT = 64

_GzipError = cast(type[Exception], isal_zlib.error)  # the type stub declares it as an instance


def too_large(limit: int) -> Refusal:
    """Returns the 413 for a whole body."""
    return Refusal(413, f"the body is larger than {limit} bytes", reason="request_too_large")


def is_gzip(request: Request) -> bool:
    """Returns True if the body is compressed. Raises Refusal: 415 for an encoding other than gzip."""
    encoding = ",".join(request.requestHeaders.getRawHeaders("Content-Encoding", [])).strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Refusal(415, "Content-Encoding must be gzip or absent", headers={"Accept-Encoding": "gzip"})
    return "gzip" in encoding


def read_body(request: Request, limit: int = BODY_LIMIT) -> bytes:
    """Returns the body, decompressed.

    Raises Refusal: 413 beyond ``limit`` bytes, 415 for an encoding other than gzip, 400 for damaged gzip.
    """
    compressed = is_gzip(request)
    body = sent_body(request, limit)
    return gunzip(body, limit) if compressed else body


def sent_body(request: Request, limit: int) -> bytes:
    """Returns the body as it was sent. Raises Refusal (413) beyond ``limit`` bytes."""
    content = cast(BinaryIO, request.content)
    # `bridge.collector.site` stops reading at the limit. Another Site has read the whole body by now.
    if content.seek(0, SEEK_END) > limit:
        raise too_large(limit)
    content.seek(0, SEEK_SET)
    return content.read()


def gunzip(data: bytes, limit: int) -> bytes:
    """Decompresses gzip. Raises Refusal as ``inflated`` does."""
    return b"".join(inflated(data, limit))


def inflated(data: bytes, limit: int) -> Iterator[bytes]:
    """Decompresses gzip in pieces of at most ``PIECE`` bytes; yields at most ``limit`` bytes for any input.

    Raises Refusal: 413 beyond ``limit``, 400 if the data is damaged, truncated or followed by other data.
    """
    remaining = limit
    for _ in range(_MEMBERS_LIMIT):
        member = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
        while not member.eof:
            try:
                part = member.decompress(data, PIECE)
            except _GzipError:
                raise Refusal(400, "the body is not valid gzip, but Content-Encoding is gzip") from None
            remaining -= len(part)
            if remaining < 0:
                raise too_large(limit)
            if not part and not member.eof:
                raise Refusal(400, "the gzip body is truncated")
            yield part
            data = member.unconsumed_tail
        data = member.unused_data
        if not data:
            return
    raise Refusal(400, f"the gzip body has more than {_MEMBERS_LIMIT} members")
