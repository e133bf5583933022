"""Sends loads over TCP and TLS. Blocks are built first and sent with one `sendall` each, so that the sender is never
the bottleneck."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable

from tests.bench.messages import AT, Block, Lines, first_lines

_LINES = 5000
_SMALL = 300
"Lines per block with very many connections: about one read."
_ADDRESSES = 50


def print_start() -> None:
    """Prints the time of the first byte."""
    print(time.monotonic(), flush=True)


def full_speed(
    port: int,
    events: int,
    lines: Lines,
    *,
    rate: int = 0,
    connections: int = 4,
    authority: str | None = None,
    each: bool = False,
) -> None:
    """Sends over `connections` connections, one thread each, at full speed or at a total `rate`; `each`: with one write
    per line."""
    blocks = [Block(lines, _LINES) for _ in range(connections)]
    for block in blocks:
        block.now()
    print_start()

    def one(block: Block, share: int) -> None:
        with _connected(port, authority=authority) as connection:
            while share:
                data = block.now()
                data = data if share >= _LINES else first_lines(data, share)
                for part in data.splitlines(keepends=True) if each else (data,):
                    connection.sendall(part)
                share -= min(share, _LINES)
            connection.unwrap() if isinstance(connection, ssl.SSLSocket) else connection.shutdown(socket.SHUT_WR)

    _in_threads(
        [
            lambda block=block, share=share: one(block, share)  # type: ignore[misc]
            for block, share in zip(blocks, _shares(events, connections), strict=True)
        ]
    )


def many_clocks(port: int, events: int, lines: Lines) -> None:
    """Sends over 500 connections from 50 addresses, whose clocks are up to 5 s apart."""
    blocks = [Block(lines, _SMALL, offset_seconds=offset) for offset in range(-2, 4)]
    _in_turns(port, events, [blocks[number % len(blocks)] for number in range(500)])


def many_devices(port: int, events: int, devices: list[Lines]) -> None:
    """Sends over one connection per device, from 50 addresses."""
    _in_turns(port, events, [Block(lines, _SMALL) for lines in devices])


def _in_turns(port: int, events: int, blocks: list[Block]) -> None:
    """Sends each block over its own connection, from 127.0.2.1 and up; eight threads serve the connections in turn."""
    connections = len(blocks)
    for block in blocks:
        block.now()
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(_connected(port, source=f"127.0.2.{number % _ADDRESSES + 1}"))
            for number in range(connections)
        ]
        print_start()
        lock = threading.Lock()

        def some(first: int, share: int) -> None:
            number = first
            while share:
                # A connection keeps its clock offset.
                with lock:
                    data = blocks[number].now()
                opened[number].sendall(data if share >= _SMALL else first_lines(data, share))
                share -= min(share, _SMALL)
                number = number + 8 if number + 8 < connections else first

        _in_threads(
            [
                lambda first=first, share=share: some(first, share)  # type: ignore[misc]
                for first, share in enumerate(_shares(events, 8))
            ]
        )


def one_by_one(
    port: int, events: int, lines: Lines, *, rate: int, connections: int = 1000, addresses: int = 50
) -> None:
    """Sends one message at a time over many connections in turn: every read of the receiver returns one."""
    block = Block(lines, _LINES)
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(_connected(port, source=f"127.0.3.{number % addresses + 1}"))
            for number in range(connections)
        ]
        sends = [connection.send for connection in opened]
        block.now()
        print_start()
        start, sent = time.monotonic(), 0
        messages: list[bytes] = []
        seen = b""
        while sent < events:
            if (data := block.now()) is not seen:
                seen, messages = data, data.splitlines(keepends=True)
            due = min(events, int((time.monotonic() - start) * rate))
            for number in range(sent, due):
                sends[number % connections](messages[number % _LINES])
            sent = max(sent, due)
            time.sleep(0.001)


def one_each(port: int, lines: list[bytes], *, rate: int, connections: int = 4) -> None:
    """Sends messages at a steady rate over a few connections in turn, with one write per message."""
    opened = [_connected(port) for _ in range(connections)]
    for connection in opened:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print_start()
    start, sent = time.monotonic(), 0
    while sent < len(lines):
        due = min(len(lines), int((time.monotonic() - start) * rate))
        for number in range(sent, due):
            opened[number % connections].sendall(lines[number] + b"\n")
        sent = max(sent, due)
        time.sleep(0.0002)
    for connection in opened:
        connection.close()


def timed(port: int, events: int, lines: Lines, *, rate: int) -> None:
    """Sends at a steady rate over four connections, in blocks of 10 ms; each message contains its send time (`AT`)."""
    size = max(1, rate // 100)
    block = Block(lines, size)
    mark = AT % 0.0
    opened = [_connected(port) for _ in range(4)]
    block.now()
    print_start()
    start, sent = time.monotonic(), 0
    while sent < events:
        while (now := time.monotonic()) < start + sent / rate:
            time.sleep(0.0005)
        data = block.now().replace(mark, AT % now)
        opened[sent // size % 4].sendall(data)
        sent += size
    for connection in opened:
        connection.close()


def _connected(port: int, *, authority: str | None = None, source: str = "") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0) if source else None)
    if authority is None:
        return connection
    context = ssl.create_default_context(cafile=authority)
    return context.wrap_socket(connection, server_hostname="localhost")


def _shares(events: int, parts: int) -> list[int]:
    each, rest = divmod(events, parts)
    return [each + (part < rest) for part in range(parts)]


def _in_threads(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
