"""Chooses the replacement of each value. The same value always gets the same one, and none is an original value."""

import hashlib
import string
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import count

_LOWER, _UPPER, _DIGITS = (each.encode() for each in (string.ascii_lowercase, string.ascii_uppercase, string.digits))
_HEX, _HEX_UPPER = b"0123456789abcdef", b"0123456789ABCDEF"
_TRIES = 200
_FIRST_V4 = int(IPv4Address("198.18.0.1"))
_FIRST_V6 = int(IPv6Address("2001:db8::1"))


class Replacements:
    """Replaces values, each by one of the same kind, case and length. ``key`` makes the choice unpredictable."""

    def __init__(self, key: bytes, originals: Collection[bytes]) -> None:
        self._key = key
        self._taken = {value.lower() for value in originals}
        self._known: dict[tuple[str, bytes], bytes] = {}
        self._v4, self._v6 = self._addresses(_FIRST_V4, IPv4Address), self._addresses(_FIRST_V6, IPv6Address)

    def name(self, word: bytes) -> bytes:
        """Replaces a word of a name, whatever its case."""
        replaced = self._once("name", word.lower(), _name_byte)
        return (
            bytes(
                new - 32 if old in _UPPER and new in _LOWER else new for old, new in zip(word, replaced, strict=False)
            )
            + replaced[len(word) :]
        )

    def number(self, digits: bytes) -> bytes:
        """Replaces the digits of a number, and keeps whether the first one is a zero."""
        return self._once("number", digits, _digit)

    def hexadecimal(self, text: bytes) -> bytes:
        """Replaces the digits of a hardware address, a UUID or a hash, and keeps what separates them."""
        replaced = self._once("hex", text.lower(), _hex_digit)
        return bytes(new - 32 if old in _HEX_UPPER and new in _LOWER else new for old, new in _paired(text, replaced))

    def address(self, text: bytes) -> bytes:
        """Replaces an IP address, however it is written."""
        original = ip_address(text.decode())
        kind = ("address", original.packed)
        if kind not in self._known:
            self._known[kind] = next(self._v4 if isinstance(original, IPv4Address) else self._v6)
        return self._known[kind]

    def _addresses(self, first: int, kind: Callable[[int], object]) -> Iterator[bytes]:
        for number in count(first):
            text = str(kind(number)).encode()
            if text not in self._taken:
                yield text

    def _once(self, kind: str, value: bytes, replace: Callable[[int, int, int], int]) -> bytes:
        if (known := self._known.get((kind, value))) is not None:
            return known
        for attempt in range(_TRIES):
            # A short name has few others of its length, so it becomes longer at last.
            longer = b"x" * (attempt // 50) if kind == "name" else b""
            stream = hashlib.shake_256(self._key + bytes([attempt]) + value).digest(len(value + longer))
            new = bytes(
                replace(old, random, at) for at, (old, random) in enumerate(zip(value + longer, stream, strict=True))
            )
            if new not in self._taken:
                break
        self._taken.add(new)
        self._known[kind, value] = new
        return new


def _paired(old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    return zip(old, new, strict=True)


def _name_byte(old: int, random: int, at: int) -> int:
    if old in _DIGITS:
        return _DIGITS[random % 10]
    return _LOWER[random % 26] if old in _LOWER or old >= 0x80 else old


def _digit(old: int, random: int, at: int) -> int:
    if at == 0:
        return old if old == _DIGITS[0] else _DIGITS[1 + random % 9]
    return _DIGITS[random % 10]


def _hex_digit(old: int, random: int, at: int) -> int:
    if old in _DIGITS:
        return _DIGITS[random % 10]
    return _HEX[10 + random % 6] if old in _HEX else old
