"""Sends messages over RELP and records which were acknowledged."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterable

_ANSWER = re.compile(rb"(\d+) rsp (\d+)(?: |(?=\n))")


class RelpClient:
    """One connection; `acknowledged` lists the messages that the server has answered with 200."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", open_: bool = True) -> None:
        self.acknowledged: list[bytes] = []
        self.answers: list[bytes] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=180, source_address=(source, 0))
        self._number = 0
        self._sent: dict[int, bytes] = {}
        self._data = b""
        if open_:
            self.command(b"open", b"relp_version=0\nrelp_software=test\ncommands=syslog")
            assert b"commands=syslog" in self.answers[-1], self.answers

    def command(self, name: bytes, data: bytes = b"") -> bytes:
        """Sends a command and waits for its answer."""
        self._write(name, data)
        count = len(self.answers)
        while len(self.answers) == count:
            self.read()
        return self.answers[-1]

    def send(self, messages: Iterable[bytes]) -> None:
        """Sends messages without waiting for answers."""
        for message in messages:
            self._write(b"syslog", message)

    def wait_acknowledged(self, count: int) -> None:
        while len(self.acknowledged) < count:
            self.read()

    def read(self) -> None:
        """Reads the next data. Raises ConnectionError at the end of the connection."""
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        self._data += more
        while found := _ANSWER.match(self._data):
            end = found.end() + int(found[2])
            if len(self._data) <= end:
                return
            text = self._data[found.end() : end]
            self.answers.append(text)
            message = self._sent.pop(int(found[1]), None)
            if message is not None and text.startswith(b"200"):
                self.acknowledged.append(message)
            self._data = self._data[end + 1 :]

    @property
    def unread(self) -> bool:
        """Returns True if the server has sent something that `read` would read now."""
        return bool(select.select([self._socket], [], [], 0)[0])

    @property
    def rest(self) -> bytes:
        """Returns received bytes that are not part of an answer."""
        return self._data

    def close(self) -> None:
        self._socket.close()

    def _write(self, name: bytes, data: bytes) -> None:
        self._number += 1
        if name == b"syslog":
            self._sent[self._number] = data
        head = b"%d %b %d" % (self._number, name, len(data))
        self._socket.sendall(head + (b" " + data if data else b"") + b"\n")
