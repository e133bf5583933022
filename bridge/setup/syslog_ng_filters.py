"""Converts the filters of ``syslog-ng.conf`` into conditions of routes."""

import re
from collections.abc import Callable, Mapping, Sequence

from bridge.setup.import_checks import (
    is_address,
    message_check,
    missing,
    name_check,
    priority_check,
    severity_number,
    source_check,
)
from bridge.setup.import_conditions import Both, Condition, Either, FieldTest, Negated
from bridge.setup.import_expressions import TEXT_BEGIN, NotConvertible, checked, escaped
from bridge.setup.import_globs import fixed_texts, globs_of
from bridge.setup.syslog_ng_tree import SyslogNgNode
from bridge.syslog.priorities import FACILITIES, SEVERITIES

_DEEPEST = 40
_FIELDS = {"HOST": "hostname", "FULLHOST": "hostname", "PROGRAM": "app_name", "MESSAGE": "message", "MSG": "message",
           "MSGONLY": "message", "SOURCEIP": "source", "PID": "procid", "MSGID": "msgid"}  # fmt: skip
_NAMES = ("hostname", "app_name", "procid", "msgid")
# syslog-ng's names of the facilities 12 to 15.
_FACILITIES = (*FACILITIES[:12], "ntp", "security", "console", "solaris-cron", *FACILITIES[16:])
_PRIORITIES: Mapping[str, tuple[str, Sequence[str]]] = {
    "FACILITY": ("facilities", _FACILITIES), "FACILITY_NUM": ("facilities", tuple(map(str, range(24)))),
    "LEVEL": ("severities", SEVERITIES), "LEVEL_NUM": ("severities", tuple("01234567")),
    "PRIORITY": ("severities", SEVERITIES), "SEVERITY": ("severities", SEVERITIES),
}  # fmt: skip
_EQUAL = {"eq": True, "==": True, "ne": False, "!=": False}
_OTHER = "this filter has no counterpart; write a route by hand"
_HOST = "without keep-hostname(yes), the host is the name that DNS has for the sender; use source: with the addresses"


class SyslogNgFilters:
    """Holds the named filters, and converts filter expressions."""

    def __init__(self, *, keeps_hostname: bool, typed: bool = False) -> None:
        """``typed``: ``==`` compares texts as texts (``@version`` 4 and later), and not as numbers."""
        self._named: dict[str, Sequence[SyslogNgNode]] = {}
        self._converted: dict[str, Condition] = {}
        self._open: set[str] = set()
        "The filters that are being converted."
        self._keeps_hostname = keeps_hostname
        self._typed = typed

    def define(self, name: str, expression: Sequence[SyslogNgNode]) -> None:
        """Adds a named filter."""
        self._named[name] = expression

    def condition(self, expression: Sequence[SyslogNgNode], depth: int = 0) -> Condition:
        """Converts an expression. Raises NotConvertible."""
        if depth > _DEEPEST:
            raise NotConvertible("the filter is nested too deeply")
        either: list[Condition] = []
        for part in _split(expression, "or"):
            both = [self._term(term, depth) for term in _split(part, "and")]
            either.append(both[0] if len(both) == 1 else Both(tuple(both)))
        return either[0] if len(either) == 1 else Either(tuple(either))

    def _term(self, term: Sequence[SyslogNgNode], depth: int) -> Condition:
        if term and term[0].name == "not":
            # `not` with parentheses reads like a function.
            inner = term[1:] if term[0].arguments is None else [*term[0].arguments, *term[1:]]
            return Negated(self.condition(inner, depth + 1))
        if len(term) == 1 and not term[0].text and term[0].arguments is not None:
            return self.condition(term[0].arguments, depth + 1)
        if len(term) == 3 and term[0].quoted:
            return self._comparison(term)
        if len(term) != 1 or term[0].arguments is None:
            raise NotConvertible(_OTHER)
        return self._function(term[0], depth)

    def _reference(self, name: str, depth: int) -> Condition:
        """Returns the condition of a named filter. It is converted once, however often it is used."""
        if name not in self._named:
            raise NotConvertible(f"the filter {name[:40]} is not defined")
        if name in self._open:
            raise NotConvertible(f"the filter {name[:40]} refers to itself")
        if name not in self._converted:
            self._open.add(name)
            try:
                self._converted[name] = self.condition(self._named[name], depth + 1)
            finally:
                self._open.remove(name)
        return self._converted[name]

    def _function(self, node: SyslogNgNode, depth: int) -> Condition:
        name = node.name
        if name == "filter":
            return self._reference(next(iter(node.texts()), ""), depth)
        if name in ("netmask", "netmask6"):
            return source_check("network", node.texts())
        if name in ("level", "severity", "priority"):
            return priority_check(severities=_numbers(node.texts(), severity_number))
        if name == "facility":
            return priority_check(facilities=_numbers(node.texts(), _facility_number))
        if name in ("host", "program", "message", "match"):
            value = node.one("value", name).upper()
            if name == "match" and node.find("value") is None:
                raise NotConvertible(_OTHER)
            field = _FIELDS.get(value.strip("${}"))
            if field is None:
                raise NotConvertible(_OTHER)
            return self._pattern(field, node)
        raise NotConvertible(_OTHER)

    def _comparison(self, term: Sequence[SyslogNgNode]) -> Condition:
        macro, operator, text = term[0].text.strip("${}").upper(), term[1].text.lower(), term[2].text
        if operator not in _EQUAL:
            raise NotConvertible(_OTHER)
        if operator in ("==", "!=") and not self._typed and not macro.endswith("_NUM"):
            raise NotConvertible("before @version 4, this operator compares numbers; write eq or ne for texts")
        field = _FIELDS.get(macro)
        if macro in _PRIORITIES:
            kind, names = _PRIORITIES[macro]
            same: Condition = priority_check(**{kind: [number for number, name in enumerate(names) if name == text]})
        elif field is None:
            raise NotConvertible(_OTHER)
        elif not text:
            same = missing(field) if field in ("app_name", "procid", "msgid") else Either(())
        else:
            same = self._equal(field, text)
        return same if _EQUAL[operator] else Negated(same)

    def _pattern(self, field: str, node: SyslogNgNode) -> Condition:
        kind, flags = node.one("type", "pcre").lower(), [flag.lower() for flag in node.values("flags")]
        texts = node.texts()
        if len(texts) != 1 or not texts[0]:
            raise NotConvertible(_OTHER)
        ignores_case = "ignore-case" in flags or "icase" in flags
        if kind == "string":
            operator = "startswith" if "prefix" in flags else "contains" if "substring" in flags else "equal"
            if field == "message":
                return message_check(operator, texts, ignores_case=ignores_case)
            if operator == "equal":
                return self._equal(field, texts[0])
            if field == "source":
                return source_check(operator, texts)
            return self._name(name_check(field, operator, texts))
        if kind == "glob":
            return self._glob(field, texts[0], ignores_case=ignores_case)
        if kind not in ("pcre", "posix") or "newline" in flags or "utf8" in flags:
            raise NotConvertible(_OTHER)
        return self._regex(field, texts[0], ignores_case=ignores_case)

    def _glob(self, field: str, pattern: str, *, ignores_case: bool) -> Condition:
        if field in _NAMES:
            return self._name(FieldTest(field, (pattern,)))
        if field == "source":
            raise NotConvertible("source: of a route takes addresses and networks; write the network")
        wild = {"*": ".*", "?": "."}
        pieces = [wild.get(piece) or escaped(piece) for piece in re.split(r"([*?])", pattern)]
        expression = f"(?{'i' if ignores_case else ''}s)\\A{''.join(pieces)}\\z"
        return FieldTest("matches", (checked(expression),))

    def _regex(self, field: str, pattern: str, *, ignores_case: bool) -> Condition:
        if field == "message":
            return _text_match(pattern, ignores_case=ignores_case)
        globs = globs_of(pattern)
        if field == "source":
            return source_check("equal", globs)
        if field == "hostname":
            addresses = [glob.replace("?", ".") for glob in globs]
            if all(map(is_address, addresses)):
                return self._host_or_source(FieldTest(field, tuple(addresses)), addresses)
            if any(is_address(address.strip("*")) for address in addresses):
                raise NotConvertible("the expression matches a part of addresses; use source: with the addresses")
        return self._name(FieldTest(field, tuple(globs)))

    def _name(self, check: FieldTest) -> FieldTest:
        if check.key == "hostname" and not self._keeps_hostname:
            raise NotConvertible(_HOST)
        return check

    def _equal(self, field: str, text: str) -> Condition:
        if field == "source":
            return source_check("equal", [text])
        if field == "message":
            return message_check("equal", [text])
        check = name_check(field, "equal", [text])
        if field == "hostname" and is_address(text):
            return self._host_or_source(check, [text])
        return self._name(check)

    def _host_or_source(self, check: FieldTest, addresses: Sequence[str]) -> Condition:
        """Without keep-hostname(yes), syslog-ng uses the sender as host, so an address is the sender's."""
        source = FieldTest("source", tuple(addresses))
        return Either((check, source)) if self._keeps_hostname else source


def _text_match(pattern: str, *, ignores_case: bool) -> FieldTest:
    """Returns the test of the text with an expression of PCRE, which the bridge's routes have too.

    Fixed texts become ``contains`` and ``starts_with``, which cost less.
    """
    if not ignores_case and (fixed := fixed_texts(pattern)):
        return message_check(*fixed)
    difference = TEXT_BEGIN if re.search(r"\^[(:?]*(?: |\\s|\[)|^(?: |\\s)", pattern) else ""
    return FieldTest("matches", (checked(f"{'(?i)' if ignores_case else ''}{pattern}"),), difference)


def _split(nodes: Sequence[SyslogNgNode], word: str) -> list[list[SyslogNgNode]]:
    """Splits an expression at a word. A parenthesis behind the word belongs to what follows: ``and (...)``."""
    parts: list[list[SyslogNgNode]] = [[]]
    for node in nodes:
        if node.name != word:
            parts[-1].append(node)
            continue
        parts.append([])
        if node.arguments is not None:
            parts[-1].append(SyslogNgNode("", node.place, node.line, arguments=node.arguments))
    return parts


def _numbers(words: Sequence[str], number_of: Callable[[str], int]) -> list[int]:
    """Returns the numbers of names, and of ranges such as ``err..emerg``."""
    numbers: set[int] = set()
    for text in re.sub(r" *\.\. *", "..", " ".join(words)).split(" "):
        first, dots, last = text.partition("..")
        low, high = sorted((number_of(first), number_of(last if dots else first)))
        numbers |= set(range(low, high + 1))
    return sorted(numbers)


def _facility_number(name: str) -> int:
    word = name.lower()
    if word in _FACILITIES:
        return _FACILITIES.index(word)
    if word.isascii() and word.isdigit() and int(word) < len(_FACILITIES):
        return int(word)
    raise NotConvertible("the facility is unknown")
