"""Searches texts with a regular expression that an operator wrote, with bounded work whatever a sender writes.

PCRE2 counts the steps of a search and gives up at a *match limit*, so a message that makes an expression backtrack
costs milliseconds and not minutes. PCRE2 counts anew at each position of a text where a match may start. The limit is
lower for longer texts, so that the steps of all positions together are bounded as well. The same expression and text
always give the same result, on a machine that may compile expressions to machine code (JIT).

Expressions apply to bytes, because a message may have any encoding: ``.`` is one byte, and ``\\w`` is ASCII.
"""

import ctypes
from bisect import bisect_left

from bridge.util import pcre2

Span = tuple[int, int]
"Start and end of a match in a text."

LENGTHS = (512, 4096, 32_768)
"Upper bounds of the lengths of texts, in bytes, that have a match limit in common."
LIMITS = (100_000, 12_500, 1_500, 200)
"Match limits of the texts within ``LENGTHS``, and of longer ones. Length times limit is at most 52 million steps."
LIMITS_WITHOUT_JIT = (2_000, 500, 150, 50)
"Match limits where PCRE2 interprets expressions, which takes ten times as long per step."
UNLIMITED = 0xFFFFFFFF


class ExpressionError(ValueError):
    """Raised for an expression that PCRE2 rejects. The text says why and where."""


class MissingLibrary(Exception):
    """Raised if the system does not have PCRE2. The text says what to install."""

    def __init__(self) -> None:
        super().__init__(
            "regular expressions need libpcre2-8, which is not installed. Install it (Debian: libpcre2-8-0)"
        )


class LimitExceeded(Exception):
    """Raised if a search exceeds the match limit: it is unknown whether the text matches."""


class Expression:
    """Holds a compiled regular expression. Several threads may use it at once.

    ``limited`` is False for an expression of this program whose searches take linear time. Raises ExpressionError
    and MissingLibrary.
    """

    __slots__ = ("_code", "_library", "_limits", "text")

    def __init__(self, text: str, *, limited: bool = True) -> None:
        self._code = None
        self.text = text
        "The expression as it was written."
        library = pcre2.load()
        if library is None:
            raise MissingLibrary
        self._library = library
        pattern, error, at = text.encode("utf-8", "surrogateescape"), ctypes.c_int(), ctypes.c_size_t()
        code = library.compile(pattern, len(pattern), pcre2.NEVER_UTF, error, at, library.context)
        if not code:
            place = f"at character {len(pattern[: at.value].decode('utf-8', 'replace')) + 1}"
            raise ExpressionError(f"{library.error_message(error.value)}, {place}")
        self._code = ctypes.c_void_p(code)
        has_jit = library.jit_compile(self._code, pcre2.JIT_COMPLETE) == 0
        self._limits = (UNLIMITED,) * len(LIMITS) if not limited else LIMITS if has_jit else LIMITS_WITHOUT_JIT

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self) -> tuple[type["Expression"], tuple[str]]:
        return Expression, (self.text,)

    def __del__(self) -> None:
        if self._code:
            self._library.free(self._code)

    def matches(self, text: bytes) -> bool:
        """Returns True if the expression matches anywhere in a text. Raises LimitExceeded."""
        searcher = self._library.searcher(self._limits)
        length = len(text)
        found: int = self._library.match(
            self._code, text, length, 0, 0, searcher.match_data, searcher.contexts[_class_of(length)]
        )
        self._library.release_searcher(searcher)
        if found >= 0:
            return True
        if found == pcre2.NO_MATCH:
            return False
        raise LimitExceeded

    def spans(self, text: bytes) -> list[Span]:
        """Returns the matches in a text, in order, without overlaps and without empty ones. Raises LimitExceeded."""
        searcher, found, start = self._library.searcher(self._limits), [], 0
        try:
            while (span := self._next(searcher, text, start)) is not None:
                # ``\K`` can set the start of a match behind its end.
                if span[0] < span[1]:
                    found.append(span)
                start = max(span[1], start + 1)
        finally:
            self._library.release_searcher(searcher)
        return found

    def rows(self, block: bytes) -> list[int]:
        """Returns the numbers of the rows of a block that have a match. An LF precedes each row.

        The expression must not match an LF. Raises LimitExceeded.
        """
        searcher, rows, row, counted, start = self._library.searcher(self._limits), [], -1, 0, 0
        try:
            while start >= 0 and (span := self._next(searcher, block, start)) is not None:
                row += block.count(b"\n", counted, span[0])
                rows.append(row)
                counted = span[0]
                start = block.find(b"\n", span[1])
        finally:
            self._library.release_searcher(searcher)
        return rows

    def _next(self, searcher: pcre2.Searcher, text: bytes, start: int) -> Span | None:
        length = len(text)
        context = searcher.contexts[_class_of(length)]
        found = self._library.match(self._code, text, length, start, pcre2.NOT_EMPTY, searcher.match_data, context)
        if found >= 0:
            return searcher.span[0], searcher.span[1]
        if found == pcre2.NO_MATCH:
            return None
        raise LimitExceeded


def _class_of(length: int) -> int:
    """Returns the place of a text's match limit in ``LIMITS``."""
    return bisect_left(LENGTHS, length)
