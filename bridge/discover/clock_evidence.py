"""Compares the times that a sender writes with the times of reception, and finds the time zone that fits.

An offset alone does not tell a zone: several zones have the same offset, and a clock may be wrong by an hour. So a zone
is chosen only among those that the operator has named for the site. Otherwise the possible zones are listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Literal
from zoneinfo import ZoneInfo

from bridge.ingest.clock_skew import ZONE_TOLERANCE, places_with, signed
from bridge.util.counts import counted

LEAST_TIMES = 3
"Times that are needed to judge a clock."
STEADY_SECONDS = 120.0
"Distance from the median offset up to which an offset agrees with it."
STEADY_SHARE = 0.8
"Share of the offsets that must agree."
MAX_CANDIDATES = 5
_QUARTER = 900
_LARGEST_ZONE = 14 * 3600

Kind = Literal["no time", "unknown", "named", "zone", "unsteady", "wrong"]


@dataclass(frozen=True, slots=True)
class ClockEvidence:
    """Holds the facts about a sender's clock."""

    kind: Kind
    """``named``: the messages name their zone. ``zone``: the offset is that of a zone. ``unsteady``: the offsets
    differ. ``wrong``: the offset is that of no zone. ``unknown``: too few times, or times of reception are missing."""
    text: str
    "The evidence in words."
    zone: str | None = None
    "The zone to set. None if the default zone is right, or if the zone is not certain."
    candidates: Sequence[str] = ()
    "Zones that fit, if none is certain."


def clock_evidence(
    offsets: Sequence[float], zoned: Sequence[float], *, untimed: int, now: datetime | None, zones: Sequence[ZoneInfo]
) -> ClockEvidence:
    """Judges a clock by its offsets in seconds: times without a zone read as UTC, and times with their own zone.

    ``zones``: the zones that the operator has named; the first is the default. ``now``: about the time of reception.
    """
    if now is None or len(offsets) + len(zoned) < LEAST_TIMES:
        if untimed and not offsets and not zoned:
            return ClockEvidence("no time", "its messages have no readable time")
        why = "the capture has no times of reception" if now is None else "too few messages have a time"
        return ClockEvidence("unknown", f"clock unknown: {why}")
    if len(zoned) > len(offsets):
        return _named(zoned)
    middle, steady = _steady(offsets)
    if not steady:
        return ClockEvidence("unsteady", f"clock unknown: its offsets differ by more than {STEADY_SECONDS:.0f} s")
    nearest = round(middle / _QUARTER) * _QUARTER
    if abs(middle - nearest) > ZONE_TOLERANCE or abs(nearest) > _LARGEST_ZONE:
        return ClockEvidence("wrong", f"its clock differs from UTC by {span(middle)}, which is no time zone")
    return _zone(timedelta(seconds=nearest), len(offsets), now, zones)


def _named(zoned: Sequence[float]) -> ClockEvidence:
    middle, steady = _steady(zoned)
    if steady and abs(middle) > ZONE_TOLERANCE:
        return ClockEvidence(
            "wrong", f"its messages name their zone, and its clock is {span(abs(middle))} "
            f"{'ahead' if middle > 0 else 'behind'}: correct the clock or the zone of the device",
        )  # fmt: skip
    return ClockEvidence("named", f"its messages name their zone, in {len(zoned)} of {counted(len(zoned), 'time')}")


def _zone(offset: timedelta, count: int, now: datetime, zones: Sequence[ZoneInfo]) -> ClockEvidence:
    fitting = [zone.key for zone in zones if now.astimezone(zone).utcoffset() == offset]
    text = f"its clock shows UTC{signed(offset)} without a zone, in {counted(count, 'time')}"
    if fitting and fitting[0] == zones[0].key:
        return ClockEvidence("zone", f"{text}: {fitting[0]} fits")
    if len(fitting) == 1:
        return ClockEvidence("zone", f"{text}: of the zones of this site, only {fitting[0]} fits", zone=fitting[0])
    if fitting:
        return ClockEvidence("zone", f"{text}: {' and '.join(fitting)} fit", candidates=fitting)
    return ClockEvidence("zone", text, candidates=places_with(offset, now, MAX_CANDIDATES))


def _steady(offsets: Sequence[float]) -> tuple[float, bool]:
    middle = median(offsets)
    near = sum(abs(offset - middle) <= STEADY_SECONDS for offset in offsets)
    return middle, near >= STEADY_SHARE * len(offsets)


def span(seconds: float) -> str:
    """Returns a duration in words: ``55 s``, ``12 min``, ``3 h 20 min``, ``2 days``."""
    size = abs(seconds)
    if size < 120:
        return f"{size:.0f} s"
    minutes = round(size / 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes >= 2 * 1440:
        return f"{round(minutes / 1440)} days"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def utc(time: float | None) -> datetime | None:
    """Returns seconds since the epoch as a time in UTC."""
    return None if time is None else datetime.fromtimestamp(time, UTC)
