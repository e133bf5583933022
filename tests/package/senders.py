"""Sends numbered messages at a steady rate while a package is upgraded, and records what was sent or acknowledged."""

from __future__ import annotations

import socket
import threading

from tests.harness.relp import RelpClient

WINDOW = 100
"Messages that wait for their acknowledgement before the next one is sent."


def _message(transport: str, number: int) -> bytes:
    return b"<13>Nov 25 10:00:00 host app: %b %d" % (transport.encode(), number)


class Sender(threading.Thread):
    """Sends numbered messages to a port of this machine, `rate` a second, until `ending` is set."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(daemon=True)
        self._port, self._rate = port, rate
        self.ending = threading.Event()


class Datagrams(Sender):
    """Sends datagrams."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(port, rate)
        self.sent = 0

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            while not self.ending.wait(1 / self._rate):
                line.sendto(_message("udp", self.sent), ("127.0.0.1", self._port))
                self.sent += 1


class Lines(Sender):
    """Sends lines over TCP; reconnects when the connection is closed, as devices do."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(port, rate)
        self.connections: list[list[int]] = []
        "The numbers written to each connection."
        self.refused = 0

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            try:
                line = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            except OSError:
                self.refused += 1
                self.ending.wait(0.05)
                continue
            written: list[int] = []
            self.connections.append(written)
            with line:
                # With a timeout, Python would wait for data before each MSG_DONTWAIT read.
                line.settimeout(None)
                while not self.ending.wait(1 / self._rate):
                    if self._closed(line):
                        break
                    try:
                        line.sendall(_message("tcp", number) + b"\n")
                    except OSError:
                        break
                    written.append(number)
                    number += 1

    @staticmethod
    def _closed(line: socket.socket) -> bool:
        try:
            return line.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


class Relp(Sender):
    """Sends over RELP; reconnects when the connection is closed, and repeats what was not acknowledged."""

    def __init__(self, port: int, rate: int) -> None:
        super().__init__(port, rate)
        self.acknowledged: set[str] = set()
        "Texts of the acknowledged messages."
        self.connections = 0

    def run(self) -> None:
        waiting: list[bytes] = []
        number = 0
        while not self.ending.is_set():
            try:
                client = RelpClient(self._port)
            except OSError:
                self.ending.wait(0.05)
                continue
            self.connections += 1
            try:
                client.send(waiting)
                while not self.ending.wait(1 / self._rate):
                    message = _message("relp", number)
                    number += 1
                    waiting.append(message)
                    client.send([message])
                    if len(waiting) >= WINDOW:
                        client.wait_acknowledged(len(client.acknowledged) + WINDOW // 2)
                        self._note(client, waiting)
            except OSError:
                pass
            finally:
                self._note(client, waiting)
                client.close()

    def _note(self, client: RelpClient, waiting: list[bytes]) -> None:
        done = set(client.acknowledged)
        self.acknowledged |= {message.decode().partition("app: ")[2] for message in done}
        waiting[:] = [message for message in waiting if message not in done]
