"""Sends test messages over RELP, and waits until the receiver has acknowledged each of them.

The protocol is RELP 0: frames ``TXNR COMMAND DATALEN[ DATA]LF``; the receiver answers each with ``TXNR rsp ...``.
"""

import re
from contextlib import suppress

from bridge.trial.send_connection import SendConnection
from bridge.trial.send_target import SendError
from bridge.util.counts import counted

WINDOW = 128
"Messages without an answer, at most."
ANSWER_SECONDS = 60.0
"Maximum wait for the next answer. A receiver whose spool is full makes senders wait."
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_MAX_NUMBER = 999_999_999

_ANSWER = re.compile(rb"(\d{1,9}) (rsp|serverclose) (\d{1,9})(?: |(?=\n))")
_PARTIAL = re.compile(rb"[\n]*\d{0,9}(?: [a-z]{0,11}(?: \d{0,9})?)?")


class RelpSender:
    """Runs one RELP session over a connected stream. All methods raise SendError."""

    def __init__(self, connection: SendConnection, software: str) -> None:
        self._connection = connection
        self._number = 0
        self._unanswered: set[int] = set()
        self._data = b""
        self.acknowledged = 0
        "Number of messages that the receiver has acknowledged."
        try:
            self._request(b"open", f"relp_version=0\nrelp_software={software}\ncommands=syslog".encode())
            self._wait(0, _OPEN_SECONDS)
        except SendError:
            connection.abort()
            raise
        self.acknowledged = 0

    def send(self, frame: bytes) -> None:
        """Sends one message. Waits while too many are not acknowledged."""
        self._wait(WINDOW - 1)
        self._request(b"syslog", frame)

    def close(self) -> None:
        """Waits for all acknowledgements and ends the session."""
        self._wait(0)
        count = self.acknowledged
        # Everything is acknowledged. A receiver that closes at once, or does not answer, is no error.
        with suppress(SendError):
            self._request(b"close", b"")
            self._wait(0, _CLOSE_SECONDS)
        with suppress(SendError):
            self._connection.close()
        self.acknowledged = count

    def abort(self) -> None:
        """Closes the connection after an error."""
        self._connection.abort()

    def _request(self, command: bytes, data: bytes) -> None:
        self._number = self._number % _MAX_NUMBER + 1
        self._unanswered.add(self._number)
        self._connection.send(b"%d %b %d%b\n" % (self._number, command, len(data), b" " + data if data else b""))

    def _wait(self, most: int, seconds: float = ANSWER_SECONDS) -> None:
        """Reads answers until at most ``most`` messages have none."""
        while len(self._unanswered) > most:
            self._data += self._connection.receive(seconds)
            self._read_answers()

    def _read_answers(self) -> None:
        while True:
            data = self._data.lstrip(b"\n")
            found = _ANSWER.match(data)
            if found is None:
                if not _PARTIAL.fullmatch(data):
                    raise SendError(f"the receiver's answer is not RELP: {data[:40]!r}")
                return
            end = found.end() + int(found[3])
            if len(data) <= end:
                return
            self._data = data[end:]
            self._take(int(found[1]), found[2], data[found.end() : end])

    def _take(self, number: int, command: bytes, text: bytes) -> None:
        if command == b"serverclose":
            raise SendError(
                f"the receiver ended the session; not acknowledged: {counted(len(self._unanswered), 'message')}"
            )
        if text and not text.startswith(b"200"):
            raise SendError(f"the receiver refused a message: {text[:200].decode('utf-8', 'backslashreplace')}")
        if number in self._unanswered:
            self._unanswered.remove(number)
            self.acknowledged += 1
