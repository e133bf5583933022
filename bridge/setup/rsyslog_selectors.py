"""Converts the older filters of ``rsyslog.conf``: selectors such as ``mail.*;auth.none``, and property filters."""

import re

from bridge.setup.import_checks import severity_number
from bridge.setup.import_conditions import ALWAYS, Condition, Negated, PriorityTest
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.import_priorities import EVERY
from bridge.setup.rsyslog_comparisons import comparison, expression_match, facility_number
from bridge.syslog.priorities import FACILITIES

_PROPERTY_FILTER = re.compile(r':\s*([\w-]+)\s*,\s*(!?)\s*([\w]+)\s*,\s*"((?:[^"\\]|\\.)*)"\s*(.*)', re.DOTALL)
_SELECTOR = re.compile(r"([\w*,.;!=]+)\s+(.*)", re.DOTALL)
_OPERATORS = {"isequal": "equal", "contains": "contains", "startswith": "startswith"}
_ALL = frozenset(range(8))


def split_rule(line: str) -> tuple[str, str, str] | None:
    """Splits a ``filter action`` line into the kind of its filter (property, selector, same), the filter, the action.

    Returns None if the line has neither form.
    """
    if line.startswith("&"):
        return "same", "", line[1:].strip()
    if match := _PROPERTY_FILTER.fullmatch(line):
        return "property", line[: match.start(5)], match[5].strip()
    if (match := _SELECTOR.fullmatch(line)) and re.match(r"[\w*,]+\.", match[1]):
        return "selector", match[1], match[2].strip()
    return None


def property_filter(text: str) -> Condition:
    """Converts a filter such as ``:fromhost-ip, isequal, "10.0.0.1"``. Raises NotConvertible."""
    match = _PROPERTY_FILTER.fullmatch(text)
    assert match is not None
    operator, value = match[3].lower(), re.sub(r"\\(.)", r"\1", match[4])
    if operator in ("regex", "ereregex"):
        condition = expression_match(match[1], value, extended=operator == "ereregex")
    elif operator in _OPERATORS:
        condition = comparison(match[1], _OPERATORS[operator], (value,), in_expression=False)
    else:
        raise NotConvertible("the comparison has no counterpart; write a route by hand")
    return Negated(condition) if match[2] else condition


def selector(text: str) -> Condition:
    """Converts a selector such as ``*.warning`` or ``*.info;mail.none``. Raises NotConvertible.

    Its parts are applied in order. Each adds severities to those of its facilities, or takes them away.
    """
    rows: list[frozenset[int]] = [frozenset()] * len(FACILITIES)
    for part in filter(None, text.split(";")):
        names, _, level = part.partition(".")
        negated, level = level.startswith("!"), level.removeprefix("!")
        exact, level = level.startswith("="), level.removeprefix("=")
        facilities = range(len(FACILITIES)) if names == "*" else _numbers(names)
        for facility in facilities:
            rows[facility] = _changed(rows[facility], level.lower(), exact=exact, negated=negated)
    priorities = frozenset(number for number in EVERY if number & 7 in rows[number >> 3])
    return ALWAYS if priorities == EVERY else PriorityTest(priorities)


def _numbers(names: str) -> list[int]:
    found = [
        number
        for name in names.split(",")
        for number in (range(len(FACILITIES)) if name == "*" else [facility_number(name)])
    ]
    return [number for number in found if number is not None]


def _changed(row: frozenset[int], level: str, *, exact: bool, negated: bool) -> frozenset[int]:
    if level == "none":
        return _ALL if negated else frozenset()
    if level == "*":
        return frozenset() if negated else _ALL
    number = severity_number(level)
    severities = frozenset([number]) if exact else frozenset(range(number + 1))
    return row - severities if negated else row | severities
