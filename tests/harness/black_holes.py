"""Provides servers that never answer: one accepts connections and stays silent, one does not even accept."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BlackHole:
    """Accepts, reads, and never answers. Records the highest number of open connections and the bytes read."""

    def __init__(self) -> None:
        self.max_open = 0
        self.bytes = 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._ending, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._server, self._ending:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._ending, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._ending:
                        for connection in self._open:
                            connection.close()
                        return
                    if key.fileobj is self._server:
                        connection, _ = self._server.accept()
                        connection.setblocking(False)
                        self._open.add(connection)
                        selector.register(connection, selectors.EVENT_READ)
                        # Those that have ended meanwhile do not count, although this thread has not seen it yet.
                        for each in list(self._open):
                            self._read(each, selector)
                        self.max_open = max(self.max_open, len(self._open))
                    elif key.fileobj in self._open:
                        self._read(key.fileobj, selector)  # type: ignore[arg-type]

    def _read(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        """Reads what a connection has brought, and closes it if it has ended."""
        try:
            while data := connection.recv(1 << 16):
                self.bytes += len(data)
        except BlockingIOError:
            return
        except OSError:
            pass  # it was reset
        selector.unregister(connection)
        self._open.discard(connection)
        connection.close()


class FullAcceptQueue:
    """Listens with a full accept queue: a SYN gets no answer, as behind a firewall that drops it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._queued: list[socket.socket] = []
        address = self._server.getsockname()
        while True:
            filler = socket.socket()
            filler.settimeout(0.1)
            self._queued.append(filler)
            try:
                filler.connect(address)
            except TimeoutError:
                break

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        for filler in self._queued:
            filler.close()
        self._server.close()


@contextmanager
def closing_all(holes: list[BlackHole] | list[FullAcceptQueue]) -> Iterator[None]:
    """Closes all servers at the end of the `with` block."""
    try:
        yield
    finally:
        for hole in holes:
            hole.close()
