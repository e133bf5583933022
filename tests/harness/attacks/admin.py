"""Attacks on the admin endpoint: bodies, connections and query fields."""

from __future__ import annotations

import threading

from tests.harness.attacks.attack import Attack, send_for

MIB = 1 << 20


class BigBodies(Attack):
    """Sends bodies of 300 MiB."""

    name = "admin-big-bodies"
    point = 6
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        path = self.chance.choice(("/", "/api/status", "/metrics", "/control"))
        with self._connect("admin") as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {300 * MIB}\r\n\r\n".encode())
            send_for(connection, b"a" * MIB, stop, 300)


class ManyConnections(Attack):
    """Opens connections, sends half a request, and holds them."""

    name = "admin-many-connections"
    point = 6
    pause = 0.005

    def _step(self, stop: threading.Event) -> None:
        connection = self._connect("admin")
        self._hold(connection, 500)
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")


class ManyQueryFields(Attack):
    """Sends requests with a thousand query fields."""

    name = "admin-many-query-fields"
    point = 6
    pause = 0.05

    def _step(self, stop: threading.Event) -> None:
        path = self.chance.choice(("/", "/api/status", "/metrics", "/healthz"))
        query = "&".join(f"{chr(97 + n % 26)}{n}=1" for n in range(1000))
        with self._connect("admin") as connection:
            connection.sendall(f"GET {path}?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            self._note_answer(connection)


class UnreadPages(Attack):
    """Asks for the status again and again and reads no answer."""

    name = "admin-unread-answers"
    point = 6
    pause = 0.2

    def _step(self, stop: threading.Event) -> None:
        with self._connect("admin") as connection:
            send_for(connection, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 10, stop, 20)


ATTACKS: tuple[type[Attack], ...] = (BigBodies, ManyConnections, ManyQueryFields, UnreadPages)
