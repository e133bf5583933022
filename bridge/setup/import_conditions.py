"""Converts conditions of other syslog servers into those of routes, or says why a condition cannot be converted.

A condition is a tree of tests with and, or, not. A route ANDs its conditions and ORs the members of each, so the tree
is brought into alternatives. Each alternative becomes a route.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

_MOST_ALTERNATIVES = 64
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_ALIASES = {"panic": "emerg", "emergency": "emerg", "critical": "crit", "error": "err", "warn": "warning",
            "informational": "info"}  # fmt: skip


class NotConvertible(Exception):
    """Raised when a condition has no counterpart; the text says why and what to do."""


@dataclass(frozen=True)
class FieldTest:
    """A condition of a route: its key and the members of which one must match."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Both:
    """All of some conditions; without members it always holds."""

    members: tuple["Condition", ...] = ()


@dataclass(frozen=True)
class Either:
    """At least one of some conditions."""

    members: tuple["Condition", ...]


@dataclass(frozen=True)
class Negated:
    """The opposite of a condition."""

    member: "Condition"


Condition = FieldTest | Both | Either | Negated
ALWAYS = Both()


@dataclass(frozen=True)
class Alternative:
    """The conditions of one route: those that must hold, and those of its ``except``."""

    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.required or self.excluded)

    def as_yaml(self) -> Iterator[tuple[str, str]]:
        """Yields the keys of the route and their values as YAML."""
        yield from _keys(self.required)
        if self.excluded:
            yield "except", "{" + ", ".join(f"{key}: {value}" for key, value in _keys(self.excluded)) + "}"


def _keys(tests: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    message = {key: list(tests[key]) for key in ("contains", "starts_with") if key in tests}
    for key, values in tests.items():
        if key not in message:
            yield key, values[0] if key == "min_severity" else json.dumps(list(values), ensure_ascii=False)
    if message:
        yield "message", "{" + ", ".join(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in message.items()) + "}"


def alternatives(condition: Condition) -> list[Alternative]:
    """Returns the alternatives of a condition. Raises NotConvertible."""
    return _merged(_alternatives(condition, negated=False))


def _alternatives(condition: Condition, *, negated: bool) -> list[Alternative]:
    if isinstance(condition, Negated):
        return _alternatives(condition.member, negated=not negated)
    if isinstance(condition, FieldTest):
        tests = {condition.key: condition.values}
        return [Alternative(excluded=tests) if negated else Alternative(tests)]
    members = [_alternatives(member, negated=negated) for member in condition.members]
    if isinstance(condition, Either) is not negated:
        found = _merged([alternative for member in members for alternative in member])
    else:
        found = [Alternative()]
        for member in members:
            found = [_joined(one, other) for one in found for other in member]
            _limit(found)
    _limit(found)
    return found


def _limit(found: Sequence[Alternative]) -> None:
    if len(found) > _MOST_ALTERNATIVES:
        raise NotConvertible("the condition needs too many routes; write them by hand")


def _joined(one: Alternative, other: Alternative) -> Alternative:
    required = dict(one.required)
    for key, values in other.required.items():
        if key in required and required[key] != values:
            raise NotConvertible(f"a route tests {key} once; write one pattern or list")
        required[key] = values
    excluded = dict(one.excluded)
    for key, values in other.excluded.items():
        if key == "min_severity" and key in excluded:
            raise NotConvertible("a route excludes one severity")
        excluded[key] = tuple(dict.fromkeys((*excluded.get(key, ()), *values)))
    if len(excluded) > 1:
        raise NotConvertible("the except: of a route ANDs its conditions, so it cannot exclude each of several")
    return Alternative(required, excluded)


def _merged(found: Sequence[Alternative]) -> list[Alternative]:
    """Joins neighbouring alternatives that differ in the members of one condition only."""
    merged: list[Alternative] = []
    for one in found:
        last = merged[-1] if merged else None
        if last is not None and last.excluded == one.excluded and set(last.required) == set(one.required):
            differing = [key for key in one.required if one.required[key] != last.required[key]]
            if not differing:
                continue
            if len(differing) == 1 and differing[0] != "min_severity":
                (key,) = differing
                values = tuple(dict.fromkeys((*last.required[key], *one.required[key])))
                merged[-1] = Alternative({**last.required, key: values}, last.excluded)
                continue
        merged.append(one)
    return merged


# --- tests --------------------------------------------------------------------------------------------------------


def name_check(key: str, operator: str, values: Sequence[str]) -> FieldTest:
    """Returns the test of a host or program name: equal, contains or startswith. Raises NotConvertible."""
    patterns = []
    for value in values:
        if not value or any(character in value for character in "*?"):
            raise NotConvertible(f"{key}: of a route takes globs, in which this text has another meaning")
        patterns.append({"equal": value, "contains": f"*{value}*", "startswith": f"{value}*"}[operator])
    return FieldTest(key, tuple(patterns))


def source_check(operator: str, values: Sequence[str]) -> FieldTest:
    """Returns the test of the sender's address. Raises NotConvertible."""
    networks = []
    for value in values:
        text = value.removeprefix("::ffff:")
        try:
            if operator == "equal":
                networks.append(str(ip_address(text)))
                continue
            if operator == "network":
                networks.append(str(ip_network(text, strict=False)))
                continue
        except ValueError:
            raise NotConvertible("the value is not an address or network") from None
        parts = text.removesuffix(".").split(".")
        whole = operator == "startswith" and text.endswith(".") and len(parts) < 4
        if not whole or not all(re.fullmatch("[0-9]{1,3}", part) and int(part) < 256 for part in parts):
            raise NotConvertible("source: of a route takes addresses and networks; write the network")
        networks.append(f"{'.'.join([*parts, *['0'] * (4 - len(parts))])}/{8 * len(parts)}")
    return FieldTest("source", tuple(networks))


def message_check(operator: str, values: Sequence[str]) -> FieldTest:
    """Returns the test of the message text. Raises NotConvertible."""
    if operator == "contains":
        return FieldTest("contains", tuple(values))
    stripped = tuple(value.lstrip(" ") for value in values)
    if operator == "startswith" and all(stripped):
        return FieldTest("starts_with", stripped)
    if operator.endswith("_i"):
        raise NotConvertible("message: of a route respects case; write the spellings that occur")
    raise NotConvertible("message: of a route has contains and starts_with; choose one")


def severity_check(name: str) -> FieldTest:
    """Returns the test of this severity or worse; the name may be a number. Raises NotConvertible."""
    word = _ALIASES.get(name.lower(), name.lower())
    if word.isdigit() and int(word) < len(_SEVERITIES):
        word = _SEVERITIES[int(word)]
    if word not in _SEVERITIES:
        raise NotConvertible("the severity is unknown")
    return FieldTest("min_severity", (word,))


def severity_number(name: str) -> int:
    """Returns 0 (emergency) to 7 (debug). Raises NotConvertible."""
    return _SEVERITIES.index(severity_check(name).values[0])


def is_address(text: str) -> bool:
    """Returns True for an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
