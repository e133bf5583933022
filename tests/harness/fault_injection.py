"""Injects faults into the responses of the collector, as networks, proxies and overloaded services cause them.

faults = iter([InjectedFault(status=503, headers=(("Retry-After", "2"),)), InjectedFault(accept=True, reset=True)])
resource = FaultyResource(IntakeResource(sink), lambda request: next(faults, None), reactor)
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from bridge.collector.api import ApiAnswer, IntakeResource, send_when_ready, write_head

_FLUSH_SECONDS = 0.1

NEVER = math.inf
"""Value of ``InjectedFault.delay``: the request is never answered."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault in the handling of one request. The fields can be combined.

    With ``accept`` the base is the collector's normal response, otherwise an empty one. ``status``, ``headers`` and
    ``body`` replace those of the base. A wrong length is ``headers=(("Content-Length", "7"),)``.
    """

    accept: bool = False
    """The sink receives the events first. With ``reset`` the sender cannot know that they were accepted."""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    delay: float = 0.0
    """Seconds from reception (or acceptance) to the response, or `NEVER`."""
    reset: bool = False
    """The connection is reset (RST) instead of a response, or within the response with ``cut``."""
    cut: int | None = None
    """Only this number of bytes of the response body is sent, then the connection ends."""
    close: bool = False
    """The connection is closed after the response without ``Connection: close``. The next request finds it closed."""


HTML = InjectedFault(
    status=502, headers=(("Content-Type", "text/html"),), body=b"<html><h1>502 Bad Gateway</h1></html>"
)
"""The response of a proxy between sender and collector."""

Script = Callable[[Request], InjectedFault | None]
"""Returns the fault for a request, once per request, after its body has arrived; None: no fault."""


class FaultyResource(Resource):
    """Wraps the intake API and applies the fault that the script returns for each request."""

    isLeaf = True

    def __init__(self, intake: IntakeResource, script: Script, clock: IReactorTime) -> None:
        super().__init__()
        self._intake = intake
        self._script = script
        self._clock = clock

    def render(self, request: Request) -> int:
        """Answers as the script says; called by twisted.web."""
        fault = self._script(request)
        if fault is None:
            return self._intake.render(request)
        if fault.accept:
            answer = self._intake.answer(request)
        else:
            answer = succeed(ApiAnswer(200, (), b""))
        answer.addCallback(_changed, fault)
        if fault.delay == NEVER:
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET
        if fault.delay:
            answer.addCallback(lambda ready: deferLater(self._clock, fault.delay, lambda: ready))
        self._send(request, answer, fault)
        return NOT_DONE_YET

    def _send(self, request: Request, answer: Deferred[ApiAnswer], fault: InjectedFault) -> None:
        transport = cast(ITCPTransport, request.transport)
        if not fault.reset and fault.cut is None:
            sent = send_when_ready(request, answer)
            if fault.close:
                sent.addCallback(lambda _: transport.loseConnection())
            return
        disconnected: list[Failure] = []
        request.notifyFinish().addErrback(disconnected.append)

        def break_off(ready: ApiAnswer) -> None:
            if disconnected:
                return
            if fault.cut is not None:
                write_head(request, ready)
                request.write(ready.body[: fault.cut])
            if not fault.reset:
                transport.loseConnection()
            elif fault.cut is None:
                transport.abortConnection()
            else:
                # An abort discards unsent data, so wait until the data is sent.
                self._clock.callLater(_FLUSH_SECONDS, transport.abortConnection)

        answer.addCallback(break_off)


def _changed(answer: ApiAnswer, fault: InjectedFault) -> ApiAnswer:
    return ApiAnswer(
        answer.status if fault.status is None else fault.status,
        fault.headers or answer.headers,
        answer.body if fault.body is None else fault.body,
    )
