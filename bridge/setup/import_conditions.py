"""Converts conditions of other syslog servers into those of routes, or says why a condition cannot be converted.

A condition is a tree of tests with and, or, not. A route ANDs its conditions and ORs the members of each, and its
``except`` ANDs too. So the tree is brought into alternatives, and each alternative becomes a route.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from bridge.setup.import_expressions import NotConvertible, as_expressions
from bridge.setup.import_priorities import EVERY, OTHERS, Tests, priority_routes

_MOST_ALTERNATIVES = 64
_TEXT = ("contains", "starts_with", "matches")
"The conditions of ``message:``."
_WORDS = ("min_severity", "max_severity")
_WITHOUT_PRIORITY = (
    "messages without a priority meet no condition on facility or severity; the original reads them as user.notice"
)


@dataclass(frozen=True)
class FieldTest:
    """A condition of a route: its key and the members of which one must match."""

    key: str
    values: tuple[str, ...]
    difference: str = ""
    "What differs from the imported server, for the operator; blank if nothing does."


@dataclass(frozen=True)
class PriorityTest:
    """A condition on facility and severity: the PRI values that meet it."""

    priorities: frozenset[int]


@dataclass(frozen=True)
class Both:
    """All of some conditions; without members it always holds."""

    members: tuple["Condition", ...] = ()


@dataclass(frozen=True)
class Either:
    """At least one of some conditions; without members it never holds."""

    members: tuple["Condition", ...]


@dataclass(frozen=True)
class Negated:
    """The opposite of a condition."""

    member: "Condition"


Condition = FieldTest | PriorityTest | Both | Either | Negated
ALWAYS = Both()


@dataclass(frozen=True)
class Alternative:
    """The conditions of one route: those that must hold, and those of its ``except``, of which one must not hold."""

    required: Tests = field(default_factory=dict)
    excluded: Tests = field(default_factory=dict)
    comment: str = ""
    differences: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.required or self.excluded)

    def as_yaml(self) -> Iterator[tuple[str, str]]:
        """Yields the keys of the route and their values as YAML."""
        yield from _keys(self.required)
        if self.excluded:
            yield "except", "{" + ", ".join(f"{key}: {value}" for key, value in _keys(self.excluded)) + "}"


def _keys(tests: Tests) -> Iterator[tuple[str, str]]:
    for key, values in tests.items():
        if key not in _TEXT:
            yield key, values[0] if key in _WORDS else _list(values)
    if message := [f"{key}: {_list(tests[key])}" for key in _TEXT if key in tests]:
        yield "message", "{" + ", ".join(message) + "}"


def _list(values: Sequence[str]) -> str:
    # YAML refuses control characters, so they are escaped.
    readable = all(value.isprintable() for value in values)
    return json.dumps(list(values), ensure_ascii=not readable)


def both(one: Condition, other: Condition) -> Condition:
    """Returns the condition that two conditions hold."""
    if one == ALWAYS:
        return other
    return one if other == ALWAYS else Both((one, other))


# --- alternatives -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Branch:
    """An alternative in the making, whose priorities are a set."""

    required: Tests = field(default_factory=dict)
    excluded: Tests = field(default_factory=dict)
    priorities: frozenset[int] = EVERY
    differences: frozenset[str] = frozenset()


def alternatives(condition: Condition) -> list[Alternative]:
    """Returns the alternatives of a condition; none if no message meets it. Raises NotConvertible."""
    try:
        branches = _Expansion(grouped=True).branches(condition, negated=False)
    except NotConvertible:
        branches = _Expansion(grouped=False).branches(condition, negated=False)
    found = [alternative for branch in _merged(branches) for alternative in _written(branch)]
    _limit(found)
    return found


def _written(branch: _Branch) -> Iterator[Alternative]:
    routes, exact = priority_routes(branch.priorities, may_exclude=not branch.excluded)
    differences = branch.differences if exact else branch.differences | {_WITHOUT_PRIORITY}
    for route in routes:
        comment = "messages without a priority" if route is OTHERS else ""
        required = {**route.required, **branch.required}
        yield Alternative(required, branch.excluded or route.excluded, comment, differences)


class _Expansion:
    """Brings conditions into branches. A condition that occurs several times is expanded once.

    ``grouped``: tries to exclude all members of a negated Both with one ``except``.
    """

    def __init__(self, *, grouped: bool) -> None:
        self._grouped = grouped
        self._known: dict[tuple[int, bool], list[_Branch]] = {}

    def branches(self, condition: Condition, *, negated: bool) -> list[_Branch]:
        """Returns the branches of a condition or of its opposite. Raises NotConvertible."""
        if isinstance(condition, Negated):
            return self.branches(condition.member, negated=not negated)
        if isinstance(condition, FieldTest):
            tests = {condition.key: condition.values}
            branch = _Branch(excluded=tests) if negated else _Branch(tests)
            return [replace(branch, differences=frozenset(filter(None, [condition.difference])))]
        if isinstance(condition, PriorityTest):
            priorities = EVERY - condition.priorities if negated else condition.priorities
            return [_Branch(priorities=priorities)] if priorities else []
        if negated and self._grouped and isinstance(condition, Both) and (excluded := _excluded_together(condition)):
            return [excluded]
        key = (id(condition), negated)
        if key not in self._known:
            self._known[key] = self._expanded(condition, negated=negated)
        return self._known[key]

    def _expanded(self, condition: Both | Either, *, negated: bool) -> list[_Branch]:
        members = [self.branches(member, negated=negated) for member in condition.members]
        if isinstance(condition, Either) is not negated:
            found = _merged([branch for member in members for branch in member])
        else:
            found = [_Branch()]
            for member in members:
                joined = (_joined(one, other) for one in found for other in member)
                found = _merged([branch for branch in joined if branch.priorities])
                _limit(found)
        _limit(found)
        return found


def _excluded_together(condition: Both) -> _Branch | None:
    tests = [member for member in condition.members if isinstance(member, FieldTest)]
    if len(tests) != len(condition.members) or len({test.key for test in tests}) != len(tests) or len(tests) < 2:
        return None
    differences = frozenset(test.difference for test in tests if test.difference)
    return _Branch(excluded={test.key: test.values for test in tests}, differences=differences)


def _limit(found: Sequence[object]) -> None:
    if len(found) > _MOST_ALTERNATIVES:
        raise NotConvertible("the condition needs too many routes; write them by hand")


def _joined(one: _Branch, other: _Branch) -> _Branch:
    return _Branch(
        reduce(_and, other.required.items(), one.required), _or(one.excluded, other.excluded),
        one.priorities & other.priorities, one.differences | other.differences,
    )  # fmt: skip


def _and(required: Tests, test: tuple[str, tuple[str, ...]]) -> Tests:
    """Adds a test to those that must hold. A second test of the text takes the place of another kind of test."""
    key, values = test
    if required.get(key, values) != values:
        if key not in _TEXT:
            raise NotConvertible(f"a route tests {key} once; write one pattern or list")
        if "matches" in required:
            raise NotConvertible("a route has one list of expressions for the text; write one expression")
        key, values = "matches", as_expressions(key, values)
    return {**required, key: values}


def _or(one: Tests, other: Tests) -> Tests:
    """Returns the tests of an ``except`` for what one or the other excludes."""
    if not one or not other or one == other:
        return one or other
    (first, *more), (second, *others) = one.items(), other.items()
    if more or others or (first[0] != second[0] and not {first[0], second[0]} <= set(_TEXT)):
        raise NotConvertible("the except: of a route ANDs its conditions, so it cannot exclude each of several")
    key = first[0] if first[0] == second[0] else "matches"
    if key != first[0] or key != second[0]:
        first, second = (key, as_expressions(*first)), (key, as_expressions(*second))
    return {key: tuple(dict.fromkeys((*first[1], *second[1])))}


def _merged(found: Sequence[_Branch]) -> list[_Branch]:
    """Joins neighbouring branches that differ in the members of one condition, or in the priorities, only."""
    merged: list[_Branch] = []
    for one in found:
        last = merged[-1] if merged else None
        if last is not None and last.excluded == one.excluded and set(last.required) == set(one.required):
            differing = [key for key in one.required if one.required[key] != last.required[key]]
            differences = last.differences | one.differences
            if not differing:
                merged[-1] = replace(last, priorities=last.priorities | one.priorities, differences=differences)
                continue
            if len(differing) == 1 and last.priorities == one.priorities:
                (key,) = differing
                values = tuple(dict.fromkeys((*last.required[key], *one.required[key])))
                merged[-1] = replace(last, required={**last.required, key: values}, differences=differences)
                continue
        merged.append(one)
    return merged
