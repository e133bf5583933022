"""The drill's senders: numbered events, at a rate, over TCP or UDP to loopback, from a thread of the drill's."""

import socket
import threading
import time

from bridge.trial.drill.collector_process import POISON

_TICK = 0.02
"Seconds between two writes."
_TEXT = b"<134>1 2026-11-23T07:24:00.250Z drill app - - - a message of the usual length, " + b"x" * 100


class Numbers:
    """Gives each event of the whole drill a number of its own."""

    def __init__(self) -> None:
        self.next = 0

    def take(self, count: int) -> range:
        """The next numbers."""
        first, self.next = self.next, self.next + count
        return range(first, self.next)


def frame(number: int, *, poison: bool = False) -> bytes:
    """One message."""
    return b"%b%b n=%d" % (_TEXT, b" " + POISON if poison else b"", number)


def send_tcp(port: int, frames: list[bytes]) -> None:
    """All of them over one connection, as fast as they are read."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(b"".join(each + b"\n" for each in frames))
        line.shutdown(socket.SHUT_WR)
        while line.recv(4096):
            pass


class SenderThread(threading.Thread):
    """Sends ``rate`` events a second for ``seconds`` over ``kind``; what was really sent is ``numbers[:sent]``."""

    def __init__(self, kind: str, port: int, numbers: range, rate: int) -> None:
        super().__init__(daemon=True)
        self.kind, self.port, self.rate = kind, port, rate
        self.numbers = numbers
        self.sent = 0
        self.seconds = 0.0
        self.behind = False
        "Whether the pace could not be kept: the receiver, or this machine's other core, was too slow."

    def run(self) -> None:
        """Thread's entry."""
        began = time.monotonic()
        line = socket.socket(type=socket.SOCK_STREAM if self.kind == "tcp" else socket.SOCK_DGRAM)
        line.connect(("127.0.0.1", self.port))
        while self.sent < len(self.numbers):
            due = min(len(self.numbers), int((time.monotonic() - began) * self.rate) + 1)
            if due > self.sent:
                self._send(line, self.numbers[self.sent : due])
                self.sent = due
            time.sleep(_TICK)
        if self.kind == "tcp":
            line.shutdown(socket.SHUT_WR)
        line.close()
        self.seconds = time.monotonic() - began
        self.behind = self.seconds > len(self.numbers) / self.rate * 1.2 + 0.2

    def _send(self, line: socket.socket, numbers: range) -> None:
        if self.kind == "tcp":
            line.sendall(b"".join(b"%b n=%d\n" % (_TEXT, number) for number in numbers))
            return
        for number in numbers:
            line.send(b"%b n=%d" % (_TEXT, number))
