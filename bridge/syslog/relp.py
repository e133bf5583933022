"""RELP (rsyslog.com/doc/relp.html), as a server reads it: bytes in, commands out.

``TXNR SP COMMAND SP DATALEN [SP DATA] LF``, each part bounded: TXNR has 1 to 9 digits, COMMAND 1 to 32 letters, DATALEN
1 to 9 digits. What is none of it ends the conversation: a stream that has lost its frames cannot be acknowledged.
"""

import re
from typing import NamedTuple

from bridge.syslog.framing import Oversize

_HEAD = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})([ \n])")
_LONGEST_HEAD = 9 + 1 + 32 + 1 + 9 + 1


class RelpError(ValueError):
    """The bytes are not RELP; the text says why."""


class RelpCommand(NamedTuple):
    """One frame from the client."""

    number: int
    "The transaction's, to answer with."
    name: bytes
    data: bytes
    oversize: Oversize | None = None
    "In place of data that were longer than allowed."


class RelpFramer:
    """Cuts one connection's bytes into commands; holds at most ``longest`` bytes of one, whatever it claims."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = b""
        self._cut: tuple[int, bytes, int, int] | None = None
        "Of data that are too long: number, command, length, and how many bytes are still to be passed over."
        self._kept = b""

    def feed(self, chunk: bytes) -> list[RelpCommand]:
        """The commands that a read has completed. Raises RelpError."""
        data = self._buffer + chunk if self._buffer else chunk
        found: list[RelpCommand] = []
        at = 0
        while at < len(data):
            if self._cut is not None:
                at = self._pass_over(data, at, found)
                continue
            head = _HEAD.match(data, at)
            if head is None:
                if len(data) - at > _LONGEST_HEAD or not _may_become_head(data[at:]):
                    raise RelpError("it does not speak RELP")
                break
            number, length = int(head[1]), int(head[3])
            if head[4] == b"\n":
                if length:
                    raise RelpError(f"a RELP command says {length} bytes of data and has none")
                found.append(RelpCommand(number, head[2], b""))
                at = head.end()
                continue
            if length > self._longest:
                self._cut, self._kept = (number, head[2], length, length), b""
                at = head.end()
                continue
            end = head.end() + length
            if len(data) <= end:
                break
            if data[end] != 0x0A:
                raise RelpError("a RELP command is longer than it says")
            found.append(RelpCommand(number, head[2], data[head.end() : end]))
            at = end + 1
        self._buffer = data[at:]
        return found

    @property
    def unfinished(self) -> bool:
        """Whether a command has begun and not ended."""
        return bool(self._buffer) or self._cut is not None

    def _pass_over(self, data: bytes, at: int, found: list[RelpCommand]) -> int:
        assert self._cut is not None
        number, name, length, left = self._cut
        part = data[at : at + left]
        self._kept += part[: self._longest - len(self._kept)]
        at, left = at + len(part), left - len(part)
        self._cut = (number, name, length, left)
        if left or at >= len(data):
            return at
        if data[at] != 0x0A:
            raise RelpError("a RELP command is longer than it says")
        found.append(RelpCommand(number, name, b"", Oversize(self._kept, length)))
        self._cut, self._kept = None, b""
        return at + 1


_BEGINNING = re.compile(rb"[0-9]{0,9}(?:(?<=[0-9]) (?:[A-Za-z]{0,32}(?:(?<=[A-Za-z]) [0-9]{0,9})?)?)?")


def _may_become_head(data: bytes) -> bool:
    return _BEGINNING.fullmatch(data) is not None


def answer(number: int, text: bytes = b"200 OK") -> bytes:
    """What the client is told about a transaction."""
    return b"%d rsp %d %b\n" % (number, len(text), text) if text else b"%d rsp 0\n" % number


def offers(data: bytes) -> dict[bytes, bytes]:
    """The lines of an ``open``: ``name=value``."""
    pairs = (line.partition(b"=") for line in data.split(b"\n"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


GOODBYE = b"0 serverclose 0\n"
