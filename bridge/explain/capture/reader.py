"""Opens a capture, finds out what it is, and reads its frames with bounded memory."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from bridge.explain.capture.captured import SAMPLES_HEADER, CapturedFrame, read_sample_line
from bridge.explain.frames import Cutter
from bridge.routing.conditions import Address
from bridge.util.errors import BridgeError
from bridge.util.files import open_regular, shown_path

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 64 * 1024
_MAX_LINE = 1 << 20
_PACKETS = {b"\n\r\r\n", b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"}
_COMPRESSED = {b"\x1f\x8b": "gzip -d", b"BZ": "bzip2 -d", b"\xfd7": "xz -d", b"(\xb5": "zstd -d"}
INSTALL = "Install it: pip install 'syslog-bridge[pcap]'. The Debian package and the container have it"


class CaptureError(BridgeError):
    """Raised for a capture that cannot be read."""


class BinaryInput(Protocol):
    """The input of a capture: an open file or stdin."""

    def read(self, size: int, /) -> bytes:
        """Reads ``size`` bytes, fewer only at the end."""

    def read1(self, size: int, /) -> bytes:
        """Reads the available bytes."""


class _Rewound(RawIOBase):
    """Reads the beginning of an input again, which need not be seekable."""

    def __init__(self, head: bytes, stream: BinaryInput) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._head or self._stream.read1(len(view))
        self._head = data[len(view) :]
        data = data[: len(view)]
        view[: len(data)] = data
        return len(data)


def open_capture(path: Path) -> AbstractContextManager[BinaryInput]:
    """Opens a capture; ``-`` is stdin. Raises CaptureError for anything but a regular file."""
    if str(path) == "-":
        return nullcontext(cast(BinaryInput, sys.stdin.buffer))
    try:
        return cast("AbstractContextManager[BinaryInput]", open_regular(path))
    except OSError as error:
        raise CaptureError(
            f"capture {shown_path(path)}: {error.strerror}", "Name a file, or - for stdin, which may be a pipe"
        ) from None


class Capture:
    """Iterates over the frames of a capture.

    ``by_stream``: read text as one TCP connection. ``ports``: ports of syslog listeners. ``source``: the sender of
    frames whose capture does not name it.
    """

    def __init__(
        self, stream: BinaryInput, cutter: Cutter, *, by_stream: bool, ports: frozenset[int],
        source: Address | None = None,
    ) -> None:  # fmt: skip
        head = stream.read(len(SAMPLES_HEADER))
        self._magic = head[:4]
        self._stream = BufferedReader(_Rewound(head, stream), _CHUNK)
        self._cutter = cutter
        self._by_stream = by_stream
        self._ports = ports
        self._source = source
        self.skipped: Counter[str] = Counter()
        "Reason -> number of packets or lines that are not frames."
        self.damaged = False
        "True if the file stops being readable before its end."
        if (tool := _COMPRESSED.get(head[:2])) and not head.isascii():
            raise CaptureError("the capture is compressed", f'Use "{tool}" first')
        self.kind = "pcap" if self._magic in _PACKETS else "samples" if head == SAMPLES_HEADER else "text"

    def __iter__(self) -> Iterator[CapturedFrame]:
        """Yields the frames. ``skipped`` and ``damaged`` count while it runs."""
        if self.kind == "pcap":
            return self._packets()
        return self._samples() if self.kind == "samples" else self._text()

    def _packets(self) -> Iterator[CapturedFrame]:
        try:
            import_module("dpkt")
        except ImportError:
            raise CaptureError("the capture is a pcap, and reading it needs the Python package dpkt", INSTALL) from None
        from bridge.explain.capture import packets  # noqa: PLC0415 - needs dpkt

        found = packets.read_packets(self._stream, self._magic, self._ports)
        try:
            for each in found:
                if isinstance(each, str):
                    self.skipped[each] += 1
                else:
                    yield each
        except packets.DamagedFileError:
            self.damaged = True

    def _samples(self) -> Iterator[CapturedFrame]:
        for line in self._lines():
            if line.startswith(b"#") or not line.strip():
                continue
            captured = read_sample_line(line)
            if captured is None:
                self.skipped["lines that are not a sample"] += 1
            else:
                yield captured

    def _text(self) -> Iterator[CapturedFrame]:
        chunks = iter(partial(self._stream.read1, _CHUNK), b"")
        for cut in self._cutter.stream(chunks) if self._by_stream else self._cutter.lines(self._lines()):
            if cut.quarantine_reason:
                self.skipped["frames that are quarantined as oversize or damaged"] += 1
            elif not cut.frame.strip(b"\r\n\0"):
                self.skipped["empty lines"] += 1
            else:
                yield CapturedFrame(cut.frame, self._source)

    def _lines(self) -> Iterator[bytes]:
        while line := self._stream.readline(_MAX_LINE):
            if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                self.skipped[f"lines longer than {_MAX_LINE >> 20} MiB"] += 1
                while (rest := self._stream.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                continue
            yield line
