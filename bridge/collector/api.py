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
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from bridge.collector import formats
from bridge.collector.body import BODY_LIMIT, read_body
from bridge.collector.credentials import Keys
from bridge.collector.delivery import Delivery, EventIds, Sink
from bridge.collector.refusal import Refusal

TIMESTAMP_HEADER = "X-SEKOIAIO-EVENT-TIMESTAMP"

REGION_PATH = (b"api", b"v1", b"intake-http")
"""The path of the API in some regions; served in addition to the root."""

_ENDPOINTS: dict[tuple[bytes, ...], formats.Parser] = {
    (): formats.structured,
    (b"plain",): formats.plain,
    (b"plain", b"batch"): formats.plain_batch,
    (b"jsons",): formats.jsons,
    (b"batch",): formats.structured_batch,
    (b"array",): formats.array,
}
_SINGLE = {formats.plain, formats.structured}


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An HTTP response as a value."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class IntakeResource(Resource):
    """Serves the API below the path where it is mounted, and below `REGION_PATH` there.

    ``keys``: the accepted intake keys, None for any. ``now``: returns the wall time of reception, aware.
    ``body_limit``: bytes; a `bridge.collector.site.IntakeSite` stops reading at its own limit.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self, sink: Sink, *, keys: Set[str] | Keys | None = None, body_limit: int = BODY_LIMIT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        super().__init__()
        self._sink = sink
        self._keys = keys if isinstance(keys, Keys) else Keys(keys)
        self._body_limit = body_limit
        self._now = now

    def render(self, request: Request) -> int:
        """Answers a request of any method; called by twisted.web."""
        send_when_ready(request, self.answer(request))
        return NOT_DONE_YET

    def answer(self, request: Request) -> Deferred[ApiAnswer]:
        """Passes the request's events to the sink and returns the response to send. Never fails, never writes."""
        return Deferred.fromCoroutine(self._answer(request))

    async def _answer(self, request: Request) -> ApiAnswer:
        try:
            return await self._process(request)
        except Refusal as refusal:
            return _error(refusal)
        except Exception:
            self._log.failure("cannot process a request")
            return _error(Refusal(500, "internal error: see the collector's log"))

    async def _process(self, request: Request) -> ApiAnswer:
        received = self._now()
        parser = _endpoint(request)
        status = _success_status(request)
        envelope = self._envelope(request)
        parsed = parser(read_body(request, self._body_limit), envelope)
        ids = EventIds(parsed.content.count)
        try:
            client = str(getattr(request.getClientAddress(), "host", ""))
            await maybeDeferred(self._sink.accept, Delivery(received, parsed.content, ids, client))
        except Refusal:
            raise
        except Exception:
            self._log.failure("the sink cannot store the events of a request")
            text = "the events could not be stored; send them again"
            raise Refusal(503, text, headers={"Retry-After": "5"}) from None
        if parser in _SINGLE:
            return _json(status, f'{{"received":true,"event_id":"{ids.as_list()[0]}"}}')
        errors = f',"errors":{json.dumps(parsed.errors)}' if parsed.errors else ""
        return _json(status, f'{{"received":true,"event_ids":{ids.as_json()}{errors}}}')

    def _envelope(self, request: Request) -> formats.Envelope:
        timestamp = request.getHeader(TIMESTAMP_HEADER)
        path = _query(request, b"path")
        return formats.Envelope(
            keys=self._keys,
            event_timestamp=None if timestamp is None else formats.checked_timestamp(timestamp, TIMESTAMP_HEADER),
            intake_key=self._keys.of_request(request),
            path=None if path is None else path.decode("utf-8", "replace"),
        )


def send_when_ready(request: Request, answer: Deferred[ApiAnswer]) -> Deferred[None]:
    """Writes the response when it is ready, unless the client has disconnected. Fires when that is done."""
    disconnected: list[Failure] = []
    request.notifyFinish().addErrback(disconnected.append)

    def write(ready: ApiAnswer) -> None:
        if not disconnected:
            write_head(request, ready)
            request.write(ready.body)
            request.finish()

    return answer.addCallback(write)


def write_head(request: Request, answer: ApiAnswer) -> None:
    """Sets status and headers; Content-Length only if the status allows a body."""
    request.setResponseCode(answer.status)
    for name, value in answer.headers:
        request.setHeader(name, value)
    if answer.status not in NO_BODY_CODES and not request.responseHeaders.hasHeader("Content-Length"):
        request.setHeader("Content-Length", str(len(answer.body)))


def _endpoint(request: Request) -> formats.Parser:
    path = tuple(request.postpath or ())
    if path[-1:] == (b"",):
        path = path[:-1]
    if path[: len(REGION_PATH)] == REGION_PATH:
        path = path[len(REGION_PATH) :]
    parser = _ENDPOINTS.get(path)
    if parser is None:
        known = ", ".join("/" + b"/".join(name).decode() for name in _ENDPOINTS)
        raise Refusal(404, f"unknown path; the paths are {known}")
    if request.method != b"POST":
        raise Refusal(405, "send events with POST", headers={"Allow": "POST"})
    return parser


def _success_status(request: Request) -> int:
    text = _query(request, b"status_code")
    if text is None:
        return 200
    if len(text) == 3 and text.isdigit() and text.startswith(b"2"):
        return int(text)
    raise Refusal(400, "status_code must be from 200 to 299")


def _query(request: Request, name: bytes) -> bytes | None:
    values: list[bytes] = (request.args or {}).get(name, [])
    return values[0] if values else None


def _json(status: int, text: str, headers: dict[str, str] | None = None) -> ApiAnswer:
    return ApiAnswer(status, (("Content-Type", "application/json"), *(headers or {}).items()), text.encode())


def _error(refusal: Refusal) -> ApiAnswer:
    content = {"error": refusal.text} | ({"errors": refusal.errors} if refusal.errors else {})
    return _json(refusal.status, json.dumps(content), refusal.headers)
