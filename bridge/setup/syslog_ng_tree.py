"""Parses ``syslog-ng.conf`` into a tree, without executing anything.

A statement is a list of nodes up to a semicolon. A node is a word or text, with arguments in parentheses and a body in
braces: ``network(port(514))``, ``s_net { ... }``. The parser is tolerant: what has no place in the grammar is left out.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.config.faults import Place
from bridge.setup.rsyslog_tree import unescaped

DEEPEST = 40
_CORRECT = "correct the file and import it again"
_TOKEN = re.compile(
    r"""[\s,]+|\#[^\n]*|(?P<string>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<pragma>@[A-Za-z-]+[^\n]*)|(?P<sign>[(){};])"""
    r"""|(?P<word>[^\s,;(){}"'\#]+)|.""",
    re.DOTALL,
)


@dataclass(frozen=True)
class SyslogNgNode:
    """A word or text; ``arguments`` and ``body`` are None if it has none. A group in parentheses has no text."""

    text: str
    place: Place
    line: str
    quoted: bool = False
    arguments: Sequence["SyslogNgNode"] | None = None
    body: Sequence[Sequence["SyslogNgNode"]] | None = None

    @property
    def name(self) -> str:
        """Returns the word in its usual spelling: syslog-ng treats - and _ alike."""
        return "" if self.quoted else self.text.lower().replace("_", "-")

    def find(self, name: str) -> "SyslogNgNode | None":
        """Returns the argument with this name."""
        return next((one for one in self.arguments or () if one.name == name), None)

    def values(self, name: str) -> list[str]:
        """Returns the words and texts within the argument of this name: ``port(514)``."""
        found = self.find(name)
        return [one.text for one in found.arguments or ()] if found else []

    def one(self, name: str, default: str = "") -> str:
        """Returns the first value of an argument."""
        return next(iter(self.values(name)), default)

    def texts(self) -> list[str]:
        """Returns the arguments that have no arguments of their own."""
        return [one.text for one in self.arguments or () if one.arguments is None]


Statement = Sequence[SyslogNgNode]


def parse_syslog_ng(text: str, file: str) -> list[Statement]:
    """Returns the statements of a file; a line with @ is a statement of one node."""
    return _SyslogNgParser(text, file).statements(0)


def unbalanced(text: str, file: str) -> Iterator[tuple[Place, str, str]]:
    """Yields place, line and fault of quotes and brackets without a partner: syslog-ng refuses such a file."""
    lines = text.split("\n")
    starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def fault(at: int, reason: str) -> tuple[Place, str, str]:
        number = bisect_right(starts, at)
        return Place(file, number, at - starts[number - 1] + 1), lines[number - 1][:300].strip(), reason

    tokens = list(_TOKEN.finditer(text))
    quote = next((token for token in tokens if token.lastgroup is None and token[0] in ('"', "'")), None)
    if quote is not None:
        yield fault(quote.start(), f"a quote in this line is not closed; {_CORRECT}")
        return
    opened: list[re.Match[str]] = []
    for token in tokens:
        if token["sign"] in ("(", "{"):
            opened.append(token)
        elif token["sign"] in (")", "}"):
            if not opened:
                yield fault(token.start(), f"the {token[0]} in this line closes nothing; {_CORRECT}")
                return
            if (opened[-1][0] == "(") != (token[0] == ")"):
                break
            opened.pop()
    if opened:
        yield fault(opened[-1].start(), f"the {opened[-1][0]} in this line is not closed; {_CORRECT}")


class _SyslogNgParser:
    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup]
        self._at = 0

    def statements(self, depth: int) -> list[Sequence[SyslogNgNode]]:
        """Reads statements up to the end, or up to the closing brace."""
        found: list[Sequence[SyslogNgNode]] = []
        nodes: list[SyslogNgNode] = []
        while (token := self._peek()) is not None:
            sign = token["sign"]
            if sign == "}" and depth:
                break
            if sign in (";", "}", ")"):
                self._at += 1
                if nodes:
                    found.append(nodes)
                    nodes = []
            elif token["pragma"] and not nodes:
                self._at += 1
                found.append([self._node(token)])
            else:
                nodes.append(self._read(depth))
        if nodes:
            found.append(nodes)
        return found

    def _read(self, depth: int) -> SyslogNgNode:
        token = self._tokens[self._at]
        is_group = token["sign"] in ("(", "{")
        if not is_group:
            self._at += 1
        arguments: list[SyslogNgNode] | None = None
        body: list[Sequence[SyslogNgNode]] | None = None
        if self._is("(") and depth < DEEPEST:
            self._at += 1
            arguments = []
            while (following := self._peek()) is not None and following["sign"] != ")":
                if following["sign"] in (";", "}"):
                    self._at += 1
                    continue
                arguments.append(self._read(depth + 1))
            self._at += 1
        if self._is("{") and depth < DEEPEST:
            self._at += 1
            body = self.statements(depth + 1)
            self._at += 1
        if is_group and arguments is None and body is None:
            self._at += 1
        return self._node(token, arguments, body, is_group=is_group)

    def _node(
        self,
        token: re.Match[str],
        arguments: Sequence[SyslogNgNode] | None = None,
        body: Sequence[Sequence[SyslogNgNode]] | None = None,
        *,
        is_group: bool = False,
    ) -> SyslogNgNode:
        text = "" if is_group else token[0]
        quoted = token["string"] is not None
        if quoted:
            text = unescaped(text[1:-1]) if text[0] == '"' else text[1:-1]
        start = token.start()
        number = bisect_right(self._starts, start)
        place = Place(self._file, number, start - self._starts[number - 1] + 1)
        return SyslogNgNode(text, place, self._line_at(start), quoted, arguments, body)

    def _line_at(self, start: int) -> str:
        end = self._text.find("\n", start)
        return self._text[start : len(self._text) if end < 0 else end][:300].strip()

    def _peek(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _is(self, sign: str) -> bool:
        token = self._peek()
        return token is not None and token["sign"] == sign
