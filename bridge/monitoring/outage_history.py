"""Remembers the latest outages of the collector: when each began and ended. Alarms have no entry for an outage."""

from collections import deque
from collections.abc import Callable
from typing import Any

from bridge.monitoring.problems.deliveries import delivery_problems
from bridge.monitoring.problems.situation import Situation

EVERY = 5.0
"Seconds between two checks."
MAX_OUTAGES = 10
"Number of outages that are remembered, the latest."
MIN_SECONDS = 10.0
"Seconds that an outage must last to be remembered. A single failed request is none."
KIND = "collector"

JSON = dict[str, Any]


class OutageHistory:
    """Remembers outages. ``clock`` is monotonic. ``moment`` formats one of its times as RFC 3339."""

    def __init__(self, clock: Callable[[], float], moment: Callable[[float], str]) -> None:
        self._clock = clock
        self._moment = moment
        self._began: float | None = None
        self._text = ""
        self._affected = 0
        "Number of intakes that the outage affected at most."
        self._ended: deque[tuple[float, float, str]] = deque(maxlen=MAX_OUTAGES)

    def note(self, intakes: list[JSON]) -> None:
        """Records whether the collector can be reached. ``intakes`` are the rows of ``/api/status``."""
        now = self._clock()
        situation = Situation({"taken": self._moment(now), "intakes": intakes})
        problem = next((each for each in delivery_problems(situation) if each.kind == KIND), None)
        if problem is not None:
            # When intakes deliver again one after the other, the text would describe the last of them only.
            if len(problem.affected) >= self._affected:
                # The text names the time of the begin. How many events waited at the end is of no use.
                self._text, self._affected = problem.text.partition(";")[0], len(problem.affected)
            if self._began is None:
                self._began = now if problem.since is None else now - (situation.taken - problem.since).total_seconds()
        elif self._began is not None:
            if now - self._began >= MIN_SECONDS:
                self._ended.append((self._began, now, self._text))
            self._began, self._affected = None, 0

    def report(self) -> list[JSON]:
        """Returns the outages that have ended, for ``/api/status``."""
        return [
            {"kind": KIND, "about": "", "text": text, "remedy": "", "since": self._moment(began),
             "ended": self._moment(ended)}
            for began, ended, text in self._ended
        ]  # fmt: skip
