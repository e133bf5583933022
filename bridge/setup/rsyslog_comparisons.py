"""Converts comparisons of rsyslog's properties into conditions of routes.

rsyslog's properties differ from the bridge's fields: a program name ends before a slash, a missing APP-NAME, PROCID or
MSGID is ``-``, and the text has its control characters escaped (``#011``).
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from bridge.setup.import_checks import (
    either,
    is_address,
    message_check,
    missing,
    name_check,
    priority_check,
    severity_number,
    source_check,
)
from bridge.setup.import_conditions import Both, Condition, Either, FieldTest, Negated, PriorityTest
from bridge.setup.import_expressions import NotConvertible, posix_expression
from bridge.setup.import_globs import fixed_texts, globs_of
from bridge.setup.import_priorities import EVERY
from bridge.syslog.priorities import FACILITIES, SEVERITIES, named
from bridge.util.expression import Expression, LimitExceeded, MissingLibrary

_PROPERTIES = {
    "fromhost-ip": "source", "fromhost": "fromhost", "hostname": "hostname", "source": "hostname",
    "syslogtag": "tag", "programname": "app_name", "app-name": "app_name", "procid": "procid", "msgid": "msgid",
    "msg": "message",
}  # fmt: skip
_PRIORITY: dict[str, Callable[[int], str]] = {
    "syslogfacility": lambda number: str(number >> 3), "syslogfacility-text": lambda number: FACILITIES[number >> 3],
    "syslogseverity": lambda number: str(number & 7), "syslogseverity-text": lambda number: SEVERITIES[number & 7],
    "syslogpriority": lambda number: str(number & 7), "syslogpriority-text": lambda number: SEVERITIES[number & 7],
    "pri": str, "pri-text": named,
}  # fmt: skip
_ORDER: dict[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0, "<=": lambda sign: sign <= 0, ">": lambda sign: sign > 0, ">=": lambda sign: sign >= 0,
}  # fmt: skip
_REMEDIES = {
    "rawmsg": "routes do not test the raw frame; use message: {contains: [...]} if the text is in the message",
    "inputname": "bind a ruleset to the input, or use listener: of a route",
    "fromhost": "the bridge looks up no names; use source: with the addresses",
}
_OTHER = "routes cannot test this property; write a route by hand"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|#0[0-3][0-7]|#177")


def comparison(name: str, operator: str, values: Sequence[str], *, in_expression: bool = True) -> Condition:
    """Converts the comparison of a property with texts. Raises NotConvertible.

    ``operator`` is equal, !=, <, <=, >, >=, contains, startswith, contains_i or startswith_i.
    """
    prop = name.lower()
    if operator == "!=":
        return Negated(comparison(name, "equal", values, in_expression=in_expression))
    if prop in _PRIORITY:
        return _priority(prop, operator, values, in_expression=in_expression)
    key = _key_of(prop)
    if operator in _ORDER:
        raise NotConvertible("routes do not compare texts by order; write a route by hand")
    if key in ("source", "fromhost"):
        if key == "fromhost" and not all(map(is_address, values)):
            raise NotConvertible(_REMEDIES["fromhost"])
        return source_check(operator, values)
    plain = operator.removesuffix("_i")
    if any(map(_CONTROL.search, values)):
        raise NotConvertible("rsyslog escapes control characters before it compares (#011); the bridge does not")
    if key == "message":
        return message_check(plain, values, ignores_case=operator != plain, keeps_blank=True)
    # The globs of names ignore case.
    if key == "tag":
        return _tag(plain, values)
    if key == "app_name":
        return _program(prop, plain, values)
    if key in ("procid", "msgid"):
        return _with_dash(key, plain, values)
    check = name_check(key, plain, values)
    if plain == "equal" and all(map(is_address, values)):
        # rsyslog uses the sender's address as the host name of a message without one.
        return Either((check, FieldTest("source", tuple(values))))
    return check


def expression_match(name: str, pattern: str, *, extended: bool, ignores_case: bool = False) -> Condition:
    """Converts the match of a property with a POSIX expression. Raises NotConvertible."""
    prop = name.lower()
    if _CONTROL.search(pattern):
        raise NotConvertible("rsyslog escapes control characters before it compares (#011); the bridge does not")
    expression = posix_expression(pattern, extended=extended, ignores_case=ignores_case)
    is_same = extended or not re.search(r"[+?(){}|]", pattern)
    if prop in _PRIORITY:
        return PriorityTest(frozenset(number for number in EVERY if _matches(expression.text, _PRIORITY[prop](number))))
    key = _key_of(prop)
    if key == "message":
        if is_same and not ignores_case and (fixed := fixed_texts(pattern)):
            return message_check(*fixed, keeps_blank=True)
        return FieldTest("matches", (expression.text,), expression.difference)
    if not is_same:
        raise NotConvertible("routes match names with globs; write the names or globs")
    globs = globs_of(pattern)
    if key == "source":
        prefixes = [glob.removesuffix("*") for glob in globs]
        if any("*" in prefix or "?" in prefix for prefix in prefixes):
            raise NotConvertible("source: of a route takes addresses and networks; write the network")
        return either(
            [
                source_check("startswith" if glob.endswith("*") else "equal", [prefix])
                for glob, prefix in zip(globs, prefixes, strict=True)
            ]
        )
    if key in ("tag", "fromhost"):
        raise NotConvertible(_REMEDIES.get(key, "routes test the program name without [pid]; use $programname"))
    if key == "hostname":
        if any(is_address(glob.strip("*").replace("?", ".")) for glob in globs):
            raise NotConvertible("the expression matches addresses; use source: with the addresses")
        return FieldTest(key, tuple(globs))
    check = FieldTest(key, tuple(globs))
    with_missing = prop != "programname" and any(fnmatchcase("-", glob) for glob in globs)
    return _or_missing(key, _ended(check) if key == "app_name" else check, with_missing)


def _key_of(prop: str) -> str:
    key = _PROPERTIES.get(prop)
    if key is None:
        raise NotConvertible(_REMEDIES.get(prop, _OTHER))
    return key


def _matches(expression: str, text: str) -> bool:
    try:
        return Expression(expression).matches(text.encode())
    except (MissingLibrary, LimitExceeded):
        raise NotConvertible("the expression could not be tried on names; compare them instead") from None


# --- names ------------------------------------------------------------------------------------------------------------


def _program(prop: str, operator: str, values: Sequence[str]) -> Condition:
    """Returns the test of a program name, which ends before a slash: ``postfix`` of ``postfix/smtpd``."""
    if any("/" in value for value in values):
        raise NotConvertible("a program name of rsyslog ends before a slash; write a route with app_name:")
    if prop == "app-name":
        return _with_dash("app_name", operator, values, _ended if operator == "equal" else None)
    check = name_check("app_name", operator, values)
    return _ended(check) if operator == "equal" else check


def _ended(check: FieldTest) -> FieldTest:
    """Returns the test of a program name that may be followed by a slash."""
    forms = [form for glob in check.values for form in ((glob,) if glob.endswith("*") else (glob, f"{glob}/*"))]
    return FieldTest(check.key, tuple(forms))


def _with_dash(
    key: str, operator: str, values: Sequence[str], changed: Callable[[FieldTest], FieldTest] | None = None
) -> Condition:
    """Returns the test of a field that is ``-`` if it is missing."""
    if operator != "equal":
        return _or_missing(key, name_check(key, operator, values), "-" in values)
    given = [value for value in values if value != "-"]
    tests: list[Condition] = [missing(key)] if len(given) < len(values) else []
    if given:
        check = name_check(key, operator, given)
        tests.insert(0, changed(check) if changed else check)
    return either(tests)


def _or_missing(key: str, test: FieldTest, with_missing: bool) -> Condition:
    return Either((test, missing(key))) if with_missing else test


def _tag(operator: str, values: Sequence[str]) -> Condition:
    """Returns the test of a tag, such as ``sshd[12]:`` or ``sshd:``, as tests of program name and PROCID."""
    found: list[Condition] = []
    for value in values:
        name = value.rstrip("[:") if value.endswith(("[", ":")) else value
        if not name or any(character in name for character in "[]:") or value.endswith("[:"):
            raise NotConvertible("app_name: is the tag without [pid] and colon; write the name alone")
        ends = operator == "equal" or name != value
        glob = {"equal": "equal", "startswith": "equal" if ends else "startswith", "contains": "contains"}[operator]
        check = name_check("app_name", glob, [name])
        if glob == "contains" and ends:
            check = FieldTest("app_name", (f"*{name}",))
        if value.endswith("["):
            found.append(Both((check, FieldTest("procid", ("*",)))))
        else:
            found.append(Both((check, missing("procid"))) if ends else check)
    return either(found)


# --- priorities -------------------------------------------------------------------------------------------------------


def _priority(prop: str, operator: str, values: Sequence[str], *, in_expression: bool) -> PriorityTest:
    if operator == "equal" and in_expression and len(values) == 1 and prop in _ALIASED:
        # rsyslog turns this comparison into a selector, whose names ignore case and have aliases.
        return _ALIASED[prop](values[0])
    get = _PRIORITY[prop]
    return PriorityTest(frozenset(n for n in EVERY if any(_compare(operator, get(n), value) for value in values)))


def _compare(operator: str, text: str, value: str) -> bool:
    if operator in _ORDER:
        if text.isdigit() and value.isascii() and value.isdigit():
            return _ORDER[operator](int(text) - int(value))
        return _ORDER[operator]((text > value) - (text < value))
    if operator.endswith("_i"):
        operator, text, value = operator.removesuffix("_i"), text.lower(), value.lower()
    if operator == "equal":
        return text == value
    return text.startswith(value) if operator == "startswith" else value in text


def facility_number(name: str) -> int | None:
    """Returns the number of a facility's name in a selector; None for rsyslog's own ``mark``. Raises NotConvertible."""
    word = {"security": "auth"}.get(name.lower(), name.lower())
    if word == "mark":
        return None
    if word in FACILITIES and word not in ("ntp", "alert", "clock"):
        return FACILITIES.index(word)
    if word.isascii() and word.isdigit() and int(word) in range(0, 8 * len(FACILITIES), 8):
        return int(word) >> 3
    raise NotConvertible("the facility is unknown")


def _facility_named(name: str) -> PriorityTest:
    number = facility_number(name)
    return priority_check(facilities=[] if number is None else [number])


def _severity_named(name: str) -> PriorityTest:
    return priority_check(severities=[severity_number(name)])


_ALIASED = {"syslogfacility-text": _facility_named, "syslogseverity-text": _severity_named}
