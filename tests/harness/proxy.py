"""Runs an HTTP proxy that opens tunnels, refuses them, or inspects TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.accepting import ThreadedServer

PAGE = b"<html><head><title>x</title></head><body>Welcome to <b>the hotel</b></body></html>"


class Proxy:
    """`answer` decides each CONNECT: None opens the tunnel, bytes are sent instead.

    `inspect`: certificate and key with which the proxy terminates TLS in order to inspect it.
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        answer: Callable[[str], bytes | None] = lambda authority: None,
        inspect: tuple[Path, Path] | None = None,
    ) -> None:
        self.connect_targets: list[str] = []
        self.bytes_relayed = 0
        self._authorization = None if password is None else b64encode(f"us:{password}".encode())
        self._answer = answer
        self._inspect = inspect
        self._open: set[socket.socket] = set()
        self._server = ThreadedServer(self._handle)
        self.port, self.url = self._server.port, self._server.url

    def close(self) -> None:
        self._server.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _handle(self, client: socket.socket) -> None:
        self._open.add(client)
        with client, suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += (more := client.recv(65536))
                if not more:
                    return
            authority = head.split(b" ", 2)[1].decode()
            self.connect_targets.append(authority)
            if self._authorization is not None and b"Basic " + self._authorization not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            answer = self._answer(authority)
            if answer is not None:
                client.sendall(answer)
                client.recv(65536)
                return
            host, _, port = authority.rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port))) as server:
                self._open.add(server)
                # The header in two writes: a client must not expect it in one read.
                client.sendall(b"HTTP/1.1 200 Connection ")
                client.sendall(b"established\r\n\r\n")
                if self._inspect is not None:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(*self._inspect)
                    client = context.wrap_socket(client, server_side=True)
                threading.Thread(target=self._pipe, args=(server, client), daemon=True).start()
                self._pipe(client, server)
        self._open.discard(client)

    def _pipe(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.bytes_relayed += len(data)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(**options: object) -> Iterator[Proxy]:
    """Runs a proxy for the length of the `with` block."""
    proxy = Proxy(**options)  # type: ignore[arg-type]
    try:
        yield proxy
    finally:
        proxy.close()
