"""Answers as a running bridge does: has the lock of a spool and serves its control socket."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from bridge.spool import lock


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        # A path through the folder's descriptor never exceeds the 107 bytes of a socket's path.
        path: Any = self.server_address
        folder = os.open(path.parent, os.O_RDONLY)
        self.socket.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return self.socket.accept()[0], ("", 0)


@contextmanager
def running_bridge(spool: Path, report: Mapping[str, Any] | bytes, *, code: int = 200) -> Iterator[None]:
    """Serves ``/api/status`` with ``report``, or with its bytes, and 404 for all other pages."""
    data = report if isinstance(report, bytes) else json.dumps(report).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path.partition("?")[0] == "/api/status" else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    spool_lock = lock.take(spool)
    address: Any = spool / "control.sock"
    server = _UnixServer(address, Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        spool_lock.release()
