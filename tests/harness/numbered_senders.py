"""Sends numbered messages over UDP, TCP, TLS, RELP and HTTPS until it is stopped, and records which were acknowledged.

No number is ever sent twice: a message without acknowledgement counts as unknown, and a message that arrives twice was
delivered twice. A sender whose connection breaks connects again and continues with the next number.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.agent import Agent
from tests.harness.messages import SentMessage, number_of, rfc5424
from tests.harness.relp import RelpClient

NUMBERS = 10_000_000
"""Numbers that each sender has to itself: each begins with a multiple of this."""
_FAILURES = (OSError, http.client.HTTPException, AssertionError, ValueError)


@dataclass(frozen=True)
class Pace:
    """How many messages a sender sends at once, and the seconds between two blocks."""

    per_block: int = 5
    pause: float = 0.05
    keep_texts: bool = True
    """False for millions of messages: the sender counts them only."""


class NumberedSender:
    """Sends blocks of messages in a thread. A subclass sends one block."""

    acknowledges = False

    def __init__(self, first: int, pace: Pace = Pace()) -> None:  # it is frozen
        self.first = first
        self.count = 0
        "Messages so far, counted before they are sent; their numbers follow on from `first`."
        self.sent: dict[int, str] = {}
        "The text of each message by its number, recorded before the message is sent."
        self.acknowledged: set[int] = set()
        self.failures: list[str] = []
        self._pace = pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 180) -> None:
        """Ends the sender after the block that it sends."""
        self._stopping.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"{type(self).__name__} waits for an answer since {seconds} s"
        with suppress(*_FAILURES):
            self._close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            now, number = datetime.now(UTC), self.first + self.count
            block = [rfc5424(number + ahead, now) for ahead in range(self._pace.per_block)]
            self.count += len(block)
            if self._pace.keep_texts:
                self.sent |= {number_of(message.text): message.text for message in block}
            try:
                self._send(block)
            except _FAILURES as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                with suppress(*_FAILURES):
                    self._close()
                self._stopping.wait(0.2)
            self._stopping.wait(self._pace.pause)

    def _send(self, block: Sequence[SentMessage]) -> None:
        """Sends a block, and records what was acknowledged. Raises one of `_FAILURES`."""
        raise NotImplementedError

    def _close(self) -> None:
        """Closes the connection."""


class UdpSender(NumberedSender):
    """Sends datagrams."""

    def __init__(self, port: int, first: int, *, source: str, pace: Pace = Pace()) -> None:
        super().__init__(first, pace)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, 0))
        self._port = port

    def _send(self, block: Sequence[SentMessage]) -> None:
        for message in block:
            self._socket.sendto(message.frame, ("127.0.0.1", self._port))


class TcpSender(NumberedSender):
    """Sends lines."""

    def __init__(self, port: int, first: int, *, source: str, pace: Pace = Pace()) -> None:
        super().__init__(first, pace)
        self._port, self._source = port, source
        self._socket: socket.socket | None = None

    def _send(self, block: Sequence[SentMessage]) -> None:
        if self._socket is None:
            self._socket = self._connect()
        self._socket.sendall(b"".join(message.frame + b"\n" for message in block))

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=180, source_address=(self._source, 0))

    def _close(self) -> None:
        open_socket, self._socket = self._socket, None
        if open_socket is not None:
            with open_socket:
                open_socket.shutdown(socket.SHUT_WR)


class TlsSender(TcpSender):
    """Sends lines over TLS."""

    def __init__(self, port: int, first: int, *, source: str, ca: Path, pace: Pace = Pace()) -> None:
        super().__init__(port, first, source=source, pace=pace)
        self._context = ssl.create_default_context(cafile=str(ca))

    def _connect(self) -> socket.socket:
        return self._context.wrap_socket(super()._connect(), server_hostname="localhost")

    def _close(self) -> None:
        open_socket, self._socket = self._socket, None
        if isinstance(open_socket, ssl.SSLSocket):
            with open_socket:
                open_socket.unwrap()


class RelpSender(NumberedSender):
    """Sends over RELP and waits for the acknowledgement of each block."""

    acknowledges = True

    def __init__(self, port: int, first: int, *, source: str, pace: Pace = Pace()) -> None:
        super().__init__(first, pace)
        self._port, self._source = port, source
        self._client: RelpClient | None = None

    def _send(self, block: Sequence[SentMessage]) -> None:
        if self._client is None:
            self._client = RelpClient(self._port, source=self._source)
        client = self._client
        numbers = {message.frame: number_of(message.text) for message in block}
        client.acknowledged.clear()
        try:
            client.send(message.frame for message in block)
            client.wait_acknowledged(len(block))
        finally:
            self.acknowledged |= {numbers[frame] for frame in client.acknowledged if frame in numbers}

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class HttpsSender(NumberedSender):
    """Posts blocks to the collector's API of the gateway."""

    acknowledges = True

    def __init__(
        self,
        port: int,
        first: int,
        *,
        source: str,
        ca: Path,
        key: str,
        pace: Pace = Pace(),
    ) -> None:
        super().__init__(first, pace)
        self._agent = Agent(port, ca, source=source)
        self._key = key

    def _send(self, block: Sequence[SentMessage]) -> None:
        body = "\n".join(message.text for message in block).encode()
        status, _, answer = self._agent.post("/plain/batch", body, X_SEKOIAIO_INTAKE_KEY=self._key)
        if status != 200:
            raise OSError(f"answered {status}: {answer}")
        self.acknowledged |= {number_of(message.text) for message in block}

    def _close(self) -> None:
        self._agent.close()
