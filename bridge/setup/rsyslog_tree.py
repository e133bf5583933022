"""Parses ``rsyslog.conf`` into a tree of statements, without executing anything.

It reads RainerScript and the older ``$`` directives and ``selector action`` lines. It is tolerant: what it cannot read
becomes a statement of kind *unknown*, from there to the end of the line.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.config.faults import Place

DEEPEST = 40
_LONGEST_EXPRESSION = 20_000
BLANK = re.compile(r"(?:\s+|\#[^\n]*|/\*.*?(?:\*/|\Z))+", re.DOTALL)
_OBJECT = re.compile(
    r"(input|module|template|ruleset|action|global|main_queue|include|timezone|parser|dyn_stats|lookup_table"
    r"|percentile_stats|ratelimit)\s*\(",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"([A-Za-z_][\w.]*)\s*=\s*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_BARE = re.compile(r"[^\s()\[\],\"']+")
_WORD = re.compile(r"[A-Za-z_]+")
# The filter of an older rule, before an action in RainerScript.
_FILTER = re.compile(
    r'(?::[^"\n]*"(?:[^"\\\n]|\\.)*"[ \t]*|&[ \t]*|[\w*,.;!=]+[ \t]+)(?=action\s*\(|call[ \t]|stop\b|\{)', re.IGNORECASE
)
_CALL = re.compile(r"call[ \t]+[\"']?([\w.-]+)[\"']?", re.IGNORECASE)
_THEN = re.compile(r"then(?![\w-])", re.IGNORECASE)
_ELSE = re.compile(r"else(?![\w-])", re.IGNORECASE)


@dataclass(frozen=True)
class RsyslogStatement:
    """A statement. ``kind`` is its keyword: input, if, directive, rule, stop, call, unknown, unbalanced, ...

    ``text`` is the expression of an *if*, the value of a *directive*, the name of a *call*, the line of a *rule* and
    the fault of an *unbalanced* brace.
    """

    kind: str
    place: Place
    line: str
    name: str = ""
    text: str = ""
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Sequence["RsyslogStatement"] = ()
    otherwise: Sequence["RsyslogStatement"] = ()

    def one(self, name: str, default: str = "") -> str:
        """Returns the value of a parameter; names ignore case."""
        values = self.parameters.get(name.lower(), ())
        return values[0] if values else default


class _Unreadable(Exception):
    """Raised at text that does not follow the grammar."""


def parse_rsyslog(text: str, file: str) -> list[RsyslogStatement]:
    """Returns the statements of a file."""
    parser = _RsyslogParser(text, file)
    return [*parser.statements(0), *parser.unbalanced()]


def unescaped(text: str) -> str:
    """Resolves the escapes of a quoted string."""
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text, flags=re.DOTALL)


class _RsyslogParser:
    """Reads statements from a text; ``_at`` is the position of the next character."""

    def __init__(self, text: str, file: str) -> None:
        # Only the older directives continue lines, and there is no other use of a backslash before the line's end.
        self._text = text.replace("\\\n", "  ")
        self._file = file
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._faults: dict[int, str] = {}

    def unbalanced(self) -> list[RsyslogStatement]:
        """Returns a statement for each brace without a partner."""
        return [
            RsyslogStatement(
                "unbalanced", self._place(at), self._text[: at].rpartition("\n")[2].lstrip() + self._line_at(at),
                text=f"the {self._text[at]} in this line {fault}; correct the file and import it again",
            )
            for at, fault in sorted(self._faults.items())
        ]  # fmt: skip

    def statements(self, depth: int) -> list[RsyslogStatement]:
        """Reads statements up to the end of the text, or of the block if ``depth`` is not 0."""
        found: list[RsyslogStatement] = []
        while True:
            self._blank()
            if self._at >= len(self._text):
                return found
            if self._text[self._at] == "}":
                if depth:
                    return found
                self._faults[self._at] = "closes nothing"
                self._at += 1
                continue
            found.append(self._statement(depth))

    def _statement(self, depth: int) -> RsyslogStatement:
        start = self._at
        try:
            if depth > DEEPEST:
                raise _Unreadable
            return self._read(start, depth)
        except _Unreadable:
            self._at = start
            line = self._rest_of_line()
            return RsyslogStatement("unknown", self._place(start), line)

    def _read(self, start: int, depth: int) -> RsyslogStatement:
        if match := _OBJECT.match(self._text, start):
            return self._object(match, depth)
        character = self._text[start]
        if character == "$":
            line = self._rest_of_line()
            name, _, value = line[1:].partition(" ")
            return RsyslogStatement("directive", self._place(start), line, name.lower(), value.strip())
        word = _WORD.match(self._text, start)
        keyword = word[0].lower() if word else ""
        if keyword == "if":
            return self._if(start, depth)
        if keyword == "foreach":
            raise _Unreadable
        if keyword in ("stop", "continue") and not self._is_selector():
            self._at += len(keyword)
            return RsyslogStatement(keyword, self._place(start), keyword)
        if call := _CALL.match(self._text, start):
            self._at = call.end()
            return RsyslogStatement("call", self._place(start), call[0], text=call[1])
        if keyword in ("call_indirect", "set", "reset", "unset") and not self._is_selector():
            line = self._rest_of_line()
            value = line[len(keyword) :].strip().rstrip(";").strip().strip("\"'")
            return RsyslogStatement(keyword, self._place(start), line, text=value)
        if head := _FILTER.match(self._text, start):
            line = self._line_at(start)
            self._at = head.end()
            return RsyslogStatement("rule", self._place(start), line, text=head[0], body=self._branch(depth))
        line = self._rest_of_line()
        return RsyslogStatement("rule", self._place(start), line, text=line)

    def _is_selector(self) -> bool:
        return re.compile(r"[A-Za-z_]+[.,;]").match(self._text, self._at) is not None

    def _object(self, match: re.Match[str], depth: int) -> RsyslogStatement:
        start, kind = match.start(), match[1].lower()
        self._at = match.end()
        parameters: dict[str, tuple[str, ...]] = {}
        while True:
            self._blank()
            if self._take(")"):
                break
            name = _PARAMETER.match(self._text, self._at)
            if name is None:
                raise _Unreadable
            self._at = name.end()
            parameters[name[1].lower()] = self._value()
        body: list[RsyslogStatement] = []
        if kind in ("ruleset", "template"):
            self._blank()
            if self._take("{"):
                body = self._properties() if kind == "template" else self._block(depth)
        return RsyslogStatement(
            kind, self._place(start), self._line_at(start), parameters.get("name", ("",))[0], parameters=parameters,
            body=body,
        )  # fmt: skip

    def _properties(self) -> list[RsyslogStatement]:
        """Reads the body of a list template: property(...) and constant(...)."""
        found: list[RsyslogStatement] = []
        while True:
            self._blank()
            if self._take("}"):
                return found
            start = self._at
            name = re.compile(r"(property|constant)\s*\(", re.IGNORECASE).match(self._text, start)
            if name is None:
                raise _Unreadable
            found.append(self._object(name, 0))

    def _block(self, depth: int) -> list[RsyslogStatement]:
        brace = self._at - 1
        body = self.statements(depth + 1)
        # An open block ends with the text: to read its lines again for each level would take exponential time.
        if not self._take("}"):
            self._faults[brace] = "is not closed"
        return body

    def _if(self, start: int, depth: int) -> RsyslogStatement:
        self._at += 2
        expression = self._expression()
        body = self._branch(depth)
        otherwise: list[RsyslogStatement] = []
        after = self._at
        self._blank()
        if found := _ELSE.match(self._text, self._at):
            self._at = found.end()
            otherwise = self._branch(depth)
        else:
            self._at = after
        line = self._line_at(start)
        return RsyslogStatement("if", self._place(start), line, text=expression, body=body, otherwise=otherwise)

    def _branch(self, depth: int) -> list[RsyslogStatement]:
        self._blank()
        if self._take("{"):
            return self._block(depth)
        if self._at >= len(self._text):
            raise _Unreadable
        return [self._statement(depth + 1)]

    def _expression(self) -> str:
        """Returns the text up to *then*, which is not in quotes."""
        start = self._at
        while self._at < min(len(self._text), start + _LONGEST_EXPRESSION):
            if passed := _STRING.match(self._text, self._at) or BLANK.match(self._text, self._at):
                self._at = passed.end()
            elif (then := _THEN.match(self._text, self._at)) and not re.match(r"[\w$!.-]", self._text[self._at - 1]):
                expression = self._text[start : self._at]
                self._at = then.end()
                return expression
            else:
                self._at += 1
        raise _Unreadable

    def _value(self) -> tuple[str, ...]:
        self._blank()
        if self._take("["):
            values: list[str] = []
            while not self._take("]"):
                values += self._value()
                self._blank()
                self._take(",")
                self._blank()
            return tuple(values)
        if string := _STRING.match(self._text, self._at):
            self._at = string.end()
            return (unescaped(string[1] if string[1] is not None else string[2]),)
        if bare := _BARE.match(self._text, self._at):
            self._at = bare.end()
            return (bare[0],)
        raise _Unreadable

    def _take(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _blank(self) -> None:
        if blank := BLANK.match(self._text, self._at):
            self._at = blank.end()

    def _rest_of_line(self) -> str:
        end = self._text.find("\n", self._at)
        end = len(self._text) if end < 0 else end
        line = self._text[self._at : end]
        # A block may end in the line of its last statement: `{ stop }`.
        if (close := _end_of_block(line)) is not None:
            end, line = self._at + close, line[:close]
        self._at = max(end, self._at + 1)
        return line.strip()

    def _line_at(self, start: int) -> str:
        return self._text[start:].split("\n", 1)[0].strip()

    def _place(self, start: int) -> Place:
        line = bisect_right(self._starts, start)
        return Place(self._file, line, start - self._starts[line - 1] + 1)


def _end_of_block(line: str) -> int | None:
    """Returns the position of a closing brace that the line does not open, outside of quotes."""
    depth, at = 0, 0
    while at < len(line):
        if string := _STRING.match(line, at):
            at = string.end()
            continue
        depth += {"{": 1, "}": -1}.get(line[at], 0)
        if depth < 0:
            return at
        at += 1
    return None
