"""Shows the problems that ended before the start of this process, and writes those that the next process shows."""

from collections.abc import Collection
from typing import Any

from bridge.monitoring.problem_file import EndedProblems, ProblemFile
from bridge.monitoring.problem_history import ProblemHistory
from bridge.monitoring.problems import Problem
from bridge.monitoring.problems.losses import losses_until_now
from bridge.monitoring.problems.problem import moment
from bridge.monitoring.problems.situation import Situation

JSON = dict[str, Any]


class KeptProblems:
    """Adds the ended problems of an earlier process to those of this one."""

    def __init__(self, file: ProblemFile, history: ProblemHistory) -> None:
        self._file = file
        self._history = history
        self._earlier = file.load()

    def alarms(self, active: Collection[tuple[str, str]]) -> list[JSON]:
        """Returns the alarms that ended before the start and are not ``active`` again, by (kind, about)."""
        return [row for row in self._earlier.alarms if (row["kind"], row["about"]) not in active]

    def problems(self) -> list[JSON]:
        """Returns the other problems that ended before the start."""
        return self._earlier.problems

    def ended_for(self, *names: str) -> list[JSON]:
        """Returns the latest problem of each kind that has ended for a source or an intake, the latest first."""
        found = self._history.ended_for(*names)
        kinds = {row["kind"] for row in found}
        earlier = [row for name, row in self._earlier.names if name in names and row["kind"] not in kinds]
        return [*found, *earlier]

    def note(self, facts: JSON) -> None:
        """Keeps the ended problems and the losses of a status."""
        situation = Situation(facts)
        self._earlier = self._earlier.latest(situation.taken)
        own = self._history.released()
        known = {(name, row["kind"]) for name, row in own}
        names = [*own, *(pair for pair in self._earlier.names if (pair[0], pair[1]["kind"]) not in known)]
        problems = [*facts["ended_problems"], *map(_row, losses_until_now(situation))]
        self._file.save(EndedProblems(facts["ended_alarms"], problems, names).latest(situation.taken))


def _row(problem: Problem) -> JSON:
    return {
        "kind": problem.kind, "about": problem.about, "text": problem.text, "remedy": problem.remedy,
        "state": problem.severity, "since": moment(problem.since), "ended": moment(problem.ended),
    }  # fmt: skip
