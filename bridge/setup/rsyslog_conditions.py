"""Converts the expressions of ``if`` in ``rsyslog.conf`` into conditions of routes."""

import re
from collections.abc import Iterator, Sequence

from bridge.setup.import_conditions import Both, Condition, Either, Negated
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.rsyslog_comparisons import comparison, expression_match
from bridge.setup.rsyslog_selectors import selector
from bridge.setup.rsyslog_tree import BLANK, unescaped

_DEEPEST = 40
_OPERATORS = {"isequal": "equal", "==": "equal", "contains": "contains", "startswith": "startswith",
              "contains_i": "contains_i", "startswith_i": "startswith_i", "!=": "!=", "<>": "!=",
              "<=": "<=", "<": "<", ">=": ">=", ">": ">"}  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<name>\$[!./]?[\w!.-]+)|(?P<number>[0-9]+)"""
    r"""|(?P<sign>==|!=|<>|<=|>=|<|>|[()\[\],&])|(?P<word>[A-Za-z_][\w-]*)""",
    re.DOTALL,
)
_UNKNOWN = "the expression has no counterpart; write a route by hand"


def expression_condition(text: str) -> Condition:
    """Converts the expression of an ``if``. Raises NotConvertible."""
    reader = _ExpressionReader(list(_tokens(text)))
    condition = reader.condition(0)
    reader.end()
    return condition


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yields kind and text of the tokens of an expression; the last one may be of kind *unknown*."""
    at = 0
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = blank.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            yield "unknown", text[at:]
            return
        value = match[match.lastgroup]
        yield match.lastgroup, unescaped(value[1:-1]) if match.lastgroup == "string" else value
        at = match.end()


class _ExpressionReader:
    """Reads an expression by recursive descent: not, comparisons and functions, then and, or.

    In rsyslog, ``and`` and ``or`` have the same precedence and are read from left to right: ``a or b and c`` is
    ``(a or b) and c``.
    """

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def condition(self, depth: int) -> Condition:
        """Reads tests that are joined by ``and`` and ``or``."""
        found = self._test(depth)
        last = ""
        while word := next((word for word in ("and", "or") if self._takes("word", word)), ""):
            kind = Both if word == "and" else Either
            members = found.members if isinstance(found, kind) and word == last else (found,)
            found = kind((*members, self._test(depth)))
            last = word
        return found

    def end(self) -> None:
        """Raises NotConvertible if something follows the expression."""
        if self._at < len(self._tokens):
            raise NotConvertible(_UNKNOWN)

    def _test(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise NotConvertible("the expression is nested too deeply")
        if self._takes("word", "not"):
            if self._at < len(self._tokens) and self._tokens[self._at][0] == "name":
                raise NotConvertible("rsyslog applies this not to the property alone; write not (...)")
            return Negated(self._test(depth + 1))
        if self._takes("sign", "("):
            inner = self.condition(depth + 1)
            self._expect(")")
            return inner
        kind, name = self._next()
        if kind == "word":
            return self._function(name.lower())
        if kind != "name":
            raise NotConvertible(_UNKNOWN)
        operator = _OPERATORS.get(self._next()[1].lower())
        if operator is None:
            raise NotConvertible(_UNKNOWN)
        return comparison(name[1:], operator, self._values())

    def _function(self, name: str) -> Condition:
        if name not in ("re_match", "re_match_i", "prifilt"):
            raise NotConvertible(_UNKNOWN)
        self._expect("(")
        prop = ""
        if name != "prifilt":
            kind, prop = self._next()
            if kind != "name":
                raise NotConvertible(_UNKNOWN)
            self._expect(",")
        kind, text = self._next()
        if kind != "string":
            raise NotConvertible(_UNKNOWN)
        self._expect(")")
        if name == "prifilt":
            return selector(text)
        return expression_match(prop[1:], text, extended=True, ignores_case=name == "re_match_i")

    def _values(self) -> tuple[str, ...]:
        kind, value = self._next()
        if kind in ("string", "number"):
            return (value,)
        if (kind, value) != ("sign", "["):
            raise NotConvertible(_UNKNOWN)
        values: list[str] = []
        while not self._takes("sign", "]"):
            kind, value = self._next()
            if kind != "string":
                raise NotConvertible(_UNKNOWN)
            values.append(value)
            self._takes("sign", ",")
        return tuple(values)

    def _expect(self, sign: str) -> None:
        if not self._takes("sign", sign):
            raise NotConvertible(_UNKNOWN)

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise NotConvertible(_UNKNOWN)
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens):
            found, value = self._tokens[self._at]
            if found == kind and value.lower() == text:
                self._at += 1
                return True
        return False
