"""Encodes and decodes the blocks of a pack: gzip members whose headers describe their contents.

A block can be skipped, or lost, without affecting the other blocks.

A pack is a file of gzip members (RFC 1952), so ``zcat`` reads it. Each member has one extra subfield ``SB`` of 44
bytes, little endian: length of the deflated data, length of the plain text, position of the first batch in the pack,
number of batches, number of events, bytes of their lines, lowest and highest sequence (64 bits each), and the CRC-32 of
these fields. The plain text is a list of batches: a line
``sequence earliest latest events bytes encoding timed sending``, then that many bytes of lines.

Damage is limited to one member. If the header of a damaged member is intact, the reader skips the member by its length.
If not, the reader finds the next member by its first 16 bytes, which are always the same.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from bridge.spool.batch_names import ENCODINGS, is_valid

_FIELDS = struct.Struct("<IIIIIIQQ")
_CRC = struct.Struct("<I")
_TRAILER = struct.Struct("<II")
_START = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H2sH", 4 + _FIELDS.size + 4, b"SB", _FIELDS.size + 4)
HEADER = len(_START) + _FIELDS.size + _CRC.size
"Bytes of a member before the deflated data."
_LEVEL = 1
_STRIDE = 1 << 20
LARGEST = 64 << 20
"Largest plain text in bytes; a header with a larger value is damaged."


class BlockHeader(NamedTuple):
    """The header fields of a block."""

    deflated: int
    plain: int
    position: int
    batches: int
    events: int
    size: int
    "Bytes of the lines."
    first: int
    "The lowest sequence."
    last: int
    "The highest sequence."

    @property
    def positions(self) -> tuple[int, int]:
        """Returns the first and the last position."""
        return self.position, self.position + self.batches - 1

    @property
    def length(self) -> int:
        """Returns the length of the whole gzip member in bytes."""
        return HEADER + self.deflated + _TRAILER.size

    def __bytes__(self) -> bytes:
        fields = _FIELDS.pack(*self)
        return _START + fields + _CRC.pack(isal_zlib.crc32(fields))


class BlockEntry(NamedTuple):
    """A batch in a block."""

    sequence: int
    earliest: int
    latest: int
    events: int
    size: int
    encoding: str
    timed: bool
    sending: bool
    lines: bytes = b""

    def __bytes__(self) -> bytes:
        head = (
            f"{self.sequence} {self.earliest} {self.latest} {self.events} {self.size} {self.encoding}"
            f" {self.timed:d} {self.sending:d}\n"
        )
        return head.encode() + self.lines


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """A range of a pack file: one block, or damaged bytes up to the next block."""

    offset: int
    end: int
    header: BlockHeader | None
    "None: the header is unreadable, so the contents are unknown."


def encode(position: int, entries: list[BlockEntry]) -> bytes:
    """Encodes batches as one block. ``position`` is the position of the first batch in the pack."""
    plain = b"".join(map(bytes, entries))
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
    deflated = compressor.compress(plain) + compressor.flush()
    header = BlockHeader(
        len(deflated), len(plain), position, len(entries), sum(entry.events for entry in entries),
        sum(entry.size for entry in entries), min(entry.sequence for entry in entries),
        max(entry.sequence for entry in entries),
    )  # fmt: skip
    return bytes(header) + deflated + _TRAILER.pack(isal_zlib.crc32(plain), len(plain))


def find(descriptor: int, offset: int) -> FoundBlock | None:
    """Returns the block or damaged range at an offset of an open pack, or None at its end. Raises OSError."""
    start = os.pread(descriptor, HEADER, offset)
    if not start:
        return None
    header = _header(start)
    if header is not None:
        return FoundBlock(offset, offset + header.length, header)
    at = offset + 1
    while chunk := os.pread(descriptor, _STRIDE + HEADER, at):
        found = chunk.find(_START)
        while found >= 0:
            if _header(chunk[found : found + HEADER] or b"") is not None:
                return FoundBlock(offset, at + found, None)
            found = chunk.find(_START, found + 1)
        if len(chunk) <= HEADER:
            break
        at += max(1, len(chunk) - HEADER)
    return FoundBlock(offset, os.fstat(descriptor).st_size, None)


def blocks(path: Path, offset: int = 0) -> Iterator[tuple[int, FoundBlock]]:
    """Yields the blocks and damaged ranges of a pack from an offset on, each with the open file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while found := find(descriptor, offset):
            yield descriptor, found
            offset = found.end
    finally:
        os.close(descriptor)


def _header(data: bytes) -> BlockHeader | None:
    if len(data) != HEADER or not data.startswith(_START):
        return None
    fields = data[len(_START) : -_CRC.size]
    if _CRC.unpack(data[-_CRC.size :])[0] != isal_zlib.crc32(fields):
        return None
    header = BlockHeader(*_FIELDS.unpack(fields))
    return header if header.plain <= LARGEST else None


def decode(descriptor: int, found: FoundBlock) -> list[BlockEntry] | None:
    """Returns the batches of a block found by ``find``, or None if the block is damaged. Raises OSError."""
    header = found.header
    if header is None:
        return None
    data = os.pread(descriptor, header.length, found.offset)
    if len(data) != header.length:
        return None
    crc, length = _TRAILER.unpack(data[-_TRAILER.size :])
    try:
        plain = isal_zlib.decompress(data[HEADER : -_TRAILER.size], -15, max(1, header.plain))
        if len(plain) != length or len(plain) != header.plain or isal_zlib.crc32(plain) != crc:
            return None
        entries = list(_entries(plain))
    except (isal_zlib.error, ValueError, EOFError):  # type: ignore[misc]
        return None
    return entries if len(entries) == header.batches else None


def _entries(plain: bytes) -> Iterator[BlockEntry]:
    at = 0
    while at < len(plain):
        end = plain.index(b"\n", at) + 1
        sequence, earliest, latest, count, size, encoding, timed, sending = plain[at:end].decode("ascii").split()
        if encoding not in ENCODINGS or not is_valid(int(sequence), int(earliest)):
            raise ValueError(encoding)
        yield BlockEntry(
            int(sequence), int(earliest), int(latest), int(count), int(size), encoding, timed == "1", sending == "1",
            plain[end : end + int(size)],
        )  # fmt: skip
        at = end + int(size)


def moved(data: bytes, header: BlockHeader, position: int) -> bytes:
    """Returns a copy of a whole block whose header has another ``position`` for its first batch."""
    return bytes(header._replace(position=position)) + data[HEADER:]
