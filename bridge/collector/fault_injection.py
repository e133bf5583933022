# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)
"""A collector that misbehaves on request: what networks, proxies and overloaded services do to a sender.

faults = iter([Fault(status=503, headers=(("Retry-After", "2"),)), Fault(accept=True, reset=True)])
resource = FaultyResource(IntakeResource(sink), lambda request: next(faults, None), reactor)
"""

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

from bridge.collector.api import (
    ApiAnswer,
    IntakeResource,
    send_when_ready,
    write_head,
)

_FLUSH_SECONDS = 0.1

NEVER = math.inf
"""A delay: the request is not answered at all."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """What becomes of one request instead of the plain answer; the fields combine.

    The answer is the collector's own with ``accept``, else an empty one; ``status``, ``headers`` and ``body`` replace
    theirs in it. A wrong length is ``headers=(("Content-Length", "7"),)``.
    """

    accept: bool = False
    """The events reach the sink first (with ``reset``: the sender cannot know that they were taken)."""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    delay: float = 0.0
    """Seconds from reception (or acceptance) to what follows; `NEVER`."""
    reset: bool = False
    """The connection is reset (RST) instead of an answer, or in its middle with ``cut``."""
    cut: int | None = None
    """Only so many bytes of the answer's body are sent, then the connection ends."""
    close: bool = False
    """The connection is closed after the answer without having said so: the next request meets a dead one."""


HTML = InjectedFault(
    status=502, headers=(("Content-Type", "text/html"),), body=b"<html><h1>502 Bad Gateway</h1></html>"
)
"""What a proxy in the middle answers."""

Script = Callable[[Request], InjectedFault | None]
"""Asked once a request, after its body has arrived; None: answer as usual."""


class FaultyResource(Resource):
    """Wraps the intake: each request meets the fault that the script chooses."""

    isLeaf = True

    def __init__(self, intake: IntakeResource, script: Script, clock: IReactorTime) -> None:
        super().__init__()
        self._intake = intake
        self._script = script
        self._clock = clock

    def render(self, request: Request) -> int:
        """Answer as the script says (twisted.web's entry)."""
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
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def break_off(ready: ApiAnswer) -> None:
            if gone:
                return
            if fault.cut is not None:
                write_head(request, ready)
                request.write(ready.body[: fault.cut])
            if not fault.reset:
                transport.loseConnection()
            elif fault.cut is None:
                transport.abortConnection()
            else:
                # An abort throws away what is not sent yet.
                self._clock.callLater(_FLUSH_SECONDS, transport.abortConnection)

        answer.addCallback(break_off)


def _changed(answer: ApiAnswer, fault: InjectedFault) -> ApiAnswer:
    return ApiAnswer(
        answer.status if fault.status is None else fault.status,
        fault.headers or answer.headers,
        answer.body if fault.body is None else fault.body,
    )
