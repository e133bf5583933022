"""Reads the body of a response up to a limit, and inflates it if it is compressed."""

import zlib

from twisted.internet import defer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from bridge.deliver.cause import Cause, DeliveryError
from bridge.deliver.exchange import Progress

MAX_ANSWER = 8 * 1024 * 1024
"Limit of the body of a 2xx response in bytes, compressed or not. The ids of 20,000 events are 800 kB."
MAX_ERROR_PAGE = 64 * 1024
"Limit of the body of any other response in bytes. Only its beginning is shown."
MAX_PARTS = 20_000
"Limit of the number of parts of a body, such as chunks, beyond one for every MIN_PART bytes. Each costs time."
MIN_PART = 16
"Bytes. A collector may send each id of an answer in a part of its own; an id is longer."
_GZIP = 31
"Window of zlib for gzip alone."


class AnswerError(DeliveryError):
    """Raised when an answer exceeds a limit or cannot be read."""

    cause = Cause.FOREIGN


class AnswerBody(Protocol):
    """Collects a body. At the limit the connection is aborted, and ``done`` fires with the beginning of the body."""

    def __init__(self, progress: Progress, status: int, *, packed: bool) -> None:
        self.cut: str | None = None
        "Limit that the body has exceeded; None if it is complete."
        self.done: defer.Deferred[bytes] = defer.Deferred(lambda cancelled: progress.abort())
        self._progress = progress
        self._status = status
        self._limit = MAX_ANSWER if 200 <= status < 300 else MAX_ERROR_PAGE
        self._inflate = zlib.decompressobj(_GZIP) if packed else None
        self._body = bytearray()
        self._received = self._parts = 0

    def connectionMade(self) -> None:
        if not 200 <= self._status <= 999:
            self._fail("its status is not a number of three digits")

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        self._received += len(data)
        self._parts += 1
        try:
            self._body += self._inflated(data)
        except zlib.error:
            self._fail("its body is not gzip, as its header says")
            return
        if max(self._received, len(self._body)) > self._limit:
            self.cut = "its body is far larger than the answer to a batch"
        elif self._parts > MAX_PARTS + self._received // MIN_PART:
            self.cut = f"its body came in {self._parts:,} parts of {self._received // self._parts} bytes on average"
        if self.cut is not None:
            # The rest of the body is not read, so the connection cannot be used again.
            self._progress.abort()
            self.done.callback(bytes(self._body[:MAX_ERROR_PAGE]))
        else:
            self._progress.received(len(data))

    def _inflated(self, data: bytes) -> bytes:
        if self._inflate is None:
            return data
        if self._inflate.eof:
            return b""
        return self._inflate.decompress(data, self._limit + 1 - len(self._body))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._body))
        else:
            self.done.errback(reason)

    def _fail(self, why: str) -> None:
        self._progress.abort()
        self.done.errback(AnswerError(f"the answer was broken off: {why}"))
