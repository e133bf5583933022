"""Quantities with their units: durations, sizes, shares of a disk, rates, volumes, bandwidths.

Each function takes the text of one value and gives the number, or raises ValueError with a text for the operator. Only
whole numbers with a unit: `5` could be meant in seconds or minutes, `1e3` and `1_000` are read differently by every
program. Zero is refused everywhere: where something can be switched off there is a word for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from bridge.config.faults import shown

DURATIONS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
SIZES = {"B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
BITS = {"kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}

_LONGEST = timedelta(days=36_500)
_WORDY_SHARE = re.compile(r"([1-9][0-9]?|100)(?: +%| *(?:percent|per cent|pct))")
_QUANTITY = re.compile(r"([0-9]+)([A-Za-z]*)")


@dataclass(frozen=True)
class Share:
    """A part of a filesystem."""

    percent: int

    def __str__(self) -> str:
        return f"{self.percent}%"


def duration(text: str) -> timedelta:
    """`500ms 1s 5m 2h 7d`."""
    number, unit = _split(text)
    if number is None:
        raise ValueError(
            f"{shown(text)} is no duration: write a whole number and ms, s, m, h or d, such as 500ms or 5m"
        )
    if not unit:
        raise ValueError(
            f"{number} of what: write {number}s for seconds, or {number}ms, {number}m, {number}h, {number}d"
        )
    if unit not in DURATIONS:
        raise ValueError(f"{shown(unit)} is no unit of time: use ms, s, m, h or d")
    if number > _LONGEST / DURATIONS[unit]:
        raise ValueError(f"{shown(text)} is longer than a century")
    return _positive(number, text) * DURATIONS[unit]


def duration_or_never(text: str) -> timedelta | None:
    """A duration, or None for `never`."""
    return None if text == "never" else duration(text)


def size(text: str) -> int:
    """`64KiB 5MB 10GB` in bytes; KB is 1000, KiB 1024."""
    number, unit = _split(text)
    if number is None:
        raise ValueError(f"{shown(text)} is no size: write a whole number and a unit, such as 64KiB or 5MB")
    if not unit:
        raise ValueError(f"{number} of what: write {number}B for bytes, or KB, KiB, MB, MiB, GB, GiB")
    if unit not in SIZES:
        raise ValueError(_unknown_size(number, unit))
    return _bounded(_positive(number, text) * SIZES[unit], text)


def size_or_share(text: str) -> int | Share:
    """A size in bytes, or `80%` of the filesystem."""
    if wordy := _WORDY_SHARE.fullmatch(text):
        raise ValueError(f"{shown(text)} is no size: a share of the disk is written {wordy[1]}%, in one word")
    if not text.endswith("%"):
        if _split(text)[0] is None:
            example = "write a size, such as 10GB, or a share of the disk, such as 80%"
            raise ValueError(f"{shown(text)} is no size: {example}")
        return size(text)
    number, rest = _split(text[:-1])
    if number is None or rest or not 1 <= number <= 100:
        raise ValueError(f"{shown(text)} is no share: write 1% to 100%")
    return Share(number)


def rate(text: str) -> int:
    """`5000/s`, events a second."""
    amount, _, per = text.partition("/")
    number, unit = _split(amount)
    if number is None or unit or per != "s":
        raise ValueError(f"{shown(text)} is no rate: write events a second, such as 5000/s")
    return _bounded(_positive(number, text), text)


def volume(text: str) -> int:
    """`20GB/day`, bytes a day."""
    amount, _, per = text.partition("/")
    if per != "day":
        raise ValueError(f"{shown(text)} is no volume: write a size a day, such as 20GB/day")
    return size(amount)


def bandwidth(text: str) -> int:
    """`10Mbit/s`, bits a second."""
    amount, _, per = text.partition("/")
    number, unit = _split(amount)
    if number is None or unit not in BITS or per != "s":
        raise ValueError(f"{shown(text)} is no bandwidth: write kbit/s, Mbit/s or Gbit/s, such as 10Mbit/s")
    return _bounded(_positive(number, text) * BITS[unit], text)


def _split(text: str) -> tuple[int | None, str]:
    found = _QUANTITY.fullmatch(text)
    if found is None or len(found[1]) > 18 or (len(found[1]) > 1 and found[1].startswith("0")):
        return None, ""
    return int(found[1]), found[2]


def _positive(number: int, text: str) -> int:
    if number == 0:
        raise ValueError(f"{shown(text)} must be more than zero")
    return number


def _bounded(number: int, text: str) -> int:
    if number >= 1 << 63:
        raise ValueError(f"{shown(text)} is too large")
    return number


def _unknown_size(number: int, unit: str) -> str:
    prefix = unit[:1].upper()
    if prefix in "KMGT" and unit.lower() in (prefix.lower(), f"{prefix}b".lower(), f"{prefix}ib".lower()):
        return (
            f"{shown(unit)} is no unit of size: write {number}{prefix}B (times 1000) or {number}{prefix}iB (times 1024)"
        )
    return f"{shown(unit)} is no unit of size: use B, KB, KiB, MB, MiB, GB, GiB, TB or TiB"


def milliseconds(delta: timedelta) -> int:
    """Returns a duration in whole milliseconds."""
    return round(delta.total_seconds() * 1000)
