# mypy: disallow-untyped-calls=False
"""What may be *done* through the control socket: ``POST /control/NAME`` with a JSON object.

The answer is JSON, a line each: ``{"progress": {...}}`` as it goes, at least every two seconds, and last
``{"result": {...}}`` or ``{"error": "..."}``. Who hangs up wants no more: the work stops at the next point where it
may. The admin endpoint on TCP has none of this.
"""

import json
from collections.abc import Mapping

from twisted.internet import defer, task
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from bridge.operations.command import JSON, Command, WrongRequest

BEAT = 2.0
"Seconds without news after which the last is said again."
MOST_BYTES = 64 * 1024

log = Logger(namespace="admin")


class Control(Resource):
    """``/control``. ``told`` are errors whose text is for the operator; any other is a defect."""

    def __init__(
        self, commands: Mapping[str, Command], clock: IReactorTime, *, told: tuple[type[Exception], ...] = ()
    ) -> None:
        super().__init__()
        for name, command in commands.items():
            self.putChild(name.encode(), _Command(name, command, clock, (*told, WrongRequest)))


class _Command(Resource):
    isLeaf = True

    def __init__(self, name: str, command: Command, clock: IReactorTime, told: tuple[type[Exception], ...]) -> None:
        super().__init__()
        self._name = name
        self._command = command
        self._clock = clock
        self._told = told

    def render_POST(self, request: Request) -> bytes | int:
        """Do it."""
        request.setHeader("Content-Type", "application/x-ndjson")
        request.setHeader("Cache-Control", "no-store")
        body = request.content.read(MOST_BYTES + 1) if request.content else b""
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict) or len(body) > MOST_BYTES:
            request.setResponseCode(400)
            return b'{"error": "a JSON object is expected"}\n'
        log.info("control: {name}", name=self._name)
        defer.ensureDeferred(self._answer(request, given))
        return NOT_DONE_YET

    async def _answer(self, request: Request, given: JSON) -> None:
        answer = _Answer(request)
        beat = task.LoopingCall(answer.beat)
        beat.clock = self._clock
        beat.start(BEAT, now=False)
        try:
            answer.last({"result": await self._command(given, answer.progress)})
        except self._told as error:
            answer.last({"error": str(error)})
        except OSError as error:
            answer.last({"error": f"{error.filename or 'spool'}: {error.strerror}"})
        except Exception:
            log.failure("control: defect in {name}", Failure(), name=self._name)
            answer.last({"error": "a defect of the bridge: its log has more"})
        finally:
            beat.stop()


class _Answer:
    def __init__(self, request: Request) -> None:
        self._request = request
        self._here = True
        self._news: JSON = {}
        request.notifyFinish().addErrback(self._hung_up)

    def _hung_up(self, failure: Failure) -> None:
        self._here = False

    def progress(self, news: JSON) -> bool:
        self._news = news
        self.beat()
        return self._here

    def beat(self) -> None:
        self._write({"progress": self._news})

    def last(self, said: JSON) -> None:
        self._write(said)
        if self._here:
            self._request.finish()

    def _write(self, said: JSON) -> None:
        if self._here:
            self._request.write(json.dumps(said).encode() + b"\n")
