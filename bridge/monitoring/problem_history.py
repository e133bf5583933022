"""Remembers when each problem began and ended, for the problems that are computed from a status.

Alarms and losses have times of their own. The other problems exist only as long as the status shows them, so their
begin and end are observed here every few seconds.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bridge.monitoring.alarm_kinds import NOTICE
from bridge.monitoring.problems import Problem
from bridge.monitoring.problems.problem import read_moment

EVERY = 5.0
"Seconds between two observations."
MIN_SECONDS = 10.0
"Seconds that a problem must last to be remembered. Shorter ones, such as a single failed request, are not worth it."
MERGED_SECONDS = 60.0
"Seconds after its end within which a problem that begins again is the same one, unless it knows its own begin."
MAX_ENDED = 10
"Ended problems of one kind that are remembered, the latest."
MAX_AFFECTED = 1000
"Ended problems of single sources and intakes that are remembered, the latest."
OWN_ALARMS = frozenset(("loss", "parked", "full", "budget"))
"Kinds of computed problems whose end an alarm or the list of losses reports already."

JSON = dict[str, object]
Key = tuple[str, str]


@dataclass(slots=True)
class _Observed:
    """A problem that lasts. Times are monotonic."""

    problem: Problem
    "The problem when most names were affected."
    began: float
    serious: bool = False
    "True if it was more than a notice at some time."
    affected: dict[str, float] = field(default_factory=dict)
    "The names that are affected now, and since when."

    def update(self, problem: Problem, now: float) -> list[tuple[str, float]]:
        """Takes the problem as it is now. Returns the names that are no longer affected, and since when they were."""
        # When intakes deliver again one after the other, the text would describe the last of them only. Of two texts
        # for the same number of names, the longer one says more: it has the error, or a larger number.
        if _size(problem) >= _size(self.problem):
            self.problem = problem
        self.serious = self.serious or problem.severity != NOTICE
        known = bool(self.affected)
        left = [(name, self.affected.pop(name)) for name in self.affected.keys() - set(problem.affected)]
        for name in problem.affected:
            self.affected.setdefault(name, now if known else self.began)
        return left


@dataclass(frozen=True, slots=True)
class _Ended:
    """A problem that has ended, or has ended for one name. Times are monotonic."""

    kind: str
    about: str
    "As in ``Problem``; empty if the problem has ended for one name."
    text: str
    began: float
    ended: float


class ProblemHistory:
    """Observes the problems of one gateway. ``clock`` is monotonic; ``rfc3339`` formats one of its times."""

    def __init__(self, clock: Callable[[], float], rfc3339: Callable[[float], str]) -> None:
        self._clock = clock
        self._rfc3339 = rfc3339
        self._current: dict[Key, _Observed] = {}
        self._ended: dict[str, deque[_Ended]] = {}
        self._released: dict[Key, _Ended] = {}
        "(kind, name) -> the latest problem that has ended for the name."

    def note(self, problems: Iterable[Problem]) -> None:
        """Records which problems there are now."""
        now = self._clock()
        found: dict[Key, Problem] = {}
        for problem in problems:
            if problem.ended is None and problem.kind not in OWN_ALARMS:
                found.setdefault(problem.key, problem)
        for key in self._current.keys() - found.keys():
            self._end(self._current.pop(key), now)
        for key, problem in found.items():
            observed = self._current.get(key)
            if observed is None:
                observed = self._current[key] = _Observed(problem, self._begin(problem, now))
            self._release(observed, observed.update(problem, now), now)

    def start_of(self, problem: Problem) -> str | None:
        """Returns when a problem began that has no time of its own, as RFC 3339; None if that is not known."""
        observed = self._current.get(problem.key)
        return None if observed is None else self._rfc3339(observed.began)

    def ended(self) -> list[JSON]:
        """Returns the problems that have ended, for ``/api/status``."""
        return [self._row(each) for of_kind in self._ended.values() for each in of_kind]

    def ended_for(self, *names: str) -> list[JSON]:
        """Returns the latest problem of each kind that has ended for a source or an intake, the latest first."""
        found = [each for (_, name), each in self._released.items() if name in names]
        return [self._row(each) for each in sorted(found, key=lambda each: each.ended, reverse=True)]

    def released(self) -> list[tuple[str, JSON]]:
        """Returns (source or intake, problem) for all problems that ``ended_for`` returns."""
        return [(name, self._row(each)) for (_, name), each in self._released.items()]

    def _row(self, each: _Ended) -> JSON:
        return {
            "kind": each.kind, "about": each.about, "text": each.text, "remedy": "",
            "since": self._rfc3339(each.began), "ended": self._rfc3339(each.ended),
        }  # fmt: skip

    def _begin(self, problem: Problem, now: float) -> float:
        """Returns the time at which a new problem began. A problem that has just ended is the same one."""
        if problem.since is not None and (at := read_moment(self._rfc3339(now))) is not None:
            return now - (at - problem.since).total_seconds()
        of_kind = self._ended.get(problem.kind, deque())
        for each in reversed(of_kind):
            if each.about == problem.about and now - each.ended < MERGED_SECONDS:
                of_kind.remove(each)
                return each.began
        return now

    def _end(self, observed: _Observed, now: float) -> None:
        self._release(observed, observed.affected.items(), now)
        if observed.serious and now - observed.began >= MIN_SECONDS:
            kind, about = observed.problem.key
            of_kind = self._ended.setdefault(kind, deque(maxlen=MAX_ENDED))
            of_kind.append(_Ended(kind, about, _past(observed.problem), observed.began, now))

    def _release(self, observed: _Observed, names: Iterable[tuple[str, float]], now: float) -> None:
        """Records that a problem has ended for some names, which were affected since some time."""
        kind = observed.problem.kind
        for name, began in names:
            if observed.serious and now - began >= MIN_SECONDS:
                self._released.pop((kind, name), None)
                self._released[kind, name] = _Ended(kind, "", _past(observed.problem), began, now)
        while len(self._released) > MAX_AFFECTED:
            del self._released[next(iter(self._released))]


def _size(problem: Problem) -> tuple[int, int]:
    return len(problem.affected), len(_past(problem))


def _past(problem: Problem) -> str:
    return problem.past or problem.text
