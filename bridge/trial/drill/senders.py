"""Sends numbered events to loopback over TCP or UDP, all at once or at a given rate."""

import socket
import time

from bridge.trial.drill.collector_process import POISON

_TICK = 0.02
"Seconds between two writes."
_TEXT = b"<134>1 2026-11-23T07:24:00.250Z drill app - - - a message of the usual length, " + b"x" * 100


class Numbers:
    """Assigns a unique number to each event of the drill."""

    def __init__(self) -> None:
        self.next = 0

    def take(self, count: int) -> range:
        """Returns the next ``count`` numbers."""
        first, self.next = self.next, self.next + count
        return range(first, self.next)


def frame(number: int, *, poison: bool = False) -> bytes:
    """Builds one message with its number; a poison message makes the collector reject its request in mode `poison`."""
    return b"%b%b n=%d" % (_TEXT, b" " + POISON if poison else b"", number)


def send_tcp(port: int, frames: list[bytes]) -> None:
    """Sends all frames over one connection, as fast as the bridge reads them."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"".join(each + b"\n" for each in frames))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def send_at_rate(kind: str, port: int, numbers: range, rate: int) -> bool:
    """Sends the events ``numbers`` over ``kind`` (tcp or udp) at ``rate`` events per second. Returns False if the rate
    could not be kept, because the receiver or this machine was too slow."""
    began, sent = time.monotonic(), 0
    with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as connection:
        connection.connect(("127.0.0.1", port))
        while sent < len(numbers):
            due = min(len(numbers), int((time.monotonic() - began) * rate) + 1)
            _send(connection, kind, numbers[sent:due])
            sent = due
            time.sleep(_TICK)
        if kind == "tcp":
            connection.shutdown(socket.SHUT_WR)
    return time.monotonic() - began <= len(numbers) / rate * 1.2 + 0.2


def _send(connection: socket.socket, kind: str, numbers: range) -> None:
    if kind == "tcp":
        connection.sendall(b"".join(b"%b n=%d\n" % (_TEXT, number) for number in numbers))
        return
    for number in numbers:
        connection.send(b"%b n=%d" % (_TEXT, number))
