"""Limits the size of AMQP frames and messages. pika collects both without a limit until they are complete."""

import struct

MAX_FRAME = 131_072
"Bytes of one frame: the limit that pika asks for in the AMQP handshake."
MAX_MESSAGE = 32 * 1024 * 1024
"Bytes of one message. A batch has at most ``batch.max_bytes`` (10 MiB), and a time with each event."
_FRAME_HEADER, _CONTENT_HEADER = 7, 19
"Length of a frame's header, and of that of a content header frame up to the size of the message."
_CONTENT_TYPE = 2


class FrameLimit:
    """Reads along in the bytes of one connection. ``add`` sees each frame before it is complete."""

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0
        "Bytes until the end of the current frame."

    def add(self, data: bytes) -> str | None:
        """Adds received bytes. Returns which limit they exceed; None if they exceed none."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._wanted() - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == self._wanted() and (limit := self._begin_frame()) is not None:
                    return limit
            at += step
        return None

    def _wanted(self) -> int:
        """Returns how many bytes of the frame must be known."""
        is_content = len(self._head) >= _FRAME_HEADER and self._head[0] == _CONTENT_TYPE
        return _CONTENT_HEADER if is_content and self._size() >= _CONTENT_HEADER - _FRAME_HEADER else _FRAME_HEADER

    def _size(self) -> int:
        size: int = struct.unpack_from(">L", self._head, 3)[0]
        return size

    def _begin_frame(self) -> str | None:
        head, self._head = self._head, b""
        if head[:4] == b"AMQP":
            # A protocol header of eight bytes: the broker speaks another version.
            self._skip = 1
            return None
        (size,) = struct.unpack_from(">L", head, 3)
        if size > MAX_FRAME:
            return f"a frame of {size:,} bytes; at most {MAX_FRAME:,} were agreed"
        if len(head) == _CONTENT_HEADER:
            (message,) = struct.unpack_from(">Q", head, 11)
            if message > MAX_MESSAGE:
                return f"a message of {message:,} bytes; no batch has more than {MAX_MESSAGE:,}"
        # The payload is followed by one byte.
        self._skip = _FRAME_HEADER + size + 1 - len(head)
        return None
