"""Events as bytes on disk, one a line: text encoding first, then one of the two spool encodings.

``lines``: LF, CR and NUL inside an event become ``#012``, ``#015``, ``#000``, as rsyslog writes them, so that no sender
can forge a second event. ``json``: a JSON string a line. Both convert to every endpoint.
"""

import json
from collections.abc import Sequence

LINES, JSON = "lines", "json"

# Windows-1252 where it differs from Latin-1; its five undefined bytes stay the control characters they are there.
_WINDOWS_1252 = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def joined_lines(events: Sequence[bytes]) -> bytes:
    """Events that hold no LF, as lines."""
    return escaped_lines(b"\n".join((*events, b"")))


def escaped_lines(lines: bytes) -> bytes:
    """Lines whose events hold no LF; CR and NUL are escaped in the whole at once."""
    if b"\r" in lines or b"\0" in lines:
        lines = lines.replace(b"\r", b"#015").replace(b"\0", b"#000")
    return lines


class _Before(dict[int, bytes]):
    """What stands before each event of a time: most times come again, as seconds do."""

    MOST = 20_000

    def __missing__(self, ms: int) -> bytes:
        if len(self) >= self.MOST:
            self.clear()
        before = self[ms] = b"\n%d\t" % ms
        return before


_before = _Before()


def joined_timed_lines(events: Sequence[bytes], times: Sequence[int]) -> bytes:
    """The same, with the milliseconds of each event, and a TAB, before each."""
    parts = [b""] * (2 * len(events) + 1)
    parts[2::2] = events
    return woven_timed_lines(parts, times)


def woven_timed_lines(woven: list[bytes], times: Sequence[int]) -> bytes:
    """The same of events that stand with something before each, which gives way to their times; see ``Columns.woven``.
    The list is changed."""
    woven[1::2] = map(_before.__getitem__, times)
    # An LF behind the last instead of the one before the first.
    woven[1] = woven[1][1:]
    woven.append(b"\n")
    return escaped_lines(b"".join(woven))


def escaped(event: bytes) -> bytes:
    """An event as the inside of one line."""
    return event.replace(b"\n", b"#012").replace(b"\r", b"#015").replace(b"\0", b"#000")


def json_line(event: bytes) -> bytes:
    """An event as one JSON string, without LF, in UTF-8. Bytes that are no UTF-8 become lone surrogates."""
    text = json.dumps(event.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    # UTF-8 has no lone surrogates; the backslash form of one happens to be JSON's own escape.
    return text.encode("utf-8", "backslashreplace")


def from_json_line(line: bytes) -> bytes:
    """The event of a JSON line. Raises ValueError where it is none."""
    event = json.loads(line)
    if not isinstance(event, str):
        raise ValueError("not a JSON string")
    return event.encode("utf-8", "surrogateescape")


def is_utf8(data: bytes) -> bool:
    """Whether bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_utf8(event: bytes, encoding: str) -> tuple[bytes, bool]:
    """An event in UTF-8, and whether it was converted. ``encoding`` is ``auto`` (what is no UTF-8 is read as
    Windows-1252), ``latin-1`` or ``bytes`` (left as it is)."""
    if encoding == "bytes" or event.isascii():
        return event, False
    if encoding == "latin-1":
        return event.decode("latin-1").encode(), True
    if is_utf8(event):
        return event, False
    return event.decode("latin-1").translate(_WINDOWS_1252).encode(), True
