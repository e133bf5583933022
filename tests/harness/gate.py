"""A gate between bridge and collector which shuts without cutting an answer in two.

Stopping a collector can lose the answer to a request that it has already taken; the bridge must then send it again, and
"exactly once" would be true or not by luck. The gate is one HTTP hop in the test's process: while it is shut, nobody
listens on its port; and it shuts only between requests, so that each is either answered or was never taken.
It also keeps the order in which requests began.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.harness.ports import free_port


class Request(NamedTuple):
    """A request that was passed on and answered."""

    key: str
    timestamp: str | None
    status: int


class Gate:
    """Listens on `port` while it is open, and passes every POST on to the collector."""

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
        """Refuse connections from now on; returns when the requests under way have their answers."""
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
        self.under_way = 0
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", port), _Handler)

    def shut(self) -> None:
        with self.changed:
            self.shutting = True
        self.shutdown()
        self.server_close()
        with self.changed:
            assert self.changed.wait_for(lambda: self.under_way == 0, timeout=120), "a request hangs"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        server = self.server
        with server.changed:
            if server.shutting:
                self.close_connection = True
                return
            server.under_way += 1
        try:
            self._pass_on(server)
        finally:
            with server.changed:
                server.under_way -= 1
                # The connection of a shut gate ends with this answer.
                self.close_connection = self.close_connection or server.shutting
                server.changed.notify_all()

    def _pass_on(self, server: _Server) -> None:
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
        """Nothing: a request is no news."""
