"""Converts regular expressions and fixed texts of other syslog servers into expressions of PCRE2.

rsyslog searches with POSIX expressions, basic (``regex``) or extended (``ereregex``, ``re_match``). Only what means the
same in PCRE2 is converted:

- ``.`` and a list such as ``[^a]`` match a line end, and ``$`` is the end of the text: ``(?s)`` and ``\\z``.
- In a list, a backslash is itself. Elsewhere, GNU's ``\\w \\W \\s \\S \\b \\B`` are the same in PCRE2, and a backslash
  before another letter, such as ``\\d``, is not what it seems.
- A quantifier behind another one (``a*?``) has another meaning in PCRE2.
- In a basic expression, ``\\( \\) \\{ \\} \\| \\+ \\?`` are operators, and the bare characters are themselves.

The text begins at its first non-blank in the bridge, and at the blank behind the tag in rsyslog.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bridge.config.fields import LONGEST_REGEX
from bridge.util.expression import Expression, ExpressionError, MissingLibrary

TEXT_BEGIN = "the bridge's text begins at its first non-blank, the original's may begin with a blank"
"The difference of a test that depends on the beginning of the text."
_GNU = frozenset("wWsSbB")
_CLASSES = frozenset(
    f"[:{name}:]" for name in ("alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
                               "upper", "xdigit")
)  # fmt: skip
_INTERVAL = re.compile(r"([0-9]{1,3})(,?)([0-9]{0,3})")
_ANY_BLANKS = re.compile(r"(?: |\\s|\[(?: |\[:space:\]|\[:blank:\])\])\*")


class NotConvertible(Exception):
    """Raised when a condition has no counterpart; the text says why and what to do."""


class TextExpression(NamedTuple):
    """An expression for ``message: {matches}``, and what differs from the original; blank if nothing does."""

    text: str
    difference: str = ""


def checked(expression: str) -> str:
    """Returns an expression that the configuration accepts. Raises NotConvertible."""
    if len(expression) > LONGEST_REGEX:
        raise NotConvertible(f"the expression is longer than {LONGEST_REGEX} characters; write several")
    try:
        Expression(expression)
    except ExpressionError as error:
        raise NotConvertible(f"it is not an expression of PCRE2: {error}") from None
    except MissingLibrary:
        pass  # `check` says how to install it.
    return expression


def escaped(text: str) -> str:
    """Returns an expression that matches a text itself."""
    return re.sub(r"([\\^$.\[\]|()?*+{}])", r"\\\1", text)


def as_expressions(key: str, values: Sequence[str]) -> tuple[str, ...]:
    """Returns the members of ``contains``, ``starts_with`` or ``matches`` as expressions."""
    if key == "matches":
        return tuple(values)
    return tuple(checked(f"\\A{escaped(value)}" if key == "starts_with" else escaped(value)) for value in values)


def posix_expression(pattern: str, *, extended: bool, ignores_case: bool = False) -> TextExpression:
    """Converts a POSIX expression. Raises NotConvertible for one that may have another meaning in PCRE2."""
    reader = _PosixReader(pattern, extended=extended)
    text = reader.read()
    if options := ("i" if ignores_case else "") + ("s" if reader.has_dot else ""):
        text = f"(?{options}){text}"
    return TextExpression(checked(text), TEXT_BEGIN if reader.depends_on_begin else "")


class _PosixReader:
    """Reads a POSIX expression atom by atom."""

    def __init__(self, pattern: str, *, extended: bool) -> None:
        self._pattern = pattern
        self._extended = extended
        self._at = 0
        self._depth = 0
        self._out: list[str] = []
        self.has_dot = False
        self.depends_on_begin = False
        "True if a match may depend on the blank at the beginning of rsyslog's text."

    def read(self) -> str:
        """Returns the expression in the syntax of PCRE2."""
        if not self._pattern:
            raise NotConvertible("the expression is empty")
        at_start = True
        while self._at < len(self._pattern):
            at_start = self._piece(at_start=at_start)
        if self._depth:
            raise NotConvertible("a parenthesis of the expression is not closed")
        return "".join(self._out)

    def _piece(self, *, at_start: bool) -> bool:
        """Converts an anchor, a parenthesis, or an atom with its quantifier; returns True at an alternative's start."""
        token = self._next()
        if token in ("(", "|"):
            self._depth += token == "("
            self._out.append(token)
            return True
        if token == ")":
            self._depth -= 1
            if self._depth < 0:
                raise NotConvertible("a parenthesis of the expression closes nothing")
            self._out.append(f"){self._quantifier()}")
            return False
        if token in ("^", "$"):
            return self._anchor(token, at_start=at_start)
        if token in ("*", "+", "?", "{"):
            if at_start:
                raise NotConvertible("a quantifier of the expression follows nothing")
            raise NotConvertible("a quantifier behind another one has another meaning in PCRE2")
        atom = self._list() if token == "[" else self._single(token)
        quantifier = self._quantifier()
        if at_start and quantifier != "*":
            if token == " " and not quantifier and not self._depth:
                atom = "(?:\\A| )"
                self.depends_on_begin = True
            else:
                self.depends_on_begin = self.depends_on_begin or _may_be_blank(atom)
        self._out.append(atom + quantifier)
        return False

    def _anchor(self, token: str, *, at_start: bool) -> bool:
        if token == "$":
            if not self._ends_here():
                raise NotConvertible("a $ within the expression")
            self._out.append("\\z")
            return False
        if not at_start:
            raise NotConvertible("a ^ within the expression")
        self._out.append("\\A")
        if _ANY_BLANKS.match(self._pattern, self._at):
            return False
        self.depends_on_begin = True
        following = self._pattern[self._at : self._at + 2]
        if following[:1] == " " and following[1:] not in ("*", "+", "?", "{", " ", "\\"):
            self._at += 1
        return False

    def _ends_here(self) -> bool:
        rest = self._pattern[self._at :]
        return not rest or rest.startswith((")", "|") if self._extended else ("\\)", "\\|"))

    def _next(self) -> str:
        """Returns the next token; operators of a basic expression have the form of an extended one."""
        token = self._pattern[self._at]
        self._at += 1
        if token == "\\":
            if self._at >= len(self._pattern):
                raise NotConvertible("the expression ends with a backslash")
            token += self._pattern[self._at]
            self._at += 1
            if not self._extended and token[1] in "(){}|+?":
                return token[1]
            return token
        if self._extended:
            return token
        if token in "(){}|+?":
            return f"\\{token}"
        if token == "^" and not self._is_basic_anchor():
            return "\\^"
        if token == "$" and not self._ends_here():
            return "\\$"
        return "\\*" if token == "*" and self._is_basic_anchor() else token

    def _is_basic_anchor(self) -> bool:
        """Returns True at the start of a basic expression or alternative, where ^ is an anchor and * is itself."""
        before = self._pattern[: self._at - 1]
        return not before or before.endswith(("\\(", "\\|")) or (before == "^" and self._pattern[self._at - 1] == "*")

    def _single(self, token: str) -> str:
        if token == ".":
            self.has_dot = True
            return "."
        character = token[-1]
        if len(token) == 2 and character.isalnum():
            if character in _GNU:
                return token
            raise NotConvertible(f"\\{character} is not in POSIX expressions, so it is unclear what it matches")
        if len(token) == 2 and character in "<>`'":
            return {"<": "\\b(?=\\w)", ">": "\\b(?<=\\w)", "`": "\\A", "'": "\\z"}[character]
        if ord(character) < 32 or (ord(character) > 126 and self._quantifier(peek=True)):
            raise NotConvertible("a control character or repeated non-ASCII character in the expression")
        return escaped(character)

    def _list(self) -> str:
        """Converts a list in brackets, behind its first bracket."""
        match = re.compile(r"\^?\]?(?:\[[:.=].*?[:.=]\]|[^\]])*\]", re.DOTALL).match(self._pattern, self._at)
        if match is None:
            raise NotConvertible("a [ of the expression is not closed")
        self._at = match.end()
        body = match[0][:-1]
        negation, body = ("^", body[1:]) if body.startswith("^") else ("", body)
        if not body.isascii() or any(ord(character) < 32 for character in body):
            raise NotConvertible("a list with non-ASCII or control characters has another meaning in PCRE2")
        out, at = [], 0
        while at < len(body):
            if body.startswith(("[:", "[.", "[="), at):
                name = body[at : body.find("]", at) + 1]
                if name not in _CLASSES:
                    raise NotConvertible("a list has an element without counterpart in PCRE2")
                out.append(name)
                at += len(name)
                continue
            character = body[at]
            plain = character.isalnum() or character == " "
            is_range = character == "-" and 0 < at < len(body) - 1
            out.append(character if plain or is_range else f"\\{character}")
            at += 1
        return f"[{negation}{''.join(out)}]"

    def _quantifier(self, *, peek: bool = False) -> str:
        start = self._at
        found = self._read_quantifier()
        if peek:
            self._at = start
        return found

    def _read_quantifier(self) -> str:
        if self._at >= len(self._pattern):
            return ""
        start = self._at
        token = self._next()
        if token in ("*", "+", "?"):
            return token
        if token != "{":
            self._at = start
            return ""
        match = _INTERVAL.match(self._pattern, self._at)
        end = "}" if self._extended else "\\}"
        if match is None or not self._pattern.startswith(end, match.end()):
            raise NotConvertible("a { of the expression is not a number of repetitions")
        self._at = match.end() + len(end)
        return f"{{{match[0]}}}"


def _may_be_blank(atom: str) -> bool:
    """Returns True if an atom matches a blank."""
    try:
        return Expression(atom).matches(b" ")
    except MissingLibrary:
        return True
