"""Converts the filters of ``syslog-ng.conf`` into conditions of routes."""

import re
from collections.abc import Mapping, Sequence

from bridge.setup.import_conditions import (
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
from bridge.setup.syslog_ng_tree import SyslogNgNode

_DEEPEST = 40
_FIELDS = {"HOST": "hostname", "FULLHOST": "hostname", "PROGRAM": "app_name", "MESSAGE": "message", "MSG": "message",
           "MSGONLY": "message", "SOURCEIP": "source"}  # fmt: skip
_OTHER = "this filter has no counterpart; write a route by hand"
_REGEX = "routes have no regular expressions beyond fixed text and .*; use globs, contains or starts_with"
_LITERAL = re.compile(r"[A-Za-z0-9_ @:/%&,<>=~'\"-]")


class SyslogNgFilters:
    """Holds the named filters, and converts filter expressions."""

    def __init__(self, *, keeps_hostname: bool) -> None:
        self._named: dict[str, Sequence[SyslogNgNode]] = {}
        self._keeps_hostname = keeps_hostname

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

    def _function(self, node: SyslogNgNode, depth: int) -> Condition:
        name = node.name
        if name == "filter" and (expression := self._named.get(node.texts()[0] if node.texts() else "")) is not None:
            return self.condition(expression, depth + 1)
        if name in ("netmask", "netmask6"):
            return source_check("network", node.texts())
        if name in ("level", "severity", "priority"):
            return _levels(node.texts())
        if name == "facility":
            raise NotConvertible("routes have no condition on the facility; use program, host or source")
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
        field = _FIELDS.get(term[0].text.strip("${}").upper())
        operator = term[1].text.lower()
        if field is None or operator not in ("eq", "==", "ne", "!=") or field == "message":
            raise NotConvertible(_OTHER)
        same = self._named_host(term[2].text) if field == "hostname" else _equal(field, term[2].text)
        return same if operator in ("eq", "==") else Negated(same)

    def _pattern(self, field: str, node: SyslogNgNode) -> Condition:
        kind, flags = node.one("type", "pcre").lower(), [flag.lower() for flag in node.values("flags")]
        texts = node.texts()
        if len(texts) != 1:
            raise NotConvertible(_OTHER)
        if kind == "string":
            operator = "startswith" if "prefix" in flags else "contains" if "substring" in flags else "equal"
            if field == "message" or operator != "equal":
                ignores = field == "message" and "ignore-case" in flags
                check = message_check if field == "message" else None
                if check is not None:
                    return check(f"{operator}_i" if ignores else operator, texts)
                return source_check(operator, texts) if field == "source" else name_check(field, operator, texts)
            return self._named_host(texts[0]) if field == "hostname" else _equal(field, texts[0])
        if kind == "glob" and field in ("hostname", "app_name"):
            return FieldTest(field, tuple(texts))
        if kind not in ("pcre", "posix"):
            raise NotConvertible(_OTHER)
        return self._regex(field, texts[0], ignores_case="ignore-case" in flags)

    def _regex(self, field: str, pattern: str, *, ignores_case: bool) -> Condition:
        globs = _globs(pattern)
        if field in ("hostname", "app_name"):
            addresses = [glob.replace("?", ".") for glob in globs]
            if field == "hostname" and all(map(is_address, addresses)):
                return self._host_or_source(FieldTest(field, tuple(addresses)), addresses)
            if field == "hostname" and any(is_address(address.strip("*")) for address in addresses):
                raise NotConvertible("the expression matches a part of addresses; use source: with the addresses")
            return FieldTest(field, tuple(globs))
        if field == "source":
            return source_check("equal", globs)
        if ignores_case:
            raise NotConvertible("message: of a route respects case; write the spellings that occur")
        inner = [glob.strip("*") for glob in globs]
        if any("*" in text or "?" in text or not text for text in inner):
            raise NotConvertible(_REGEX)
        if all(glob == f"*{text}*" for glob, text in zip(globs, inner, strict=True)):
            return FieldTest("contains", tuple(inner))
        if all(glob == f"{text}*" for glob, text in zip(globs, inner, strict=True)):
            return FieldTest("starts_with", tuple(inner))
        raise NotConvertible(_REGEX)

    def _named_host(self, text: str) -> Condition:
        check = name_check("hostname", "equal", [text])
        return self._host_or_source(check, [text]) if is_address(text) else check

    def _host_or_source(self, check: FieldTest, addresses: Sequence[str]) -> Condition:
        """Without keep-hostname(yes), syslog-ng uses the sender as host, so an address is the sender's."""
        source = FieldTest("source", tuple(addresses))
        return Either((check, source)) if self._keeps_hostname else source


def _equal(field: str, text: str) -> Condition:
    if field == "source":
        return source_check("equal", [text])
    return name_check(field, "equal", [text])


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


def _levels(texts: Sequence[str]) -> Condition:
    numbers: set[int] = set()
    for text in texts:
        first, _, last = text.partition("..")
        low, high = sorted((severity_number(first), severity_number(last or first)))
        numbers |= set(range(low, high + 1))
    low, high = min(numbers, default=0), max(numbers, default=-1)
    if numbers != set(range(low, high + 1)) or not numbers:
        raise NotConvertible("a route takes a severity or worse; use min_severity:")
    worst = severity_check(str(high))
    return worst if low == 0 else Both((worst, Negated(severity_check(str(low - 1)))))


def _globs(pattern: str) -> list[str]:
    """Converts a regular expression of fixed text, ``.``, ``.*``, anchors and alternatives. Raises NotConvertible."""
    start, end = "*", "*"
    if pattern.startswith("^"):
        start, pattern = "", pattern[1:]
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        end, pattern = "", pattern[:-1]
    if re.fullmatch(r"\([^()]*\)", pattern):
        pattern = pattern[1:-1].removeprefix("?:")
    elif "|" in pattern and not (start and end):
        # The anchor belongs to one alternative only.
        raise NotConvertible(_REGEX)
    globs = []
    for part in pattern.split("|"):
        glob, at = "", 0
        while at < len(part):
            if part.startswith(".*", at):
                glob, at = f"{glob}*", at + 2
            elif part[at] == "\\" and at + 1 < len(part) and not part[at + 1].isalnum() and part[at + 1] not in "*?":
                glob, at = glob + part[at + 1], at + 2
            elif part.startswith("[.]", at):
                glob, at = f"{glob}.", at + 3
            elif part[at] == ".":
                glob, at = f"{glob}?", at + 1
            elif _LITERAL.fullmatch(part[at]) or ord(part[at]) > 127:
                glob, at = glob + part[at], at + 1
            else:
                raise NotConvertible(_REGEX)
        if not glob:
            raise NotConvertible(_REGEX)
        globs.append(re.sub(r"\*+", "*", f"{start}{glob}{end}"))
    return globs


def payload_of(template: str) -> str | None:
    """Returns the payload form of what a template writes behind the structured data; None if there is none."""
    text = template.partition("]")[2].replace("\\n", "").strip()
    names = re.findall(r"\$\{?([A-Za-z_]+)\}?", text)
    if re.sub(r"\$\{?[A-Za-z_]+\}?", "", text).strip():
        return None
    forms: Mapping[tuple[str, ...], str] = {
        ("MSG",): "auto", ("MESSAGE",): "auto", ("MSGONLY",): "auto", ("RAWMSG",): "raw",
        ("MSGHDR", "MSG"): "content", ("MSGHDR", "MESSAGE"): "content",
    }  # fmt: skip
    return forms.get(tuple(names))
