"""Encodes events as lines on disk: first the text encoding, then one of the two spool encodings.

In ``lines``, LF, CR and NUL inside an event become ``#012``, ``#015`` and ``#000``, as rsyslog writes them, so that no
sender can forge a second event. In ``json``, each line is one JSON string. Both encodings convert to every endpoint.
"""

import json
from collections.abc import Sequence

LINES, JSON = "lines", "json"

# ``json.dumps`` makes an encoder for each call.
_as_json = json.JSONEncoder(ensure_ascii=False).encode

# Windows-1252 where it differs from Latin-1. The five bytes that Windows-1252 leaves undefined stay control
# characters, as in Latin-1.
_WINDOWS_1252 = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


def joined_lines(events: Sequence[bytes]) -> bytes:
    """Joins events that contain no LF into lines."""
    return escaped_lines(b"\n".join((*events, b"")))


def escaped_lines(lines: bytes) -> bytes:
    """Escapes CR and NUL in lines whose events contain no LF, in one pass over all lines."""
    if b"\r" in lines or b"\0" in lines:
        lines = lines.replace(b"\r", b"#015").replace(b"\0", b"#000")
    return lines


class _Before(dict[int, bytes]):
    """Caches the bytes before a timed event: LF, its milliseconds and a TAB. Most times repeat within a second."""

    MOST = 20_000

    def __missing__(self, ms: int) -> bytes:
        if len(self) >= self.MOST:
            self.clear()
        before = self[ms] = b"\n%d\t" % ms
        return before


_before = _Before()


def joined_timed_lines(events: Sequence[bytes], times: Sequence[int]) -> bytes:
    """Joins events into lines like ``joined_lines``, with the milliseconds of each event and a TAB before it."""
    parts = [b""] * (2 * len(events) + 1)
    parts[2::2] = events
    return interleaved_timed_lines(parts, times)


def interleaved_timed_lines(interleaved: list[bytes], times: Sequence[int]) -> bytes:
    """Replaces the placeholder before each event by its time, and joins them into timed lines; see
    ``Stamped.interleaved``. The list is changed."""
    interleaved[1::2] = map(_before.__getitem__, times)
    # The LF belongs after the last event, not before the first.
    interleaved[1] = interleaved[1][1:]
    interleaved.append(b"\n")
    return escaped_lines(b"".join(interleaved))


def escaped(event: bytes) -> bytes:
    """Returns an event with LF, CR and NUL escaped, so that it fits on one line."""
    return event.replace(b"\n", b"#012").replace(b"\r", b"#015").replace(b"\0", b"#000")


def json_line(event: bytes) -> bytes:
    """Returns an event as one JSON string in UTF-8, without LF. Bytes that are not UTF-8 become lone surrogates."""
    text = _as_json(event.decode("utf-8", "surrogateescape"))
    # UTF-8 cannot encode lone surrogates. Python's backslash form of a surrogate is also the JSON escape.
    return text.encode("utf-8", "backslashreplace")


def from_json_line(line: bytes) -> bytes:
    """Decodes the event of a JSON line. Raises ValueError if the line is not a JSON string."""
    event = json.loads(line)
    if not isinstance(event, str):
        raise ValueError("not a JSON string")
    return event.encode("utf-8", "surrogateescape")


def is_utf8(data: bytes) -> bool:
    """Returns True if the bytes are valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_utf8(event: bytes, encoding: str) -> tuple[bytes, bool]:
    """Returns an event in UTF-8, and whether it was converted. ``encoding`` is ``auto`` (bytes that are not UTF-8
    are read as Windows-1252), ``latin-1``, or ``bytes`` (unchanged)."""
    if encoding == "bytes" or event.isascii():
        return event, False
    if encoding == "latin-1":
        return event.decode("latin-1").encode(), True
    if is_utf8(event):
        return event, False
    return event.decode("latin-1").translate(_WINDOWS_1252).encode(), True
