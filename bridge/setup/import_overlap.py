"""Finds rules that may take the same message, so that the original may send it to several destinations.

With thousands of rules, not every pair is compared: rules that test a name or address for equality are indexed by it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from bridge.setup.import_conditions import Alternative
from bridge.setup.import_priorities import KEYS, Tests, priorities_of

_INDEXED = ("source", "hostname", "app_name", "procid", "msgid")


class _Reach(NamedTuple):
    """The messages that an alternative may take."""

    alternative: Alternative
    priorities: frozenset[int] | None
    "None if it takes messages without a priority only."
    names: dict[str, frozenset[str]]
    "The names or addresses by key, of keys that are compared for equality."
    networks: Sequence[IPv4Network | IPv6Network]


class Overlaps:
    """Compares rules; ``rules`` has the alternatives of each, none for a rule that is not imported."""

    def __init__(self, rules: Sequence[Sequence[Alternative]]) -> None:
        self._rules = [[_reach(one) for one in rule] for rule in rules]
        self._named = {key: [_names_of(rule, key) for rule in self._rules] for key in _INDEXED}
        self._index: dict[str, defaultdict[str, list[int]]] = {key: defaultdict(list) for key in _INDEXED}
        self._others: dict[str, list[int]] = {key: [] for key in _INDEXED}
        for number, rule in enumerate(self._rules):
            for key in _INDEXED if rule else ():
                names = self._named[key][number]
                if not names:
                    self._others[key].append(number)
                for name in names:
                    self._index[key][name].append(number)

    def later(self, number: int, end: int) -> Iterator[int]:
        """Yields the numbers of later rules, below ``end``, that may take a message of a rule."""
        lists = [
            [self._others[key], *(self._index[key][name] for name in names)]
            for key in _INDEXED
            if (names := self._named[key][number])
        ]
        everything: list[list[int]] = [[*range(number + 1, end)]]
        candidates = min([everything, *lists], key=lambda one: sum(map(len, one)))
        mine = self._rules[number]
        for other in sorted({one for numbers in candidates for one in numbers if number < one < end}):
            if any(not _disjoint(one, two) for one in mine for two in self._rules[other]):
                yield other


def covers(earlier: Alternative, later: Alternative) -> bool:
    """Returns True if it is certain that the earlier one takes every message that meets the later one."""
    if earlier.excluded and earlier.excluded != later.excluded:
        return False
    for key, values in earlier.required.items():
        if key not in KEYS and not set(later.required.get(key, ("",))) <= set(values):
            return False
    mine, theirs = _of_priority(earlier.required), _of_priority(later.required)
    return not mine or bool(theirs and priorities_of(theirs) <= priorities_of(mine))


def _reach(one: Alternative) -> _Reach:
    names = {key: names for key in _INDEXED if (names := _equal_names(key, one.required.get(key, ())))}
    networks = [ip_network(network) for network in one.required.get("source", ())]
    return _Reach(one, None if one.comment else _priorities(one), names, networks)


def _equal_names(key: str, values: Sequence[str]) -> frozenset[str]:
    """Returns the names that a condition compares for equality; none if it has globs or networks.

    ``postfix`` and ``postfix/*`` are the forms of one program name.
    """
    names = frozenset(value.casefold().removesuffix("/*") for value in values)
    signs = "/" if key == "source" else "*?/"
    return frozenset() if any(sign in name for name in names for sign in signs) else names


def _names_of(rule: Sequence[_Reach], key: str) -> frozenset[str]:
    if not all(key in one.names for one in rule):
        return frozenset()
    return frozenset(name for one in rule for name in one.names[key])


def _priorities(one: Alternative) -> frozenset[int]:
    required, excluded = _of_priority(one.required), _of_priority(one.excluded)
    found = priorities_of(required)
    # An `except` with other conditions too leaves some messages of each priority.
    return found - priorities_of(excluded) if excluded and len(excluded) == len(one.excluded) else found


def _of_priority(tests: Tests) -> Tests:
    return {key: values for key, values in tests.items() if key in KEYS}


def _disjoint(one: _Reach, other: _Reach) -> bool:
    """Returns True if it is certain that no message can meet both."""
    if any(one.names[key].isdisjoint(other.names[key]) for key in one.names if key in other.names):
        return True
    if one.priorities is not None and other.priorities is not None and not one.priorities & other.priorities:
        return True
    if one.networks and other.networks:
        pairs = ((a, b) for a in one.networks for b in other.networks if a.version == b.version)
        if not any(a.overlaps(b) for a, b in pairs):
            return True
    return _excludes(one.alternative, other.alternative) or _excludes(other.alternative, one.alternative)


def _excludes(one: Alternative, other: Alternative) -> bool:
    """Returns True if all that meets ``other`` meets the ``except`` of ``one``."""
    return bool(one.excluded) and all(
        set(other.required.get(key, ("",))) <= set(values) for key, values in one.excluded.items()
    )
