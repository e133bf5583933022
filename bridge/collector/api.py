"""Serves the endpoints of the intake API (`https-log-collector.md`, `intake.md`).

| path | body | answer |
|---|---|---|
| ``/plain`` | one raw event | ``{"received": true, "event_id": ...}`` |
| ``/plain/batch`` | events separated by LF | ``{"received": true, "event_ids": [...], "errors"?: [...]}`` |
| ``/jsons`` | array of strings or objects, ``?path=$.a.b`` | ``event_ids`` |
| ``/`` | ``{"intake_key", "json", "@timestamp"?}`` | ``event_id`` |
| ``/batch`` | ``{"intake_key", "jsons"}`` | ``event_ids`` |
| ``/array`` | ``[{"timestamp"?, "intake_key", "json"}, ...]`` | ``event_ids`` |

Refusals are JSON, ``{"error": ...}``, checked in this order: 404, 405, 400 for ``?status_code=`` or the timestamp
header, 401, 415, 413, 400. ``event_ids`` has only the accepted events; a sender that compares the count with its own
sees that some were refused.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import json
from collections.abc import Awaitable, Callable, Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from bridge.collector import formats
from bridge.collector.answer_writer import AnswerWriter, waits_for_client
from bridge.collector.body import BODY_LIMIT, inflated, sent_body
from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery, EventIds, EventLines, Sink
from bridge.collector.head import Head, read_head
from bridge.collector.limits import IntakeLimits
from bridge.collector.refusal import Refusal
from bridge.collector.request_queue import UNPACED, AbandonedError, Pace
from bridge.collector.site import BoundedRequest
from bridge.host.limited_http import BYTES_PER_SECOND, REQUEST_SECONDS, LimitedChannel

_MOST_IDS_AT_ONCE = 1000
"""An answer with more ids is written piece by piece, and so is every answer behind one that is not read yet."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An HTTP response as a value."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    pieces: Callable[[], Iterator[bytes]] | None = None
    """Yields the body instead of ``body``, for an answer that is written piece by piece."""


class IntakeResource(Resource):
    """Serves the API below the path where it is mounted, and below `REGION_PATH` there.

    ``keys``: the accepted intake keys, None for any. ``now``: returns the wall time of reception, aware.
    ``body_limit``: bytes; a `bridge.collector.site.IntakeSite` stops reading at its own limit. ``limits``: those of a
    listener. Without them, each request is processed in one reactor turn.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self, sink: Sink, *, keys: Set[str] | Keys | None = None, body_limit: int = BODY_LIMIT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC), limits: IntakeLimits | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._sink = sink
        self._keys = keys if isinstance(keys, Keys) else Keys(keys)
        self._body_limit = body_limit
        self._now = now
        self._limits = limits

    def render(self, request: Request) -> int:
        """Answers a request of any method; called by twisted.web."""
        send_when_ready(request, self.answer(request), self._limits)
        return NOT_DONE_YET

    def answer(self, request: Request) -> Deferred[ApiAnswer]:
        """Passes the request's events to the sink and returns the response to send. Never fails, never writes."""
        return Deferred.fromCoroutine(self._answer(request))

    def check_head(self, request: Request) -> Head:
        """Returns the head of a request, before its body is read. Raises Refusal."""
        return read_head(request, self._keys, None if self._limits is None else self._limits.max_events)

    async def _answer(self, request: Request) -> ApiAnswer:
        try:
            return await self._process(request)
        except Refusal as refusal:
            if self._limits is not None:
                self._limits.note_refusal(_client(request), refusal)
            return _error(refusal)
        except AbandonedError:
            return _error(Refusal(503, "the client has closed the connection"))
        except Exception:
            self._log.failure("cannot process a request")
            return _error(Refusal(500, "internal error: see the collector's log"))

    async def _process(self, request: Request) -> ApiAnswer:
        received = self._now()
        head: Head = getattr(request, "head", None) or self.check_head(request)
        pace = await self._turn(request)
        try:
            await pace.pause()
            parsed = await self._parse(request, head, pace)
            if isinstance(request, BoundedRequest):
                # It would count until the client has read its answer.
                request.free_body()
            ids, refused = EventIds(parsed.content.count), parsed.errors
            stored = self._store(Delivery(received, parsed.content, ids, _client(request), pace))
            # Many requests may wait until their events are synced, so nothing holds the events until then.
            del parsed
            await stored
        finally:
            pace.end()
        if head.is_single:
            return _json(head.success_status, f'{{"received":true,"event_id":"{ids.as_list()[0]}"}}')
        errors = f',"errors":{json.dumps(refused)}' if refused else ""
        if self._limits is not None and (ids.count > _MOST_IDS_AT_ONCE or waits_for_client(request)):
            return _long(head.success_status, ids, errors)
        return _json(head.success_status, f'{{"received":true,"event_ids":{ids.as_json()}{errors}}}')

    def _store(self, delivery: Delivery) -> Awaitable[object]:
        return maybeDeferred(self._sink.accept, delivery).addErrback(self._explain)

    def _explain(self, failure: Failure) -> None:
        """Raises the error of the sink, or a Refusal if it is a defect."""
        if failure.check(Refusal, AbandonedError):
            failure.raiseException()
        self._log.failure("the sink cannot store the events of a request", failure)
        text = "the events could not be stored; send them again"
        raise Refusal(503, text, headers={"Retry-After": "5"})

    async def _turn(self, request: Request) -> Pace:
        """Waits until the request may be processed."""
        if self._limits is None:
            return UNPACED
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        turn = await self._limits.queue.turn(self._limits.share_of(_client(request)))
        if gone:
            turn.abandon()
        request.notifyFinish().addErrback(lambda failure: turn.abandon())
        return turn

    async def _parse(self, request: Request, head: Head, pace: Pace) -> formats.Parsed:
        body = sent_body(request, self._body_limit)
        if head.compressed:
            pieces = []
            for piece in inflated(body, self._body_limit):
                pieces.append(piece)
                await pace.pause()
            body = b"".join(pieces)
            del pieces
        parsed = head.parser(body, head.envelope)
        if isinstance(parsed, EventLines):
            return formats.Parsed(parsed, [])
        return await formats.sift(parsed, pace)


def send_when_ready(
    request: Request, answer: Deferred[ApiAnswer], limits: IntakeLimits | None = None
) -> Deferred[None]:
    """Writes the response when it is ready, unless the client has disconnected. Fires when that is done."""
    disconnected: list[Failure] = []
    request.notifyFinish().addErrback(disconnected.append)

    def write(ready: ApiAnswer) -> None:
        if disconnected:
            return
        write_head(request, ready)
        if ready.pieces is not None and limits is not None:
            _write_pieces(request, ready.pieces(), limits)
            return
        request.write(ready.body)
        request.finish()

    return answer.addCallback(write)


def _write_pieces(request: Request, pieces: Iterator[bytes], limits: IntakeLimits) -> None:
    """Writes a long answer. Ends the connection of a client that does not read it in time."""
    client = _client(request)
    transport = cast(ITCPTransport, request.transport)

    def abort() -> None:
        limits.note_refused(client, "answer_not_read", "the client does not read the answer to its request")
        transport.abortConnection()

    length = int(request.responseHeaders.getRawHeaders("Content-Length", ["0"])[0])
    seconds = REQUEST_SECONDS + length / BYTES_PER_SECOND
    cast(LimitedChannel, request.channel).allow_to_read(seconds)
    timer = limits.clock.callLater(seconds, abort)
    AnswerWriter(request, pieces, lambda: timer.cancel() if timer.active() else None).start()


def write_head(request: Request, answer: ApiAnswer) -> None:
    """Sets status and headers; Content-Length only if the status allows a body."""
    request.setResponseCode(answer.status)
    for name, value in answer.headers:
        request.setHeader(name, value)
    if answer.status not in NO_BODY_CODES and not request.responseHeaders.hasHeader("Content-Length"):
        request.setHeader("Content-Length", str(len(answer.body)))


def _client(request: Request) -> str:
    return str(getattr(request.getClientAddress(), "host", ""))


def _long(status: int, ids: EventIds, errors: str) -> ApiAnswer:
    begin, end = b'{"received":true,"event_ids":', f"{errors}}}".encode()
    length = str(len(begin) + ids.json_length() + len(end))
    headers = (("Content-Type", "application/json"), ("Content-Length", length))
    return ApiAnswer(status, headers, b"", lambda: chain((begin,), ids.json_pieces(), (end,)))


def _json(status: int, text: str, headers: dict[str, str] | None = None) -> ApiAnswer:
    return ApiAnswer(status, (("Content-Type", "application/json"), *(headers or {}).items()), text.encode())


def _error(refusal: Refusal) -> ApiAnswer:
    content = {"error": refusal.text} | ({"errors": refusal.errors} if refusal.errors else {})
    return _json(refusal.status, json.dumps(content), refusal.headers)
