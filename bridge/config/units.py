"""Parses quantities with units: durations, sizes, shares of a disk, rates, volumes, bandwidths.

Each function takes the text of one value and returns the number, or raises ValueError with a text for the operator.
Only whole numbers with a unit are accepted: `5` may mean seconds or minutes, and programs read `1e3` and `1_000`
differently. Zero is always rejected; a key that can be switched off has a word for that.
"""

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
    """A share in percent, such as of a filesystem."""

    percent: int

    def __str__(self) -> str:
        return f"{self.percent}%"


def duration(text: str) -> timedelta:
    """Parses a duration such as `500ms`, `1s`, `5m`, `2h` or `7d`."""
    number, unit = _split(text)
    if number is None:
        form = "Write a whole number and ms, s, m, h or d, for example 500ms or 5m."
        raise ValueError(f"invalid duration {shown(text)}. {form}")
    if not unit:
        others = f"{number}ms, {number}m, {number}h, {number}d"
        raise ValueError(f"the unit is missing. Write {number}s for seconds, or {others}.")
    if unit not in DURATIONS:
        raise ValueError(f"unknown unit of time {shown(unit)}. Use ms, s, m, h or d.")
    if number > _LONGEST / DURATIONS[unit]:
        raise ValueError(f"{shown(text)} is longer than 36500d. Write a shorter duration.")
    return _positive(number, text) * DURATIONS[unit]


def duration_or_never(text: str) -> timedelta | None:
    """Parses a duration; returns None for `never`."""
    return None if text == "never" else duration(text)


def size(text: str) -> int:
    """Parses a size such as `64KiB`, `5MB` or `10GB`; returns bytes. KB is 1000 bytes, KiB is 1024."""
    number, unit = _split(text)
    if number is None:
        raise ValueError(f"invalid size {shown(text)}. Write a whole number and a unit, for example 64KiB or 5MB.")
    if not unit:
        raise ValueError(f"the unit is missing. Write {number}B for bytes, or use KB, KiB, MB, MiB, GB or GiB.")
    if unit not in SIZES:
        raise ValueError(_unknown_size(number, unit))
    return _bounded(_positive(number, text) * SIZES[unit], text)


def size_or_share(text: str) -> int | Share:
    """Parses a size in bytes, or a share of the filesystem such as `80%`."""
    if wordy := _WORDY_SHARE.fullmatch(text):
        raise ValueError(f"invalid share {shown(text)}. Write {wordy[1]}%, without a space.")
    if not text.endswith("%"):
        if _split(text)[0] is None:
            example = "Write a size, for example 10GB, or a share of the disk, for example 80%."
            raise ValueError(f"invalid size {shown(text)}. {example}")
        return size(text)
    number, rest = _split(text[:-1])
    if number is None or rest or not 1 <= number <= 100:
        raise ValueError(f"invalid share {shown(text)}. Write 1% to 100%.")
    return Share(number)


def rate_share(text: str) -> Share:
    """Parses a share of a usual rate, `1%` to `90%`."""
    if wordy := _WORDY_SHARE.fullmatch(text):
        raise ValueError(f"invalid share {shown(text)}. Write {wordy[1]}%, without a space.")
    number, rest = _split(text.removesuffix("%"))
    if not text.endswith("%") or number is None or rest or not 1 <= number <= 90:
        raise ValueError(f"invalid share {shown(text)}. Write 1% to 90% of the usual rate, for example 30%.")
    return Share(number)


def rate(text: str) -> int:
    """Parses a rate such as `5000/s`; returns events per second."""
    amount, _, per = text.partition("/")
    number, unit = _split(amount)
    if number is None or unit or per != "s":
        raise ValueError(f"invalid rate {shown(text)}. Write events per second, for example 5000/s.")
    return _bounded(_positive(number, text), text)


def volume(text: str) -> int:
    """Parses a volume such as `20GB/day`; returns bytes per day."""
    amount, _, per = text.partition("/")
    if per != "day":
        raise ValueError(f"invalid volume {shown(text)}. Write a size per day, for example 20GB/day.")
    return size(amount)


def bandwidth(text: str) -> int:
    """Parses a bandwidth such as `10Mbit/s`; returns bits per second."""
    amount, _, per = text.partition("/")
    number, unit = _split(amount)
    if number is None or unit not in BITS or per != "s":
        raise ValueError(f"invalid bandwidth {shown(text)}. Write kbit/s, Mbit/s or Gbit/s, for example 10Mbit/s.")
    return _bounded(_positive(number, text) * BITS[unit], text)


def _split(text: str) -> tuple[int | None, str]:
    found = _QUANTITY.fullmatch(text)
    if found is None or len(found[1]) > 18 or (len(found[1]) > 1 and found[1].startswith("0")):
        return None, ""
    return int(found[1]), found[2]


def _positive(number: int, text: str) -> int:
    if number == 0:
        raise ValueError(f"{shown(text)} must be greater than zero.")
    return number


def _bounded(number: int, text: str) -> int:
    if number >= 1 << 63:
        raise ValueError(f"{shown(text)} is too large.")
    return number


def _unknown_size(number: int, unit: str) -> str:
    prefix = unit[:1].upper()
    if prefix in "KMGT" and unit.lower() in (prefix.lower(), f"{prefix}b".lower(), f"{prefix}ib".lower()):
        units = f"{number}{prefix}B (times 1000) or {number}{prefix}iB (times 1024)"
        return f"unknown unit of size {shown(unit)}. Write {units}."
    return f"unknown unit of size {shown(unit)}. Use B, KB, KiB, MB, MiB, GB, GiB, TB or TiB."


def as_written(value: timedelta) -> str:
    """Returns a duration in its largest whole unit, as it is written in a configuration: `90s`, `2h`."""
    whole = (name for name, length in reversed(DURATIONS.items()) if value and not value % length)
    unit = next(whole, "ms")
    return f"{value // DURATIONS[unit]}{unit}"


def milliseconds(delta: timedelta) -> int:
    """Returns a duration in whole milliseconds."""
    return round(delta.total_seconds() * 1000)
