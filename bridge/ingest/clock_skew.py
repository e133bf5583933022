"""The clock doctor: what the times in a sender's messages say of its clock, in words, with the setting that mends it.

An *offset* is event time less reception, in seconds: positive, the clock is ahead. Three things are told apart: a clock
that runs wrong, a clock that is right in a zone that we do not know of, and messages that come late. A whole number of
hours (or the half and quarter hours that zones have) within ``SLACK`` is a zone; what else is off is a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

RIGHT_WITHIN = 10.0
"Seconds off that nobody minds: texts without fraction and a slow road are one or two."
SLACK = 150.0
"Seconds by which an offset may miss a zone's and still be taken for it."
LATE = 60.0
"Seconds that messages of a right clock may be on their way."
NEVER_SET_BEFORE = 2020
_ZONE_MINUTES = frozenset(
    sign * minutes
    for sign in (-1, 1)
    for minutes in (*range(60, 15 * 60, 60), 210, 270, 330, 345, 390, 525, 570, 630, 765, 30, 45, 90, 150)
)
"Differences that two zones may have."

# One place for each offset in use, and two where one keeps daylight saving time and the other does not.
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
    """What has been seen of one sender's clock. The best reading of a clock is the one that came with least delay, so
    the greatest offset of the last minute or two counts."""

    __slots__ = ("_before", "_since_ms", "_so_far", "dated", "offset", "seen_ms", "zone", "zoned")

    WINDOW_MS = 60_000

    def __init__(self) -> None:
        self.offset: float | None = None
        "The latest."
        self.seen_ms = 0
        self.zoned = False
        "Whether the text names its zone."
        self.dated = False
        "Whether it names the year."
        self.zone: tzinfo = UTC
        "The zone that a text without one is read in."
        self._since_ms = 0
        self._before = self._so_far = float("-inf")

    def note(self, offset: float, *, now_ms: int, zoned: bool, dated: bool, zone: tzinfo) -> None:
        """One message's time; ``now_ms`` is its reception."""
        if (zoned, zone) != (self.zoned, self.zone) or not 0 <= now_ms - self._since_ms <= 2 * self.WINDOW_MS:
            # Something was set anew, or nothing came for long: what was seen before says nothing.
            self._since_ms, self._before, self._so_far = now_ms, float("-inf"), float("-inf")
        elif now_ms - self._since_ms >= self.WINDOW_MS:
            self._since_ms, self._before, self._so_far = now_ms, self._so_far, float("-inf")
        self._so_far = max(self._so_far, offset)
        self.offset, self.seen_ms, self.zoned, self.dated, self.zone = offset, now_ms, zoned, dated, zone

    @property
    def sick(self) -> bool:
        """Whether somebody should do something, as the diagnosis has it."""
        best = self.best
        return best is not None and abs(round(best)) > RIGHT_WITHIN

    @property
    def best(self) -> float | None:
        """The offset that delays have least part in."""
        return None if self.offset is None else max(self._before, self._so_far)

    def diagnosis(self) -> "Diagnosis":
        """What it means."""
        if self.offset is None or self.best is None:
            return NO_TIME
        # To the hour and the second, so that the same is found once for many senders.
        now = datetime.fromtimestamp(self.seen_ms // 3_600_000 * 3600, UTC)
        return diagnose(
            round(self.best), latest=round(self.offset), now=now, zone=None if self.zoned else self.zone,
            dated=self.dated,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``kind``: right, late, zone, dst, year, unset, wrong or none (no time in the messages)."""

    kind: str
    words: str
    remedy: str = ""

    @property
    def sick(self) -> bool:
        """Whether somebody should do something."""
        return self.kind not in ("right", "late", "none")


NO_TIME = Diagnosis("none", "no time in its messages")


@lru_cache(maxsize=10_000)
def diagnose(offset: float, *, latest: float, now: datetime, zone: tzinfo | None, dated: bool) -> Diagnosis:
    """The reading of an offset. ``zone``: where the text names none, the one it was read in."""
    if abs(offset) <= RIGHT_WITHIN:
        if offset - latest > LATE:
            return Diagnosis("late", f"right; a message came {_span(offset - latest)} late (buffered on its way)")
        return Diagnosis("right", "right")
    said = _off(offset)
    shown = now + timedelta(seconds=offset)
    if found := _calendar(offset, shown, now, dated):
        return found
    minutes = round(offset / 900) * 15
    if minutes in _ZONE_MINUTES and abs(offset - minutes * 60) <= SLACK:
        return _of_zone(said, minutes, now, zone)
    return Diagnosis("wrong", said, "set the device's clock (NTP)")


def _calendar(offset: float, shown: datetime, now: datetime, dated: bool) -> Diagnosis | None:
    """A wrong year, or a date that a clock begins with."""
    if abs(offset) < 7 * 86400:
        return None
    if dated and shown.year < NEVER_SET_BEFORE:
        return Diagnosis(
            "unset", f"never set: it says {shown:%Y-%m-%d}", "set the device's clock (NTP); it has none that runs on"
        )
    years = [year for year in (shown.year - now.year, shown.year - now.year - 1, shown.year - now.year + 1) if year]
    for year in years if dated else ():
        if abs((_shifted(now, year) - shown).total_seconds()) <= 15 * 3600:
            return Diagnosis(
                "year", f"the year is wrong: it says {shown:%Y-%m-%d}", "set the year of the device's clock"
            )
    if not dated and (shown.month, shown.day) in ((1, 1), (1, 2), (3, 1), (3, 2)):
        return Diagnosis(
            "unset",
            f"it says {shown:%B} {shown.day}: probably not set since it started",
            "set the device's clock (NTP)",
        )
    return None


def _shifted(when: datetime, years: int) -> datetime:
    try:
        return when.replace(year=when.year + years)
    except ValueError:
        # 29 February
        return when.replace(year=when.year + years, day=28)


def _of_zone(said: str, minutes: int, now: datetime, zone: tzinfo | None) -> Diagnosis:
    if zone is None:
        return Diagnosis(
            "zone", f"{said}, and the zone is in its messages: it writes local time under a wrong zone",
            "set the device's time zone; until then timestamp: received on its route",
        )  # fmt: skip
    ours = now.astimezone(zone).utcoffset() or timedelta()
    theirs = ours + timedelta(minutes=minutes)
    seasons = {now.replace(month=month, day=1).astimezone(zone).utcoffset() for month in (1, 7)}
    if len(seasons) == 2 and theirs in seasons:
        words = "stays in winter time" if minutes < 0 else "stays in summer time"
        return Diagnosis(
            "dst", f"{said}: it {words} while {zone} has changed",
            f"let the device follow daylight saving time, or sources: timezone: {_fixed(theirs)}",
        )  # fmt: skip
    near = list(_places(theirs, now))
    such = f"the place, such as {' or '.join(near)}" if near else _fixed(theirs)
    return Diagnosis(
        "zone", f"{said}: local time without zone (UTC{_signed(theirs)}), read as {zone}",
        f"sources: timezone: {such}",
    )  # fmt: skip


def _places(offset: timedelta, now: datetime) -> Iterator[str]:
    """At most two places whose clocks show this now."""
    found = 0
    for zone in _zones():
        if found < 2 and now.astimezone(zone).utcoffset() == offset:
            found += 1
            yield zone.key


@cache
def _zones() -> tuple[ZoneInfo, ...]:
    # The module's own cache forgets all but a few, and reads their files again.
    return tuple(map(ZoneInfo, _PLACES))


def _fixed(offset: timedelta) -> str:
    """A zone that never changes. Its sign is POSIX's: Etc/GMT-1 is an hour ahead of UTC."""
    hours, rest = divmod(offset.total_seconds(), 3600)
    if rest:
        return f"a place at UTC{_signed(offset)}"
    return "UTC" if not hours else f"Etc/GMT{-hours:+.0f}"


def _signed(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _off(offset: float) -> str:
    return f"{_span(abs(offset))} {'ahead' if offset > 0 else 'behind'}"


def _span(seconds: float) -> str:
    """``55 minutes``, ``2 hours``, ``1 hour 30 minutes``: to the minute below two days, whole days above."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    if minutes >= 2 * 1440:
        return f"{round(minutes / 1440)} days"
    hours, minutes = divmod(minutes, 60)
    words = [f"{n} {unit}{'s' * (n != 1)}" for n, unit in ((hours, "hour"), (minutes, "minute")) if n]
    # A zone's two minutes of slack are no part of what is meant.
    if hours and (minutes <= 2 or minutes >= 58):
        hours += minutes >= 58
        words = [f"{hours} hour{'s' * (hours != 1)}"]
    return " ".join(words)
