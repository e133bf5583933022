"""Runs the collector of the benchmark: accepts POSTs over TLS, counts events, and answers as the intake does.

It is the same for every contender, and cheap, since it shares the machine with them: a thread per connection, blocking
reads into one buffer (SSL_read and zlib release the GIL), no stored data. Its answer has one id per event, so that a
contender that reads answers pays for it. The counts are in a mapped file, which is cheap to read.

    python -m tests.bench.sink --port PORT --certificate PEM --counts FILE
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import re
import socket
import ssl
import struct
import threading
import time
import uuid
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple, TextIO

_LAYOUT = "<QQQ"
_BYTES_RECEIVED = 128
"Offset of tcpi_bytes_received in struct tcp_info (linux/tcp.h)."
_BUFFER = 256 * 1024
_ROW = b',"json":"'
"In each row of a body of `/array`. Quotes within an event are escaped."
_AT = re.compile(rb" at=([0-9.]+)")

# Ids as JSON, all of the same width, so that the answer for n events is one slice.
_WIDTH = len(f'"{uuid.UUID(int=0)}", ')
_POOL_IDS = 20_000
_POOL = b"".join(b'"%b", ' % str(uuid.uuid4()).encode() for _ in range(_POOL_IDS))


class Counts(NamedTuple):
    """What the sink has received so far."""

    events: int
    requests: int
    wire_bytes: int
    "Bytes received on all connections: TLS, headers and bodies, without TCP/IP headers and retransmissions."

    @classmethod
    def read(cls, file: Path) -> Counts:
        return cls(*struct.unpack(_LAYOUT, file.read_bytes()))

    @classmethod
    def create(cls, file: Path) -> None:
        file.write_bytes(bytes(struct.calcsize(_LAYOUT)))


def answer(events: int) -> bytes:
    """Builds `{"event_ids": [...]}` with one id per event."""
    whole, rest = divmod(events, _POOL_IDS)
    ids = _POOL * whole + _POOL[: rest * _WIDTH]
    return b'{"event_ids": [%b]}' % ids[:-2]


class Sink:
    def __init__(self, counts: mmap.mmap, delays: TextIO | None) -> None:
        self._counts = counts
        self._delays = delays
        self._lock = threading.Lock()

    def serve(self, connection: ssl.SSLSocket) -> None:
        """Serves the requests of one connection until it ends."""
        buffer = bytearray(_BUFFER)
        pending, received_before = b"", 0
        with connection, contextlib.suppress(OSError):
            while True:
                while (end := pending.find(b"\r\n\r\n")) < 0:
                    received = connection.recv(65536)
                    if not received:
                        return
                    pending += received
                head, pending = pending[:end].lower(), pending[end + 4 :]
                length = int(_header(head, b"content-length") or 0)
                if _header(head, b"expect"):
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                array = head.split(b" ", 2)[1].endswith(b"/array")
                body = _Body(gzip=_header(head, b"content-encoding") == b"gzip", kept=array or self._delays is not None)
                body.feed(pending[:length])
                left, pending = length - len(pending[:length]), pending[length:]
                view = memoryview(buffer)
                while left:
                    count = connection.recv_into(view[: min(left, _BUFFER)])
                    if not count:
                        return
                    body.feed(view[:count])
                    left -= count
                events = body.text.count(_ROW) if array else body.events
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
                received_now = struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]
                self._count(events, received_now - received_before)
                received_before = received_now
                content = answer(events)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
                    + content
                )
                if self._delays is not None:
                    self._write_delays(body.text, self._delays)

    def _write_delays(self, text: bytes, to: TextIO) -> None:
        """Writes a line `SECONDS EVENTS` for each send time in the messages (`messages.AT`)."""
        now = time.monotonic()
        with self._lock:
            for sent, events in Counter(_AT.findall(text)).items():
                to.write(f"{now - float(sent):.4f} {events}\n")
            to.flush()

    def _count(self, events: int, wire_bytes: int) -> None:
        with self._lock:
            total = struct.unpack_from(_LAYOUT, self._counts)
            struct.pack_into(_LAYOUT, self._counts, 0, total[0] + events, total[1] + 1, total[2] + wire_bytes)


class _Body:
    """Counts the events of a body: lines, the last with or without LF."""

    def __init__(self, *, gzip: bool, kept: bool) -> None:
        self._inflate = zlib.decompressobj(wbits=31) if gzip else None
        self._line_feeds = 0
        self._last = b""
        self._parts: list[bytes] | None = [] if kept else None

    def feed(self, data: bytes | memoryview) -> None:
        if self._inflate:
            data = self._inflate.decompress(data)
        text = bytes(data)
        if text:
            self._line_feeds += text.count(b"\n")
            self._last = text[-1:]
        if self._parts is not None:
            self._parts.append(text)

    @property
    def text(self) -> bytes:
        """Returns the whole body if it was kept."""
        return b"".join(self._parts or ())

    @property
    def events(self) -> int:
        return self._line_feeds + (self._last not in (b"", b"\n"))


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip() == name:
            return value.strip()
    return b""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True, help="PEM: private key and chain")
    parser.add_argument("--counts", type=Path, required=True, help="an existing file, created by Counts.create")
    parser.add_argument("--delays", type=Path, help="file for the delays of events that have a send time")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    with options.counts.open("r+b") as file:
        sink = Sink(mmap.mmap(file.fileno(), 0), options.delays.open("w") if options.delays else None)
    listeners = [socket.create_server(("127.0.0.1", options.port))]
    # `localhost` may resolve to ::1 first.
    with contextlib.suppress(OSError):
        listeners.append(socket.create_server(("::1", options.port), family=socket.AF_INET6))
    for listener in listeners[1:]:
        threading.Thread(target=_accept, args=(listener, context, sink), daemon=True).start()
    _accept(listeners[0], context, sink)


def _accept(listener: socket.socket, context: ssl.SSLContext, sink: Sink) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_handshake_and_serve, args=(connection, context, sink), daemon=True).start()


def _handshake_and_serve(connection: socket.socket, context: ssl.SSLContext, sink: Sink) -> None:
    with contextlib.suppress(OSError):
        sink.serve(context.wrap_socket(connection, server_side=True))


if __name__ == "__main__":
    main()
