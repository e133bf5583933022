"""Raises an alarm for each source that sends far less than it usually does at this hour (``alert_if_rate_below``).

A source is judged by the events of the last hour, because many sources send in bursts, such as once an hour. It is not
judged while its usual rate is not known, or so low that chance alone could explain the difference.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from bridge.ingest.addresses import address_of
from bridge.ingest.peers import Peers
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.rate_file import LearnedRates
from bridge.monitoring.usual_rate import MIN_OBSERVATIONS, UsualRate
from bridge.routing import Router

EVERY = 300.0
"Seconds between two looks."
WINDOW = 12
"Looks over which the present rate is measured: an hour."
MIN_WINDOW = 3300.0
"Seconds that the present rate must cover."
MIN_HOUR, MAX_HOUR = 2700.0, 4500.0
"Seconds of an hour that must be observed, and that an hour may have at most, after which its rate is learned."
MAX_SOURCES = 1000
"Sources that are watched, at most. Those with learned rates come first, then those with the most events."
DEVIATIONS = 4.0
"Standard deviations by which the limit must lie below the usual number of events."
UNKNOWN_SECONDS = 86_400.0
"Seconds after which the alarm of a source ends that can no longer be judged."

JSON = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Setting:
    """Settings of one source in the configuration."""

    percent: int | None
    name: str | None
    zone: tzinfo


@dataclass(slots=True)
class _Watched:
    """The state of one source."""

    relay: str | None
    usual: UsualRate
    total: int = 0
    "Its events at the latest look."
    window: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    "Seconds and events between the latest looks."
    hour: tuple[int, int] | None = None
    "Day and hour of the latest look, in its time zone."
    usual_before: float | None = None
    usual_now: float | None = None
    "Its usual events in the hour before that, and in that hour."
    hour_seconds: float = 0.0
    hour_events: int = 0
    alarm: str = ""
    "The text of its alarm, empty if there is none."
    judged: float = 0.0
    "When it was last judged."

    def add(self, total: int, seconds: float) -> None:
        """Adds the events since the latest look, from the number of all its events now."""
        # A sender that was forgotten counts from zero.
        events = total - self.total if total >= self.total else total
        self.total = total
        if seconds:
            self.window.append((seconds, events))
            self.hour_seconds += seconds
            self.hour_events += events

    def set_alarm(self, text: str) -> None:
        """Begins its alarm, or ends it if the text is empty."""
        self.alarm = text

    def note_judged(self, now: float) -> None:
        """Records that its rate could be compared with the usual one."""
        self.judged = now

    def begin_hour(self, hour: tuple[int, int], *, learns: bool) -> bool:
        """Begins another hour. Returns True if the rate of the last one was learned."""
        learned = learns and self.hour is not None and MIN_HOUR <= self.hour_seconds <= MAX_HOUR
        if learned and self.hour is not None:
            self.usual.note(*self.hour, round(self.hour_events * 3600 / self.hour_seconds))
        self.hour, self.hour_seconds, self.hour_events = hour, 0.0, 0
        day, number = hour
        self.usual_now = self.usual.per_hour(day, number)
        self.usual_before = self.usual.per_hour(*((day, number - 1) if number else (day - 1, 23)))
        return learned

    @property
    def hour_text(self) -> str:
        """Returns the hour of the latest look, such as 14:00."""
        return f"{self.hour[1]:02}:00" if self.hour else "-"

    def per_minute(self) -> float | None:
        """Returns the events per minute of the last hour, None if it was not observed long enough."""
        seconds = sum(seconds for seconds, _ in self.window)
        return 60 * sum(events for _, events in self.window) / seconds if seconds >= MIN_WINDOW else None

    def usual_per_minute(self, now: datetime) -> float | None:
        """Returns the usual events per minute of the last 60 minutes, which are in two hours."""
        if self.usual_now is None or self.usual_before is None:
            return None
        # At the end of an hour, the latest look was in that hour.
        minute = now.minute if (now.toordinal(), now.hour) == self.hour else 60
        return (self.usual_before * (60 - minute) + self.usual_now * minute) / 3600


class RateMonitor:
    """Watches the rates of sources. ``clock`` is monotonic, ``wall`` in seconds since the epoch. ``settled`` returns
    True if the wall clock has run evenly, so that hours can be learned."""

    def __init__(
        self, alarms: Alarms, peers: Peers, learned: LearnedRates, *,
        clock: Callable[[], float], wall: Callable[[], float], settled: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._alarms = alarms
        self._peers = peers
        self._file = learned
        self._clock = clock
        self._wall = wall
        self._settled = settled
        self._last: float | None = None
        self._watched = {address: _Watched(relay, usual) for address, (relay, usual) in learned.load().items()}
        self._router: Router | None = None
        self._settings: dict[str, _Setting] = {}

    def look(self) -> None:
        """Counts the events since the last look, learns the hour that is over, and raises and ends alarms."""
        now = self._clock()
        seconds = 0.0 if self._last is None else now - self._last
        self._last = now
        counts, relays = self._count()
        if not counts and not self._watched:
            return
        self._choose(counts, relays)
        learns, changed = self._settled(), False
        for address, watched in self._watched.items():
            setting = self._setting(address, watched.relay)
            middle = datetime.fromtimestamp(self._wall() - seconds / 2, setting.zone)
            if (hour := (middle.toordinal(), middle.hour)) != watched.hour:
                changed |= watched.begin_hour(hour, learns=learns)
            watched.add(counts.get(address, 0), seconds)
            self._judge(address, watched, setting, now)
        if changed:
            self._file.save({address: (each.relay, each.usual.copy()) for address, each in self._watched.items()})

    def report(self, address: str) -> JSON | None:
        """Returns what is known of the rate of a source, None if it is not watched."""
        watched = self._watched.get(address)
        if watched is None:
            return None
        setting = self._setting(address, watched.relay)
        now = datetime.fromtimestamp(self._wall(), setting.zone)
        usual, rate = watched.usual_per_minute(now), watched.per_minute()
        percent = setting.percent or 0
        return {
            "percent": setting.percent,
            "hour": watched.hour_text,
            "per_minute": None if rate is None else round(rate, 2),
            "usual_per_minute": None if usual is None else round(usual, 2),
            "limit_per_minute": None if usual is None else round(usual * percent / 100, 2),
            "observations": watched.usual.observations(now.toordinal(), now.hour),
            "needed_observations": MIN_OBSERVATIONS,
            "too_few_events": usual is not None and usual * 60 < needed_events(percent),
            "below": bool(watched.alarm),
        }

    def _count(self) -> tuple[dict[str, int], dict[str, str | None]]:
        """Returns the events, and the relay if there is one, of each source that is configured to be watched.

        The events of a relay are those of all hosts behind it.
        """
        counts: Counter[str] = Counter()
        behind: Counter[str] = Counter()
        relays: dict[str, str | None] = {}
        for peer in self._peers.all():
            if peer.relay_address is not None:
                behind[peer.relay_address] += peer.events
            if peer.rate_below is not None:
                counts[peer.address] += peer.events
                relays[peer.address] = peer.relay_address
        for address, events in behind.items():
            if address in counts:
                counts[address] += events
        return counts, relays

    def _choose(self, counts: dict[str, int], relays: dict[str, str | None]) -> None:
        """Watches the sources that are configured, and no others."""
        if self._peers.router is not self._router:
            self._router = self._peers.router
            self._settings.clear()
        for address, watched in list(self._watched.items()):
            if self._setting(address, watched.relay).percent is None:
                self._forget(address, "it is no longer watched")
        for address, total in counts.items():
            if address not in self._watched:
                self._watched[address] = _Watched(relays[address], UsualRate(), total)
        if len(self._watched) > MAX_SOURCES:
            for address in self._least(counts, len(self._watched) - MAX_SOURCES):
                self._forget(address, "too many sources are watched")

    def _least(self, counts: dict[str, int], number: int) -> Iterable[str]:
        """Returns the sources that matter least: forged addresses have few events, and no learned rate."""
        order = sorted(self._watched, key=lambda each: (bool(self._watched[each].usual), counts.get(each, 0)))
        return order[:number]

    def _forget(self, address: str, why: str) -> None:
        del self._watched[address]
        self._settings.pop(address, None)
        self._alarms.off("rate_below", address, f"source {address}: {why}")

    def _setting(self, address: str, relay: str | None) -> _Setting:
        found = self._settings.get(address)
        if found is None:
            router, sender, host = self._peers.router, address_of(relay or address), address if relay else None
            known = router.known(sender, host)
            found = _Setting(known.rate_below, known.name, router.zone(sender, host))
            self._settings[address] = found
        return found

    def _judge(self, address: str, watched: _Watched, setting: _Setting, now: float) -> None:
        moment = datetime.fromtimestamp(self._wall(), setting.zone)
        rate, usual, percent = watched.per_minute(), watched.usual_per_minute(moment), setting.percent or 0
        about = f"{setting.name} ({address})" if setting.name else address
        if rate is None or usual is None or usual * 60 < needed_events(percent):
            if watched.alarm and now - watched.judged > UNKNOWN_SECONDS:
                self._end(address, watched, f"source {about}: its usual rate has fallen")
            return
        watched.note_judged(now)
        at = f"usual at {watched.hour_text} is {shown_rate(usual)}"
        if not watched.alarm and rate < usual * percent / 100:
            # Silence is the more exact alarm.
            if ("silence", address) not in self._alarms.active:
                watched.set_alarm(
                    f"source {about} sends {shown_rate(rate)} events/min over the last hour; {at}"
                    f" ({percent} % is the limit)"
                )
                remedy = f'check the device and its logging, run "syslog-bridge why {address}"'
                self._alarms.on("rate_below", address, watched.alarm, remedy=remedy)
        elif watched.alarm and rate >= usual * end_percent(percent) / 100:
            self._end(address, watched, f"source {about} sends {shown_rate(rate)} events/min again; {at}")

    def _end(self, address: str, watched: _Watched, text: str) -> None:
        watched.set_alarm("")
        self._alarms.off("rate_below", address, text)


def needed_events(percent: int) -> float:
    """Returns the usual events per hour from which fewer than ``percent`` of them cannot be chance."""
    return (DEVIATIONS / (1 - percent / 100)) ** 2


def end_percent(percent: int) -> float:
    """Returns the share of the usual rate at which an alarm ends, above the one at which it begins."""
    return percent + (100 - percent) / 4


def shown_rate(per_minute: float) -> str:
    """Formats events per minute."""
    return f"{per_minute:,.0f}" if per_minute >= 10 else f"{per_minute:.2g}"
