"""Sends datagrams at a steady rate until SIGTERM, in a process of its own; then it prints how many it has sent.

    python -m tests.harness.blaster PORT RATE

Each is `<13>... number N of a flood ...`; the pace is kept by sending what is due, a few milliseconds at a time.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time

_STEP = 0.005


def blast(port: int, rate: int) -> None:
    """To 127.0.0.1, RATE a second."""
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
