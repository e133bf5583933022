"""Records operators' commands in the journal: who ran which command, when, with which arguments and what result.

Each command writes two lines, one before it changes anything and one at its end. So a command that a kill interrupts
is recorded, too. Commands that change nothing are not recorded.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from bridge.operations.command import JSON, Command, Progress
from bridge.operations.operator import Operator
from bridge.util.errors import BridgeError

READ_ONLY = frozenset({"replay-count"})
"Commands that change nothing."

ARGUMENTS = (
    "intake", "to", "source", "containing", "reasons", "unreadable", "from_ms", "to_ms", "batches", "timeout_seconds",
    "confirm_seconds", "confirmed",
)  # fmt: skip
"The arguments that are recorded. Others may be secrets, such as the key that ``key set`` sends."

MAX_TEXT = 300
"Characters of a text that are recorded, at most."
_LONG_WORD = re.compile("[A-Za-z0-9]{16,}")
"What may be an intake key: an operator purges the events that a key was written to by mistake."
_MAX_ITEMS = 20
"Items of a list or an object that are recorded, at most."


class ActionLog:
    """Records the commands of one bridge or of one offline session.

    ``write`` queues a line for the journal at once, and returns what to await for until it is written. It must not
    fail, and not wait for long. ``wall`` is in seconds since the epoch.
    """

    def __init__(self, write: Callable[[str, JSON], Awaitable[object]], wall: Callable[[], float]) -> None:
        self._write = write
        self._wall = wall
        self._last_id = 0

    async def run(self, name: str, command: Command, given: JSON, progress: Progress, operator: Operator) -> JSON:
        """Runs a command and returns its result, with its record if it may change something."""
        if name in READ_ONLY:
            return await command(given, progress)
        self._last_id = max(int(self._wall() * 1_000_000), self._last_id + 1)
        about: JSON = {"id": self._last_id, "arguments": arguments(given), **operator.fields()}
        # Jobs of the command come behind this line. Awaiting it could keep a reload from ending while the disk hangs.
        self._write(name, {**about, "state": "started"})
        state, result = "failed", "a defect of the bridge: see its log"
        try:
            done = await command(given, progress)
            state, result = "interrupted" if done.get("interrupted") else "done", _summary(done)
            return done
        except BridgeError as error:
            state, result = "refused", str(error)
            raise
        except OSError as error:
            result = f"{error.filename or 'spool'}: {error.strerror}"
            raise
        finally:
            await self._write(name, {**about, "state": state, "result": result[:MAX_TEXT]})


def arguments(given: Mapping[str, object]) -> JSON:
    """Returns the arguments that may be recorded and were given, shortened if they are long."""
    shown = ((name, given.get(name)) for name in ARGUMENTS)
    found = {name: _short(value) for name, value in shown if value is not None and value is not False}
    if isinstance(text := given.get("containing"), str):
        found["containing"] = _short(_LONG_WORD.sub("***", text))
    return found


def _short(value: object) -> object:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [_short(each) for each in value[:_MAX_ITEMS]]
    return value if isinstance(value, bool | int | float) else None


def _summary(result: JSON) -> str:
    """Returns the result of a command as JSON, without what the state says."""
    shown: JSON = {}
    for name, value in result.items():
        if isinstance(value, dict):
            shown[name] = dict(islice(value.items(), _MAX_ITEMS))
        elif name != "interrupted":
            shown[name] = value
    return str(shown["text"]) if "text" in shown else json.dumps(shown)
