"""Reads a JSON body member by member, so that only one member is held as objects at a time.

``json.loads`` of a whole body would hold up to 25 times its size in objects, and the reactor for as long as it takes.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import NoReturn

from bridge.collector.refusal import Refusal

WINDOW = 1536 * 1024
"""Bytes of a body that are decoded at once, and the longest value. An event's 250 KiB fit even if each character is
written as an escape of six bytes."""

MAX_NAMES = 1000
"""Names that all objects around the events may have. Values beside the events are skipped, so no limit of events ends
the reading."""

_BLANK = re.compile(r"[ \t\n\r]*")
_CUT_TAIL = 16
"An error closer than this to the end of a window may be due to the cut: the longest token is a pair of escapes."
_CUT_EXPONENT = 2
"A number may go on if it ends at most this far from the end of a window: ``1`` of ``1e+16`` is followed by ``e+``."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode


class JsonReader:
    """Reads one JSON text from its beginning to its end. Raises Refusal (400) if it is not valid."""

    def __init__(self, body: bytes) -> None:
        encoding = json.detect_encoding(body)
        if encoding != "utf-8":
            # RFC 8259 requires UTF-8, but some clients send a byte order mark or UTF-16.
            try:
                body = body.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                raise _not_utf8() from None
        self._body = body
        self._begin = 0
        "Offset of the window in the body, in bytes."
        self._text = ""
        self._at = 0
        "Position in the window, in characters."
        self._last = False
        "True if the window reaches the end of the body."
        self._names = 0
        self.last_size = 0
        "Characters of the latest value."
        self._move()
        if not self.peek():
            raise Refusal(400, "the body is empty")

    def peek(self) -> str:
        """Returns the next character that is not blank; empty at the end."""
        while True:
            found = _BLANK.match(self._text, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._last:
                return ""
            self._move()

    def value(self) -> object:
        """Reads a value with everything in it. Raises Refusal (413) if it is longer than ``WINDOW``."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.pos > len(self._text) - _CUT_TAIL or error.msg.startswith("Unterminated")
                if self._last or not is_cut:
                    raise self._invalid(error.msg, error.pos) from None
            except RecursionError:
                raise Refusal(400, "the body is nested too deeply") from None
            except ValueError:
                raise Refusal(400, "the body is not valid JSON: a number is out of range") from None
            else:
                if end < len(self._text) - _CUT_EXPONENT or self._last:
                    self.last_size = end - self._at
                    self._at = end
                    return value
            if not self._at:
                raise Refusal(413, f"the body has a value longer than {WINDOW} bytes", reason="request_too_large")
            self._move()

    def members(self) -> Iterator[object]:
        """Yields the members of the array that comes next."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._take(",", "]") == "]":
                return

    def names(self) -> Iterator[str]:
        """Yields the names in the object that comes next. The caller reads each value before the next name.

        Raises Refusal (413) after ``MAX_NAMES`` names, in this object and others.
        """
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._invalid("Expecting property name enclosed in double quotes", self._at)
            self._names += 1
            if self._names > MAX_NAMES:
                text = f"the objects around the events have more than {MAX_NAMES} names"
                raise Refusal(413, text, reason="request_too_large")
            name = self.value()
            self._take(":")
            yield str(name)
            if self._take(",", "}") == "}":
                return

    def end(self) -> None:
        """Raises Refusal if another value follows."""
        if self.peek():
            raise self._invalid("Extra data", self._at)

    def _take(self, *expected: str) -> str:
        found = self.peek()
        if found not in expected:
            raise self._invalid(f"Expecting '{expected[0]}' delimiter", self._at)
        self._at += 1
        return found

    def _move(self) -> None:
        """Moves the window so that it begins at the current position."""
        self._begin += self._bytes_before(self._at)
        self._last = self._begin + WINDOW >= len(self._body)
        piece = self._body[self._begin : self._begin + WINDOW]
        try:
            # An incremental decoder leaves out a character that the window's end cuts.
            self._text = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode(piece, self._last)
        except UnicodeDecodeError:
            raise _not_utf8() from None
        self._at = 0

    def _bytes_before(self, position: int) -> int:
        return len(self._text[:position].encode("utf-8", "surrogatepass"))

    def _invalid(self, message: str, position: int) -> Refusal:
        """Returns the error with its place, and never the text there, which may be a key."""
        before = self._body[: self._begin + self._bytes_before(position)]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        line = before.count(b"\n") + 1
        return Refusal(400, f"the body is not valid JSON: {message}, line {line} column {column}")


def _not_utf8() -> Refusal:
    return Refusal(400, "the body is not valid JSON: it is not UTF-8")
