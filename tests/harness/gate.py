"""Proxies HTTP between bridge and collector, and can be shut without losing an answer.

Stopping a collector can lose the answer to a request that it has already accepted; the bridge must then send it again,
and "exactly once" would depend on luck. The gate is an HTTP proxy in the test's process. While it is shut, nothing
listens on its port. It shuts only between requests, so that each request is either answered or was never accepted.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.harness.ports import free_port


class Request(NamedTuple):
    """A request that was forwarded and answered."""

    key: str
    timestamp: str | None
    status: int


class Gate:
    """Listens on `port` while open, and forwards every POST to the collector; `requests` lists the answered ones."""

    def __init__(self, collector_port: int) -> None:
        self.port = free_port()
        self.requests: list[Request] = []
        self._collector_port = collector_port
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._server = _Server(self.port, self._collector_port, self.requests)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def shut(self) -> None:
        """Refuses new connections, and returns when the pending requests are answered."""
        if self._server is not None:
            server, self._server = self._server, None
            server.shut()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, collector_port: int, requests: list[Request]) -> None:
        self.collector_port = collector_port
        self.requests = requests
        self.shutting = False
        self.pending = 0
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)

    def shut(self) -> None:
        with self.changed:
            self.shutting = True
        self.shutdown()
        self.server_close()
        with self.changed:
            assert self.changed.wait_for(lambda: self.pending == 0, timeout=120), "a request is not answered"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        server = self.server
        with server.changed:
            if server.shutting:
                self.close_connection = True
                return
            server.pending += 1
        try:
            self._forward(server)
        finally:
            with server.changed:
                server.pending -= 1
                # After a shutdown, the connection ends with this answer.
                self.close_connection = self.close_connection or server.shutting
                server.changed.notify_all()

    def _forward(self, server: _Server) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        onward = http.client.HTTPConnection("127.0.0.1", server.collector_port, timeout=180)
        try:
            skipped = ("connection", "host", "content-length")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
            onward.request("POST", self.path, body, headers)
            response = onward.getresponse()
            answer = response.read()
        finally:
            onward.close()
        key, timestamp = self.headers["X-SEKOIAIO-INTAKE-KEY"], self.headers["X-SEKOIAIO-EVENT-TIMESTAMP"]
        server.requests.append(Request(key, timestamp, response.status))
        self.send_response(response.status)
        self.send_header("Content-Type", response.getheader("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""
