"""Builds the conditions of routes from comparisons that several syslog servers have in common."""

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from bridge.setup.import_conditions import Condition, Either, FieldTest, Negated, PriorityTest
from bridge.setup.import_expressions import TEXT_BEGIN, NotConvertible, checked, escaped
from bridge.setup.import_priorities import EVERY
from bridge.syslog.priorities import SEVERITIES

_ALIASES = {"panic": "emerg", "emergency": "emerg", "critical": "crit", "error": "err", "warn": "warning",
            "informational": "info"}  # fmt: skip


def name_check(key: str, operator: str, values: Sequence[str]) -> FieldTest:
    """Returns the test of a name or id: equal, contains or startswith. Raises NotConvertible."""
    patterns = []
    for value in values:
        if not value or any(character in value for character in "*?"):
            raise NotConvertible(f"{key}: of a route takes globs, in which this text has another meaning")
        patterns.append({"equal": value, "contains": f"*{value}*", "startswith": f"{value}*"}[operator])
    return FieldTest(key, tuple(patterns))


def missing(key: str) -> Condition:
    """Returns the condition that a message lacks a field."""
    return Negated(FieldTest(key, ("*",)))


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


def message_check(
    operator: str, values: Sequence[str], *, ignores_case: bool = False, keeps_blank: bool = False
) -> FieldTest:
    """Returns the test of the message text: equal, contains or startswith. Raises NotConvertible.

    ``keeps_blank``: the text begins with the blank behind the tag, so a blank at the beginning of a value may be it.
    """
    if not all(values):
        raise NotConvertible("the value is blank")
    expressions: list[str] = []
    fixed: list[str] = []
    case, difference = "(?i)" if ignores_case else "", ""
    for value in values:
        bare = value.lstrip(" ")
        if value != bare or (keeps_blank and operator != "contains"):
            difference = TEXT_BEGIN
        if operator == "equal":
            expressions.append(f"{case}\\A{escaped(bare)}\\z")
        elif operator == "startswith":
            if not bare:
                raise NotConvertible("the value is blank")
            expressions.append(f"{case}\\A{escaped(bare)}")
            fixed.append(bare)
        elif keeps_blank and value != bare and bare:
            expressions.append(f"{case}(?:\\A|{value[: -len(bare)]}){escaped(bare)}")
        else:
            expressions.append(f"{case}{escaped(value)}")
            fixed.append(value)
    if len(fixed) == len(values) and not ignores_case:
        return FieldTest("contains" if operator == "contains" else "starts_with", tuple(fixed), difference)
    return FieldTest("matches", tuple(map(checked, expressions)), difference)


def severity_number(name: str) -> int:
    """Returns 0 (emergency) to 7 (debug) of a name or number. Raises NotConvertible."""
    word = _ALIASES.get(name.lower(), name.lower())
    if word.isascii() and word.isdigit() and int(word) < len(SEVERITIES):
        return int(word)
    if word not in SEVERITIES:
        raise NotConvertible("the severity is unknown")
    return SEVERITIES.index(word)


def priority_check(*, facilities: Sequence[int] | None = None, severities: Sequence[int] | None = None) -> PriorityTest:
    """Returns the test that a message has one of the facilities and one of the severities."""
    return PriorityTest(
        frozenset(
            number
            for number in EVERY
            if (facilities is None or number >> 3 in facilities) and (severities is None or number & 7 in severities)
        )
    )


def either(members: Sequence[Condition]) -> Condition:
    """Returns the condition that one of the members holds."""
    return members[0] if len(members) == 1 else Either(tuple(members))


def is_address(text: str) -> bool:
    """Returns True for an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
