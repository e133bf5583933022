"""Runs a TCP server of this machine in a thread, for streams that a handler reads."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


def counted_message(stream: BinaryIO, first: bytes = b"") -> bytes | None:
    """Returns the next octet-counted message (RFC 6587), or None at the end. ``first``: what is read of its count."""
    count = first
    while (byte := stream.read(1)).isdigit():
        count += byte
    return stream.read(int(count)) if count else None


@contextmanager
def serving(handler: type[socketserver.StreamRequestHandler]) -> Iterator[int]:
    """Accepts connections for the length of the ``with`` block. Yields the port."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
