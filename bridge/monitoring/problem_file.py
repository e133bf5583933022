"""Keeps the problems that ended in the last 24 hours over restarts, in the small file ``SPOOL/.problems.json``.

The file is one JSON object with three lists: ``alarms`` and ``problems`` have rows as ``ended_alarms`` and
``ended_problems`` in ``/api/status``, ``names`` has rows [source or intake, row of a problem that has ended for it].
Losses are among the problems, also one that has not ended when the file is written: no later process knows of it.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from twisted.logger import Logger

from bridge.monitoring.problems.problem import most_harmful, rank_of, read_moment
from bridge.util.files import read_regular, write_replacing
from bridge.util.jobs import Work
from bridge.util.os_errors import described

FILE = ".problems.json"
LARGEST = 8 << 20
"Bytes of the file, at most. A larger one is not read. The longest texts of all rows, with escapes, take less."
KEPT_SECONDS = 86_400.0
"Seconds after its end for which a problem is kept."
MAX_ROWS, MAX_NAMES = 50, 200
"Rows of ``alarms`` and of ``problems``, and of ``names``: the most harmful, of equal ones the latest."
MAX_TEXT = 500
"Characters of each text."
EVERY = 30.0
"Shortest time between two writes, in seconds."

log = Logger(namespace="app")

JSON = dict[str, object]
T = TypeVar("T", JSON, tuple[str, JSON])

_KEYS = ("kind", "about", "text", "remedy", "state", "since", "ended")


class EndedProblems(NamedTuple):
    """Rows of problems that have ended."""

    alarms: list[JSON]
    problems: list[JSON]
    names: list[tuple[str, JSON]]
    "(source or intake, row)."

    def latest(self, now: datetime) -> "EndedProblems":
        """Returns the rows that ended within ``KEPT_SECONDS``, the latest first, as many as the file may have.

        The most harmful ones are kept, so that many harmless ones do not push them out."""
        return EndedProblems(
            _latest(self.alarms, now, MAX_ROWS, lambda row: row),
            _latest(self.problems, now, MAX_ROWS, lambda row: row),
            _latest(self.names, now, MAX_NAMES, lambda pair: pair[1]),
        )  # fmt: skip


NONE = EndedProblems([], [], [])


class ProblemFile:
    """Reads and writes the file. ``work`` runs a job in the spool thread, ``clock`` is monotonic."""

    def __init__(self, folder: Path, work: Work, clock: Callable[[], float]) -> None:
        self._file = folder / FILE
        self._work = work
        self._clock = clock
        self._written_at: float | None = None
        self._written = _encoded(NONE)
        "The contents of the last write; empty if it failed."
        self._failed = False
        self._latest = NONE

    def load(self) -> EndedProblems:
        """Returns what an earlier process has kept. A file that cannot be read is replaced by the next one."""
        try:
            content = json.loads(read_regular(self._file, LARGEST, links=False))
            return EndedProblems(
                [_row(row) for row in content["alarms"]], [_row(row) for row in content["problems"]],
                [(str(name), _row(row)) for name, row in content["names"]],
            )  # fmt: skip
        except FileNotFoundError:
            return NONE
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = described(error) if isinstance(error, OSError) else "it is damaged"
            log.warn("problems: cannot read {file}, earlier problems are not shown: {why}", file=self._file, why=why)
            return NONE

    def save(self, ended: EndedProblems) -> None:
        """Writes the rows in another thread, if they have changed and the last write is long enough ago."""
        self._latest = ended
        if self._written_at is None or self._clock() - self._written_at >= EVERY:
            self.finish()

    def finish(self) -> None:
        """Writes the rows of the last ``save`` in another thread, if they have changed since the last write."""
        data = _encoded(self._latest)
        if data != self._written:
            self._written_at, self._written = self._clock(), data
            self._work(lambda: self._write(data), self._note)

    def _write(self, data: bytes) -> OSError | None:
        try:
            write_replacing(self._file, data)
        except OSError as error:
            return error
        return None

    def _note(self, error: OSError | None) -> None:
        if error is not None:
            self._written = b""
            if not self._failed:
                log.warn(
                    "problems: cannot write {file}: {why}; it is tried again", file=self._file, why=described(error)
                )
        self._failed = error is not None


def _latest(rows: Iterable[T], now: datetime, most: int, row_of: Callable[[T], JSON]) -> list[T]:
    found = []
    for row in rows:
        ended = read_moment(row_of(row)["ended"])
        # The clock may have been set back.
        if ended is not None and ended.tzinfo is not None and abs((now - ended).total_seconds()) < KEPT_SECONDS:
            found.append((ended, row))
    return most_harmful(found, most, lambda row: _rank(row_of(row)))


def _rank(row: JSON) -> int:
    return rank_of(str(row["kind"]), str(row.get("state") or ""))


def _encoded(ended: EndedProblems) -> bytes:
    content = {
        "alarms": [_cut(row) for row in ended.alarms], "problems": [_cut(row) for row in ended.problems],
        "names": [(name[:MAX_TEXT], _cut(row)) for name, row in ended.names],
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _cut(row: JSON) -> JSON:
    return {key: None if (value := row.get(key)) is None else str(value)[:MAX_TEXT] for key in _KEYS}


def _row(fields: JSON) -> JSON:
    """Returns a row of the file. Raises ValueError, KeyError or TypeError if it is damaged."""
    row = {key: fields[key] for key in _KEYS}
    if not all(value is None or isinstance(value, str) for value in row.values()):
        raise TypeError(row)
    if not row["kind"] or row["text"] is None or read_moment(row["ended"]) is None or len(fields) != len(_KEYS):
        raise ValueError(row)
    return row
