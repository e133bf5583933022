"""Runs commands of the control socket: ``POST /control/NAME`` with a JSON object.

The response has one JSON object per line: ``{"progress": {...}}`` while the command runs, at least every two seconds,
and at the end ``{"result": {...}}`` or ``{"error": "..."}``. If the client closes the connection, the command stops at
the next point where it can. The admin endpoint on TCP has no commands.
"""
# mypy: disallow-untyped-calls=False

import json
from collections.abc import Mapping

from twisted.internet import defer, task
from twisted.internet.interfaces import IReactorTime
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from bridge.operations.actions import ActionLog
from bridge.operations.command import JSON, Command
from bridge.operations.operator import HEADER, Operator, connected_operator
from bridge.util.errors import BridgeError

PROGRESS_INTERVAL = 2.0
"Seconds after which the last progress is sent again."
MAX_BODY_BYTES = 64 * 1024

log = Logger(namespace="admin")


class Control(Resource):
    """Serves ``/control`` with one child per command.

    The text of a BridgeError or OSError is sent to the operator. Any other exception is a defect.
    """

    def __init__(self, commands: Mapping[str, Command], clock: IReactorTime, actions: ActionLog) -> None:
        super().__init__()
        for name, command in commands.items():
            self.putChild(name.encode(), _Command(name, command, clock, actions))


class _Command(Resource):
    isLeaf = True

    def __init__(self, name: str, command: Command, clock: IReactorTime, actions: ActionLog) -> None:
        super().__init__()
        self._name = name
        self._command = command
        self._clock = clock
        self._actions = actions

    def render_POST(self, request: Request) -> bytes | int:
        """Starts the command; its response is written as it runs."""
        request.setHeader("Content-Type", "application/x-ndjson")
        request.setHeader("Cache-Control", "no-store")
        body = request.content.read(MAX_BODY_BYTES + 1) if request.content else b""
        try:
            given = json.loads(body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict) or len(body) > MAX_BODY_BYTES:
            request.setResponseCode(400)
            return b'{"error": "the body must be a JSON object"}\n'
        log.info("control: {name}", name=self._name)
        defer.ensureDeferred(self._answer(request, given, _operator(request)))
        return NOT_DONE_YET

    async def _answer(self, request: Request, given: JSON, operator: Operator) -> None:
        answer = _Answer(request)
        repeat = task.LoopingCall(answer.repeat_progress)
        repeat.clock = self._clock
        repeat.start(PROGRESS_INTERVAL, now=False)
        try:
            result = await self._actions.run(self._name, self._command, given, answer.progress, operator)
            answer.finish({"result": result})
        except BridgeError as error:
            answer.finish({"error": str(error)})
        except OSError as error:
            answer.finish({"error": f"{error.filename or 'spool'}: {error.strerror}"})
        except Exception:
            log.failure("control: defect in {name}", Failure(), name=self._name)
            answer.finish({"error": "a defect of the bridge: see its log"})
        finally:
            repeat.stop()


def _operator(request: Request) -> Operator:
    transport = request.channel.transport
    connection = transport.getHandle() if isinstance(transport, Connection) else None
    return connected_operator(connection, request.getHeader(HEADER))


class _Answer:
    def __init__(self, request: Request) -> None:
        self._request = request
        self._connected = True
        self._last_progress: JSON = {}
        request.notifyFinish().addErrback(self._disconnected)

    def _disconnected(self, failure: Failure) -> None:
        self._connected = False

    def progress(self, progress: JSON) -> bool:
        self._last_progress = progress
        self.repeat_progress()
        return self._connected

    def repeat_progress(self) -> None:
        self._write({"progress": self._last_progress})

    def finish(self, result: JSON) -> None:
        self._write(result)
        if self._connected:
            self._request.finish()

    def _write(self, line: JSON) -> None:
        if self._connected:
            self._request.write(json.dumps(line).encode() + b"\n")
