"""Parses RELP commands on the server side (rsyslog.com/doc/relp.html).

A command is ``TXNR SP COMMAND SP DATALEN [SP DATA] LF``. TXNR has 1 to 9 digits, COMMAND 1 to 32 letters, DATALEN 1 to
9 digits. Anything else raises RelpError, which ends the session: after a framing error no message can be acknowledged.
"""

import re
from typing import NamedTuple

from bridge.syslog.framing import Oversize

_HEAD = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})([ \n])")
_LONGEST_HEAD = 9 + 1 + 32 + 1 + 9 + 1


class RelpError(ValueError):
    """Raised when the received bytes are not valid RELP. The text says why."""


class RelpCommand(NamedTuple):
    """A command from the client."""

    number: int
    "Transaction number (TXNR). The response carries the same number."
    name: bytes
    data: bytes
    oversize: Oversize | None = None
    "Set instead of ``data`` if the data exceeded the limit."


class RelpFramer:
    """Cuts the bytes of one connection into commands.

    Buffers at most ``longest`` bytes of data per command, whatever DATALEN the client announces.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = b""
        self._oversize: tuple[int, bytes, int, int] | None = None
        "Oversize data being discarded: transaction number, command, announced length, bytes still to be received."
        self._kept = b""

    def feed(self, chunk: bytes) -> list[RelpCommand]:
        """Takes the bytes of one read and returns the commands that they complete. Raises RelpError."""
        data = self._buffer + chunk if self._buffer else chunk
        found: list[RelpCommand] = []
        at = 0
        while at < len(data):
            if self._oversize is not None:
                at = self._discard(data, at, found)
                continue
            head = _HEAD.match(data, at)
            if head is None:
                if len(data) - at > _LONGEST_HEAD or not _may_become_head(data[at:]):
                    raise RelpError("the received data is not RELP")
                break
            number, length = int(head[1]), int(head[3])
            if head[4] == b"\n":
                if length:
                    raise RelpError(f"a RELP command announces {length} bytes of data but contains none")
                found.append(RelpCommand(number, head[2], b""))
                at = head.end()
                continue
            if length > self._longest:
                self._oversize, self._kept = (number, head[2], length, length), b""
                at = head.end()
                continue
            end = head.end() + length
            if len(data) <= end:
                break
            if data[end] != 0x0A:
                raise RelpError("a RELP command is longer than the announced length")
            found.append(RelpCommand(number, head[2], data[head.end() : end]))
            at = end + 1
        self._buffer = data[at:]
        return found

    @property
    def held(self) -> int:
        """Number of bytes of the unfinished command that are buffered."""
        return len(self._buffer) + len(self._kept)

    @property
    def unfinished(self) -> bool:
        """True if a command has been received in part."""
        return bool(self._buffer) or self._oversize is not None

    def _discard(self, data: bytes, at: int, found: list[RelpCommand]) -> int:
        """Discards oversize data from ``at`` on, appends the command once complete, and returns the next position."""
        assert self._oversize is not None
        number, name, length, remaining = self._oversize
        part = data[at : at + remaining]
        self._kept += part[: self._longest - len(self._kept)]
        at, remaining = at + len(part), remaining - len(part)
        self._oversize = (number, name, length, remaining)
        if remaining or at >= len(data):
            return at
        if data[at] != 0x0A:
            raise RelpError("a RELP command is longer than the announced length")
        found.append(RelpCommand(number, name, b"", Oversize(self._kept, length)))
        self._oversize, self._kept = None, b""
        return at + 1


_HEAD_BEGINNING = re.compile(rb"[0-9]{0,9}(?:(?<=[0-9]) (?:[A-Za-z]{0,32}(?:(?<=[A-Za-z]) [0-9]{0,9})?)?)?")


def _may_become_head(data: bytes) -> bool:
    return _HEAD_BEGINNING.fullmatch(data) is not None


def answer(number: int, text: bytes = b"200 OK") -> bytes:
    """Returns the ``rsp`` frame for a transaction."""
    return b"%d rsp %d %b\n" % (number, len(text), text) if text else b"%d rsp 0\n" % number


def offers(data: bytes) -> dict[bytes, bytes]:
    """Parses the offers in the data of an ``open`` command, one ``name=value`` per line."""
    pairs = (line.partition(b"=") for line in data.split(b"\n"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


GOODBYE = b"0 serverclose 0\n"
