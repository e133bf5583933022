"""Limits the header of an HTTP response. Twisted limits only the length of one line."""

MAX_BYTES = 64 * 1024
"Limit of all header bytes of one response, including interim (1xx) responses before it."
MAX_LINES = 1000
"Limit of the header lines of one response, in the same way."
MAX_LINE = 16 * 1024
"Limit of one header line in bytes. Twisted closes the connection at this length without an error."


class ResponseHead:
    """Reads along until the header of a response ends. It finds the same end as Twisted's parser."""

    def __init__(self) -> None:
        self.ended = False
        "True once the header is complete. Bytes after it are not counted."
        self.start = 0
        "Offset in all added bytes at which the current header begins. Interim responses are before it."
        self.end = 0
        "Offset behind the blank line of the final header; 0 if it has not arrived."
        self._data = b""

    def add(self, data: bytes) -> str | None:
        """Adds received bytes. Returns which limit the header exceeds; None if it exceeds none."""
        if self.ended:
            return None
        searched = max(self.start, len(self._data) - 2)
        self._data += data
        while not self.ended and (end := self._blank_line(searched)):
            searched = end
            if _is_interim(self._data[self.start : end]):
                self.start = end
            else:
                self.ended, self.end = True, end
        head = self._data[: self.end] if self.ended else self._data
        if self.ended:
            self._data = b""
        if len(head) > MAX_BYTES:
            return f"its header has more than {MAX_BYTES:,} bytes"
        if head.count(b"\n") > MAX_LINES:
            return f"its header has more than {MAX_LINES:,} lines"
        if not self.ended and len(head) - head.rfind(b"\n") > MAX_LINE:
            return f"a line of its header has more than {MAX_LINE:,} bytes"
        return None

    def _blank_line(self, start: int) -> int:
        """Returns the offset behind the next blank line; 0 if it has not arrived."""
        ends = [at + len(mark) for mark in (b"\n\n", b"\n\r\n") if (at := self._data.find(mark, start)) >= 0]
        return min(ends, default=0)


def _is_interim(head: bytes) -> bool:
    parts = head.split(b"\n", 1)[0].split(b" ", 2)
    try:
        return len(parts) > 1 and 100 <= int(parts[1]) < 200
    except ValueError:
        return False
