"""The loads of the benchmark, each sent by a process of its own.

    python -m tests.bench.load --load W1 --port PORT --events N

Blocks are built before the first byte is sent; sending is one `sendall` a block, so that the sender is never what is
measured. Once a second the blocks get the new time, as messages of a busy second all bear the same.
"""

from __future__ import annotations

import argparse
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_LINES_PER_BLOCK = 5000


@dataclass(frozen=True)
class Load:
    """A load: what it is in words, and what sends it to a port of 127.0.0.1."""

    description: str
    send: Callable[[int, int], None]  # port, events


def unbound_lines(count: int, stamp: str) -> list[bytes]:
    """RFC 3164 messages as a resolver logs them, about 215 bytes each, no two alike."""
    chance = random.Random(3164)
    return [
        (
            f"<30>{stamp} resolver-{chance.randrange(40):02} unbound[{chance.randrange(1000, 9999)}]: "
            f"[{chance.randrange(10**6):06}:0] info: 198.51.100.{chance.randrange(256)} "
            f"{chance.randbytes(40).hex()}.{chance.randbytes(10).hex()}.example.org. A IN NOERROR "
            f"0.{chance.randrange(10**6):06} 0 {chance.randrange(40, 200)}"
        ).encode()
        for _ in range(count)
    ]


def tcp_full_speed(port: int, events: int, *, connections: int = 4) -> None:
    """`connections` TCP connections, a line each, as fast as they are read."""
    each, rest = divmod(events, connections)
    stamp = _bsd_now()
    block = b"\n".join(unbound_lines(_LINES_PER_BLOCK, stamp)) + b"\n"
    threads = [
        threading.Thread(target=_one_connection, args=(port, each + (index < rest), block, stamp))
        for index in range(connections)
    ]
    _tell_start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _one_connection(port: int, events: int, block: bytes, stamp: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while events:
            now = _bsd_now()
            if now != stamp:
                block, stamp = block.replace(stamp.encode(), now.encode()), now
            if events < _LINES_PER_BLOCK:
                block = b"".join(block.splitlines(keepends=True)[:events])
            connection.sendall(block)
            events -= min(events, _LINES_PER_BLOCK)
        connection.shutdown(socket.SHUT_WR)


def _tell_start() -> None:
    """When the first byte goes out, on the clock that all processes share: building the blocks is nobody's time."""
    print(time.monotonic(), flush=True)


def _bsd_now() -> str:
    now = datetime.now(UTC)
    return f"{now:%b} {now.day:2} {now:%H:%M:%S}"


LOADS = {
    "W1": Load("4 TCP connections at full speed, 215-byte RFC 3164, a line each", tcp_full_speed),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", choices=LOADS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    options = parser.parse_args()
    LOADS[options.load].send(options.port, options.events)


if __name__ == "__main__":
    main()
