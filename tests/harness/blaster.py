"""Sends datagrams at a steady rate until SIGTERM, then prints how many it has sent. Runs in a process of its own.

    python -m tests.harness.blaster PORT RATE

Each is `<13>... number N of a flood ...`. Every few milliseconds it sends the datagrams that are due.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time

_STEP = 0.005


def blast(port: int, rate: int) -> None:
    """Sends `rate` datagrams a second to 127.0.0.1."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as origin:
        origin.connect(("127.0.0.1", port))
        begun, sent = time.monotonic(), 0
        while not ended.is_set():
            due = int((time.monotonic() - begun) * rate)
            for number in range(sent, due):
                origin.send(b"<13>Nov 24 00:00:00 gw app: number %d of a flood that goes on" % number)
            sent = due
            time.sleep(_STEP)
    print(sent, flush=True)


if __name__ == "__main__":
    blast(*map(int, sys.argv[1:3]))
