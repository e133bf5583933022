"""Replaces parts of a text so that valid JSON, key=value pairs and structured data stay valid.

A text is divided into *tokens*: its keys, its values, and in ``key=value`` texts the words between pairs. A part within
one token is replaced there. Of a part that covers several tokens, only the values and words are replaced: keys, quotes
and separators stay. A number of JSON becomes a string. A part never ends within an escape or a character of UTF-8.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.syslog.frames import BLANK
from bridge.util.expression import Span


class Part(NamedTuple):
    """A part of a text to replace."""

    start: int
    end: int
    replacement: bytes
    "Letters, digits and characters that no form of text needs to escape."


class _Token(NamedTuple):
    """A token of a text. Its quotes are not part of it."""

    start: int
    end: int
    kind: str
    "key | value | number (of JSON, which has no quotes) | word (text between pairs)"


_ESCAPE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL)
_JSON_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"([ \t\r\n]*+:)?|(-?[0-9][0-9.eE+-]*+|true|false|null)', re.DOTALL)
_PAIR = re.compile(rb"""([A-Za-z_][\w.-]*+)=(?:"((?:[^"\\]|\\.)*+)"|'([^'\n]*+)'|([^\s,;|"']*+))""", re.DOTALL)
_SD_PARAM = re.compile(rb'="((?:[^"\\]|\\.)*+)"', re.DOTALL)
_BOUNDARY = re.compile(rb"""[\s=,;|"'\\\x80-\xff]""")
"A byte at which a token of a text without JSON may end."
_SEPARATORS = b" \t\r\n,;|"
_CONTINUATION = range(0x80, 0xC0)


def replaced(text: bytes, parts: Sequence[Part]) -> bytes:
    """Returns a message with its parts replaced. The parts are in order and do not overlap."""
    start, end = _json_within(text)
    if start == end:
        if all(_is_within_a_token(text, part) for part in parts):
            return _spliced(text, parts)
        return _replaced(text, parts, [*_pairs(text, 0, len(text))])
    tokens = [*_pairs(text, 0, start), *_json_tokens(text, start, end), *_pairs(text, end, len(text))]
    return _replaced(text, parts, tokens)


def _is_within_a_token(text: bytes, part: Part) -> bool:
    """Returns True if a part of a text without JSON is certainly within one token, and needs no widening."""
    return (
        _BOUNDARY.search(text, part.start, part.end) is None
        and text[part.start - 1 : part.start] != b"\\"
        and text[part.start : part.end + 1].isascii()
    )


def _spliced(text: bytes, parts: Sequence[Part]) -> bytes:
    pieces, done = [], 0
    for start, end, replacement in parts:
        pieces += [text[done:start], replacement]
        done = end
    return b"".join([*pieces, text[done:]])


def replaced_values(data: bytes, parts: Sequence[Part]) -> bytes:
    """Returns structured data with the values within its parts replaced. Names stay."""
    tokens = [_Token(*param.span(1), "value") for param in _SD_PARAM.finditer(data)]
    return _replaced(data, parts, tokens)


def _json_within(text: bytes) -> Span:
    """Returns the place of a JSON object or array that ends a text, such as ``@cee: {...}``, or an empty span."""
    end = len(text.rstrip(BLANK))
    for opening, closing in ((b"{", b"}"), (b"[", b"]")):
        start = text.find(opening)
        if start >= 0 and text[end - 1 : end] == closing and (opening == b"{" or not text[:start].strip()):
            try:
                # Every byte is a character of Latin-1, so the encoding of the text does not matter. Python refuses to
                # convert numbers of more than 4,300 digits.
                json.loads(text[start:end].decode("latin-1"), parse_int=str)
            except (ValueError, RecursionError):
                continue
            return start, end
    return 0, 0


def _json_tokens(text: bytes, start: int, end: int) -> Iterator[_Token]:
    for token in _JSON_TOKEN.finditer(text, start, end):
        if token.start(3) >= 0:
            yield _Token(*token.span(3), "number")
        else:
            yield _Token(*token.span(1), "value" if token[2] is None else "key")


def _pairs(text: bytes, start: int, end: int) -> Iterator[_Token]:
    done = start
    for pair in _PAIR.finditer(text, start, end):
        yield from _word(text, done, pair.start())
        yield _Token(*pair.span(1), "key")
        yield _Token(*next(pair.span(group) for group in (2, 3, 4) if pair.start(group) >= 0), "value")
        done = pair.end()
    yield from _word(text, done, end)


def _word(text: bytes, start: int, end: int) -> Iterator[_Token]:
    """Yields the text between two pairs, without separators at its ends."""
    words = text[start:end]
    first, last = start + len(words) - len(words.lstrip(_SEPARATORS)), start + len(words.rstrip(_SEPARATORS))
    if first < last:
        yield _Token(first, last, "word")


def _replaced(text: bytes, parts: Sequence[Part], tokens: Sequence[_Token]) -> bytes:
    pieces, done, first = [], 0, 0
    for part in parts:
        while first < len(tokens) and tokens[first].end <= part.start:
            first += 1
        covered = []
        for token in tokens[first:]:
            if token.start >= part.end:
                break
            covered.append(token)
        if len(covered) > 1:
            covered = [token for token in covered if token.kind != "key"] or covered
        for token in covered:
            start, end = _within(text, part, token)
            start = max(start, done)
            if start >= end:
                continue
            quote = b'"' if token.kind == "number" else b""
            pieces += [text[done:start], quote, part.replacement, quote]
            done = end
    return b"".join([*pieces, text[done:]])


def _within(text: bytes, part: Part, token: _Token) -> Span:
    """Returns the bytes of a token to replace: those of the part, and the rest of a number, escape or character."""
    if token.kind == "number":
        return token.start, token.end
    start, end = max(part.start, token.start), min(part.end, token.end)
    inside = text[token.start : token.end]
    if b"\\" in inside and token.kind != "word":
        for escape in _ESCAPE.finditer(text, token.start, token.end):
            if escape.start() >= end:
                break
            if escape.start() < start < escape.end():
                start = escape.start()
            if escape.start() < end < escape.end():
                end = escape.end()
    if not inside.isascii():
        while start > token.start and text[start] in _CONTINUATION:
            start -= 1
        while end < token.end and text[end] in _CONTINUATION:
            end += 1
    return start, end
