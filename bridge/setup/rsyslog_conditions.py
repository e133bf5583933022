"""Converts conditions of ``rsyslog.conf`` (expressions, selectors, property filters) into conditions of routes."""

import re
from collections.abc import Sequence

from bridge.setup.import_conditions import (
    ALWAYS,
    Both,
    Condition,
    Either,
    FieldTest,
    Negated,
    NotConvertible,
    is_address,
    message_check,
    name_check,
    severity_check,
    severity_number,
    source_check,
)
from bridge.setup.rsyslog_tree import expression_tokens

_DEEPEST = 40
_OPERATORS = {"isequal": "equal", "==": "equal", "contains": "contains", "startswith": "startswith",
              "contains_i": "contains_i", "startswith_i": "startswith_i", "!=": "!=", "<>": "!=",
              "<=": "<=", "<": "<", ">=": ">=", ">": ">"}  # fmt: skip
_PROPERTIES = {
    "fromhost-ip": "source", "fromhost": "fromhost", "hostname": "hostname", "source": "hostname",
    "syslogtag": "tag", "programname": "app_name", "app-name": "app_name",
    "msg": "message", "syslogseverity": "severity", "syslogpriority": "severity", "syslogseverity-text": "severity",
}  # fmt: skip
_REMEDIES = {
    "rawmsg": "routes do not test the raw frame; use message: {contains: [...]} if the text is in the message",
    "syslogfacility": "routes have no condition on the facility; use app_name, hostname or source",
    "syslogfacility-text": "routes have no condition on the facility; use app_name, hostname or source",
    "inputname": "bind a ruleset to the input, or use listener: of a route",
    "fromhost": "the bridge looks up no names; use source: with the addresses",
    "regex": "routes have no regular expressions; use contains, starts_with or globs",
    "re_match": "routes have no regular expressions; use contains, starts_with or globs",
}


def expression_condition(text: str) -> Condition:
    """Converts the expression of an ``if``. Raises NotConvertible."""
    tokens = list(expression_tokens(text))
    reader = _ExpressionReader(tokens)
    condition = reader.either(0)
    reader.end()
    return condition


class _ExpressionReader:
    """Reads an expression by recursive descent: or, and, not, comparisons."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def either(self, depth: int) -> Condition:
        members = [self._both(depth)]
        while self._takes("word", "or"):
            members.append(self._both(depth))
        return members[0] if len(members) == 1 else Either(tuple(members))

    def end(self) -> None:
        """Raises NotConvertible if something follows the expression."""
        if self._at < len(self._tokens):
            raise self._unknown()

    def _both(self, depth: int) -> Condition:
        members = [self._negated(depth)]
        while self._takes("word", "and"):
            members.append(self._negated(depth))
        return members[0] if len(members) == 1 else Both(tuple(members))

    def _negated(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise NotConvertible("the expression is nested too deeply")
        if self._takes("word", "not"):
            return Negated(self._negated(depth + 1))
        if self._takes("sign", "("):
            inner = self.either(depth + 1)
            if not self._takes("sign", ")"):
                raise self._unknown()
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        kind, name = self._next()
        if kind == "word" and name.lower() in _REMEDIES:
            raise NotConvertible(_REMEDIES[name.lower()])
        if kind != "name":
            raise self._unknown()
        operator = self._next()[1].lower()
        negated = operator.startswith("!") and operator != "!="
        operator = _OPERATORS.get(operator.removeprefix("!") if negated else operator, "")
        if not operator:
            raise self._unknown()
        condition = comparison(name[1:], operator, self._values())
        return Negated(condition) if negated else condition

    def _values(self) -> tuple[str, ...]:
        kind, value = self._next()
        if kind in ("string", "number"):
            return (value,)
        if (kind, value) != ("sign", "["):
            raise self._unknown()
        values: list[str] = []
        while not self._takes("sign", "]"):
            kind, value = self._next()
            if kind != "string":
                raise self._unknown()
            values.append(value)
            self._takes("sign", ",")
        return tuple(values)

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._unknown()
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens):
            found, value = self._tokens[self._at]
            if found == kind and value.lower() == text:
                self._at += 1
                return True
        return False

    def _unknown(self) -> NotConvertible:
        return NotConvertible("the expression has no counterpart; write a route by hand")


def comparison(name: str, operator: str, values: Sequence[str]) -> Condition:
    """Converts the comparison of a property with texts. Raises NotConvertible."""
    prop = name.lower()
    key = _PROPERTIES.get(prop)
    if key is None:
        raise NotConvertible(_REMEDIES.get(prop, "routes cannot test this property; write a route by hand"))
    if operator == "!=":
        return Negated(comparison(name, "equal", values))
    if key == "severity":
        return _severity(operator, values)
    if operator in ("<", "<=", ">", ">="):
        raise NotConvertible("routes do not compare texts by order; write a route by hand")
    if key in ("source", "fromhost"):
        if key == "fromhost" and not all(map(is_address, values)):
            raise NotConvertible(_REMEDIES["fromhost"])
        return source_check(operator, values)
    if key == "message":
        return message_check(operator, values)
    # The globs of hostname and app_name ignore case.
    plain = operator.removesuffix("_i")
    if key == "tag":
        return name_check("app_name", *_tag(plain, values))
    check = name_check(key, plain, values)
    if key == "hostname" and plain == "equal" and all(map(is_address, values)):
        # rsyslog uses the sender's address as the host name of a message without one.
        return Either((check, FieldTest("source", tuple(values))))
    return check


def _tag(operator: str, values: Sequence[str]) -> tuple[str, list[str]]:
    """Returns operator and values for the program name in a tag, such as ``sshd[12]:``."""
    names = [value.removesuffix(":") if operator == "equal" else value for value in values]
    if any(character in name for name in names for character in "[]:"):
        raise NotConvertible("app_name: is the tag without [pid] and colon; write the name alone")
    return operator, names


def _severity(operator: str, values: Sequence[str]) -> Condition:
    if len(values) != 1:
        raise NotConvertible("a route tests one severity")
    number = severity_number(values[0])
    exact: Condition = severity_check(str(number))
    if operator == "equal":
        return Both((exact, Negated(severity_check(str(number - 1))))) if number else exact
    # A lower number is more severe.
    number += {"<": -1, ">=": -1}.get(operator, 0)
    worse: Condition = severity_check(str(number)) if number >= 0 else Either(())
    if operator in ("<", "<="):
        return worse
    if operator in (">", ">="):
        return Negated(worse)
    raise NotConvertible("the severity is compared as a text; use min_severity:")


# --- older filters ------------------------------------------------------------------------------------------------

_PROPERTY_FILTER = re.compile(r':\s*([\w-]+)\s*,\s*(!?)\s*([\w]+)\s*,\s*"((?:[^"\\]|\\.)*)"\s*(.*)', re.DOTALL)
_SELECTOR = re.compile(r"([\w*,.;!=]+)\s+(.*)", re.DOTALL)


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
    if match[3].lower() in ("regex", "ereregex"):
        raise NotConvertible(_REMEDIES["regex"])
    operator = _OPERATORS.get(match[3].lower())
    if operator is None:
        raise NotConvertible("the comparison has no counterpart; write a route by hand")
    condition = comparison(match[1], operator, (re.sub(r"\\(.)", r"\1", match[4]),))
    return Negated(condition) if match[2] else condition


def selector(text: str) -> Condition:
    """Converts a selector such as ``*.warning``. Raises NotConvertible."""
    members = [part for part in text.split(";") if part]
    if len(members) == 1:
        facilities, _, level = members[0].partition(".")
        if facilities == "*" and level in ("*", "debug"):
            return ALWAYS
        if facilities == "*" and level.isalpha() and level.lower() != "none":
            return severity_check(level)
    raise NotConvertible(_REMEDIES["syslogfacility"])
