"""Writes conditions on facility and severity, held as a set of PRI values, as conditions of routes.

PRI is 8 * facility + severity (RFC 5424 section 6.2.1). rsyslog and syslog-ng read a message without a valid PRI as
``user.notice``. In the bridge, such a message meets no condition on facility or severity, so it meets their ``except``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.syslog.priorities import FACILITIES, SEVERITIES

EVERY = frozenset(range(8 * len(FACILITIES)))
WITHOUT_PRIORITY = 13
"The PRI value, user.notice, that the other servers give to a message without one."
KEYS = ("facility", "min_severity", "max_severity")

Tests = Mapping[str, tuple[str, ...]]
_Rows = Sequence[frozenset[int]]


@dataclass(frozen=True)
class PriorityRoute:
    """The conditions on the priority in one route: those that must hold, and those of its ``except``."""

    required: Tests = field(default_factory=dict)
    excluded: Tests = field(default_factory=dict)

    @property
    def takes_others(self) -> bool:
        """Returns True if messages without a priority meet it."""
        return not self.required


OTHERS = PriorityRoute({}, {"min_severity": ("debug",)})
"Takes messages without a priority, and no other: every priority is debug or worse."


def priority_routes(priorities: frozenset[int], *, may_exclude: bool) -> tuple[list[PriorityRoute], bool]:
    """Returns the routes for a set of PRI values, and True if they are exact for messages without a priority too.

    ``may_exclude`` is False if the ``except`` of the routes is in use.
    """
    if priorities == EVERY:
        return [PriorityRoute()], True
    rows = [frozenset(number & 7 for number in priorities if number >> 3 == f) for f in range(len(FACILITIES))]
    forms = [_positive(enumerate(rows))]
    if may_exclude:
        forms += [form for form in (_all_but_some(rows), _complement(rows)) if form]
        forms += [[*form, OTHERS] for form in forms]
    wanted = WITHOUT_PRIORITY in priorities
    best = min(forms, key=lambda form: (any(route.takes_others for route in form) is not wanted, _size(form)))
    return best, any(route.takes_others for route in best) is wanted


def priorities_of(tests: Tests) -> frozenset[int]:
    """Returns the PRI values that meet the conditions of a route on facility and severity."""
    names = tests.get("facility", FACILITIES)
    mildest = SEVERITIES.index(tests.get("min_severity", ("debug",))[0])
    worst = SEVERITIES.index(tests.get("max_severity", ("emerg",))[0])
    return frozenset(8 * FACILITIES.index(name) + number for name in names for number in range(worst, mildest + 1))


def _size(form: Sequence[PriorityRoute]) -> int:
    """Returns what a form costs its reader: each route as much as five names."""
    return sum(5 + sum(map(len, (*route.required.values(), *route.excluded.values()))) for route in form)


def _positive(rows: Iterable[tuple[int, frozenset[int]]]) -> list[PriorityRoute]:
    """Returns routes with the facilities of equal severities."""
    facilities: defaultdict[frozenset[int], list[int]] = defaultdict(list)
    for facility, severities in rows:
        facilities[severities].append(facility)
    return [
        PriorityRoute({**_named(numbers), **severities})
        for row, numbers in facilities.items()
        for severities in _ranges(row)
    ]


def _all_but_some(rows: _Rows) -> list[PriorityRoute]:
    """Returns routes for the severities that most facilities have, with the other facilities as exceptions."""
    usual = Counter(rows).most_common(1)[0][0]
    others = [(facility, row) for facility, row in enumerate(rows) if row != usual]
    excluded = _named([facility for facility, _ in others]) if others else {}
    return (
        [*(PriorityRoute(severities, excluded) for severities in _ranges(usual)), *_positive(others)] if usual else []
    )


def _complement(rows: _Rows) -> list[PriorityRoute]:
    """Returns a route with the missing PRI values as its exception, if they are one facility list and range."""
    missing = {facility: frozenset(range(8)) - row for facility, row in enumerate(rows) if len(row) < 8}
    severities = set(missing.values())
    if len(severities) != 1 or len(ranges := _ranges(severities.pop())) != 1:
        return []
    return [PriorityRoute({}, {**_named(list(missing)), **ranges[0]})]


def _named(facilities: Sequence[int]) -> Tests:
    return {} if len(facilities) == len(FACILITIES) else {"facility": tuple(FACILITIES[one] for one in facilities)}


def _ranges(severities: Iterable[int]) -> list[Tests]:
    """Returns ``min_severity`` and ``max_severity`` of each run of neighbouring severities."""
    runs: list[tuple[int, int]] = []
    for number in sorted(severities):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [
        {
            **({"min_severity": (SEVERITIES[last],)} if last < 7 else {}),
            **({"max_severity": (SEVERITIES[first],)} if first else {}),
        }
        for first, last in runs
    ]
