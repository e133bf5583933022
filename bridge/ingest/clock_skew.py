"""Diagnoses a sender's clock from the timestamps of its messages, and names the setting that corrects it.

An *offset* is event time minus reception time, in seconds: it is positive if the clock is ahead. Three cases are told
apart: a clock that is wrong, a clock that is right but in a time zone that the configuration does not name, and
messages that arrive late. An offset within ``ZONE_TOLERANCE`` of a whole number of hours (or of the half and quarter
hours that zones use) is a zone. Any other offset is a wrong clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from bridge.util.counts import counted
from bridge.util.zone_places import unchanging_place

TOLERANCE = 10.0
"Offset in seconds that counts as right: timestamps without fractions and network delay account for one or two."
ZONE_TOLERANCE = 150.0
"Seconds by which an offset may differ from a zone's and still count as that zone."
LATE_AFTER = 60.0
"Seconds that the messages of a right clock may be in transit before they count as late."
NEVER_SET_BEFORE = 2020
_ZONE_MINUTES = frozenset(
    sign * minutes
    for sign in (-1, 1)
    for minutes in (*range(60, 15 * 60, 60), 210, 270, 330, 345, 390, 525, 570, 630, 765, 30, 45, 90, 150)
)
"Minutes by which two zones may differ."

# One location for each UTC offset in use; two where one observes daylight saving time and the other does not.
_PLACES = (
    "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Phoenix", "America/Denver",
    "America/Chicago", "America/Mexico_City", "America/New_York", "America/Bogota", "America/Halifax",
    "America/Santiago", "America/St_Johns", "America/Sao_Paulo", "Atlantic/Azores", "Europe/London", "Europe/Paris",
    "Africa/Lagos", "Europe/Athens", "Africa/Johannesburg", "Europe/Istanbul", "Asia/Riyadh", "Asia/Tehran",
    "Asia/Dubai", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon",
    "Asia/Bangkok", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Darwin", "Australia/Adelaide",
    "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


class SourceClock:
    """Tracks the clock offset of one sender.

    Delay only ever makes an offset smaller, so the greatest offset of the last one to two minutes is the best
    estimate of the clock.
    """

    __slots__ = ("_current_best", "_previous_best", "_start_ms", "has_year", "has_zone", "offset", "seen_ms", "zone")

    WINDOW_MS = 60_000

    def __init__(self) -> None:
        self.offset: float | None = None
        "The latest offset, in seconds."
        self.seen_ms = 0
        self.has_zone = False
        "True if the timestamp text names its zone."
        self.has_year = False
        "True if the timestamp text names the year."
        self.zone: tzinfo = UTC
        "The zone in which a timestamp without a zone is read."
        self._start_ms = 0
        self._previous_best = self._current_best = float("-inf")

    def note(self, offset: float, *, now_ms: int, has_zone: bool, has_year: bool, zone: tzinfo) -> None:
        """Records the offset of one message. ``now_ms`` is the reception time, in milliseconds since the epoch."""
        if (has_zone, zone) != (self.has_zone, self.zone) or not 0 <= now_ms - self._start_ms <= 2 * self.WINDOW_MS:
            # The zone has changed, or no message came for a long time: earlier offsets do not apply any more.
            self._start_ms, self._previous_best, self._current_best = now_ms, float("-inf"), float("-inf")
        elif now_ms - self._start_ms >= self.WINDOW_MS:
            self._start_ms, self._previous_best, self._current_best = now_ms, self._current_best, float("-inf")
        self._current_best = max(self._current_best, offset)
        self.offset, self.seen_ms, self.has_zone, self.has_year, self.zone = offset, now_ms, has_zone, has_year, zone

    def forget(self) -> None:
        """Forgets all offsets. The clock of the gateway was set, so they do not apply any more."""
        self.offset = None
        self._previous_best = self._current_best = float("-inf")

    @property
    def needs_action(self) -> bool:
        """True if the operator should correct something; the same result as ``Diagnosis.needs_action``."""
        best = self.best
        return best is not None and abs(round(best)) > TOLERANCE

    @property
    def best(self) -> float | None:
        """Returns the offset that is least affected by delays, or None before the first offset."""
        return None if self.offset is None else max(self._previous_best, self._current_best)

    def diagnosis(self) -> "Diagnosis":
        """Returns the diagnosis of the best offset."""
        if self.offset is None or self.best is None:
            return NO_TIME
        # The time is rounded to the hour and offsets to the second, so that many senders share one cached diagnosis.
        now = datetime.fromtimestamp(self.seen_ms // 3_600_000 * 3600, UTC)
        return diagnose(
            round(self.best), latest=round(self.offset), now=now, zone=None if self.has_zone else self.zone,
            has_year=self.has_year,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """States what is known about a sender's clock.

    ``kind`` is right, late, zone, dst, year, unset, wrong or none (the messages carry no time).
    """

    kind: str
    words: str
    remedy: str = ""

    @property
    def needs_action(self) -> bool:
        """True if the operator should correct something."""
        return self.kind not in ("right", "late", "none")


NO_TIME = Diagnosis("none", "its messages carry no timestamp")


@lru_cache(maxsize=10_000)
def diagnose(offset: float, *, latest: float, now: datetime, zone: tzinfo | None, has_year: bool) -> Diagnosis:
    """Diagnoses an offset in seconds. ``zone`` is the zone assumed for a timestamp without one, else None."""
    if abs(offset) <= TOLERANCE:
        if offset - latest > LATE_AFTER:
            return Diagnosis("late", f"right; a message arrived {_span(offset - latest)} late (buffered in transit)")
        return Diagnosis("right", "right")
    offset_text = _offset_text(offset)
    device_time = now + timedelta(seconds=offset)
    if found := _diagnose_date(offset, device_time, now, has_year):
        return found
    minutes = round(offset / 900) * 15
    if minutes in _ZONE_MINUTES and abs(offset - minutes * 60) <= ZONE_TOLERANCE:
        return _diagnose_zone(offset_text, minutes, now, zone)
    return Diagnosis("wrong", offset_text, "set the device's clock (NTP)")


def _diagnose_date(offset: float, device_time: datetime, now: datetime, has_year: bool) -> Diagnosis | None:
    """Returns a diagnosis for a wrong year or for a date that clocks start with, or None for any other offset."""
    if abs(offset) < 7 * 86400:
        return None
    if has_year and device_time.year < NEVER_SET_BEFORE:
        return Diagnosis(
            "unset",
            f"never set: it shows {device_time:%Y-%m-%d}",
            "set the device's clock (NTP); it does not keep time while the device is off",
        )
    difference = device_time.year - now.year
    for years in (difference, difference - 1, difference + 1) if has_year else ():
        if years and abs((_shifted(now, years) - device_time).total_seconds()) <= 15 * 3600:
            return Diagnosis(
                "year", f"the year is wrong: it shows {device_time:%Y-%m-%d}", "set the year of the device's clock"
            )
    if not has_year and (device_time.month, device_time.day) in ((1, 1), (1, 2), (3, 1), (3, 2)):
        return Diagnosis(
            "unset",
            f"it shows {device_time:%B} {device_time.day}: probably not set since the device started",
            "set the device's clock (NTP)",
        )
    return None


def _shifted(when: datetime, years: int) -> datetime:
    try:
        return when.replace(year=when.year + years)
    except ValueError:
        # 29 February
        return when.replace(year=when.year + years, day=28)


def _diagnose_zone(offset_text: str, minutes: int, now: datetime, zone: tzinfo | None) -> Diagnosis:
    if zone is None:
        return Diagnosis(
            "zone", f"{offset_text}, although its messages name a zone: it writes local time with a wrong zone",
            "set the device's time zone; until then, set timestamp: received on its route",
        )  # fmt: skip
    configured_offset = now.astimezone(zone).utcoffset() or timedelta()
    device_offset = configured_offset + timedelta(minutes=minutes)
    seasons = {now.replace(month=month, day=1).astimezone(zone).utcoffset() for month in (1, 7)}
    if len(seasons) == 2 and device_offset in seasons:
        season = "winter" if minutes < 0 else "summer"
        return Diagnosis(
            "dst", f"{offset_text}: it stays in {season} time while {zone} has changed",
            f"enable daylight saving time on the device, or set sources: timezone: {_fixed(device_offset)}",
        )  # fmt: skip
    candidates = places_with(device_offset, now, 2)
    place = f"the device's location, such as {' or '.join(candidates)}" if candidates else _fixed(device_offset)
    return Diagnosis(
        "zone", f"{offset_text}: local time without zone (UTC{signed(device_offset)}), read as {zone}",
        f"set sources: timezone: to {place}",
    )  # fmt: skip


def places_with(offset: timedelta, now: datetime, most: int) -> list[str]:
    """Returns at most ``most`` locations whose UTC offset at a time is ``offset``."""
    return list(islice((zone.key for zone in _zones() if now.astimezone(zone).utcoffset() == offset), most))


@cache
def _zones() -> tuple[ZoneInfo, ...]:
    # ZoneInfo's own cache keeps only a few zones and reads the others from disk again.
    return tuple(map(ZoneInfo, _PLACES))


def _fixed(offset: timedelta) -> str:
    """Returns a location with a fixed UTC offset."""
    place = unchanging_place(offset)
    return f"{place} (UTC{signed(offset)} all year)" if place else f"a location at UTC{signed(offset)}"


def signed(offset: timedelta) -> str:
    """Returns a UTC offset as ``+01:00``."""
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _offset_text(offset: float) -> str:
    return f"{_span(abs(offset))} {'ahead' if offset > 0 else 'behind'}"


def _span(seconds: float) -> str:
    """Formats a duration, such as ``55 minutes``: in minutes below two days, in whole days above."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    if minutes >= 2 * 1440:
        return f"{round(minutes / 1440)} days"
    hours, minutes = divmod(minutes, 60)
    words = [counted(n, unit) for n, unit in ((hours, "hour"), (minutes, "minute")) if n]
    # Two minutes more or less than a whole hour are tolerance, not information.
    if hours and (minutes <= 2 or minutes >= 58):
        hours += minutes >= 58
        words = [counted(hours, "hour")]
    return " ".join(words)
