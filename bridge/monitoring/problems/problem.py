"""Defines a problem, and the wording that all problems share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED, KINDS, NOTICE
from bridge.util.counts import plural

MAX_AFFECTED = 100
"Names that a problem lists as affected."
MAX_NAMES = 3
"Names in the text of a problem."

T = TypeVar("T")

_RANKS = {state: rank for rank, state in enumerate((CRITICAL, DEGRADED, NOTICE))}
_HARM = {kind: rank for rank, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of the gateway. ``text`` says what happens and where, ``remedy`` what to do."""

    kind: str
    text: str
    remedy: str = ""
    state: str = ""
    "critical, degraded or notice; empty: the state of its kind."
    since: datetime | None = None
    affected: tuple[str, ...] = ()
    "Names of intakes, sources or listeners."
    ended: datetime | None = None
    "Time at which the cause ended, for a problem that stays visible for some time."
    about: str = ""
    "Tells problems of the same kind apart, such as the name of an intake."
    past: str = ""
    "The text for an ended problem, without figures that only count while it lasts. If it is empty, ``text`` is used."

    @property
    def severity(self) -> str:
        """Returns the state of this problem, or that of its kind."""
        return severity_of(self.kind, self.state)

    @property
    def key(self) -> tuple[str, str]:
        """Returns what stays the same as long as the problem lasts: its kind and what it is about."""
        return self.kind, self.about

    @property
    def order(self) -> tuple[int, bool, int]:
        """Returns the sort key of harm: the worst state first, then what lasts, then the order of the kinds."""
        return self.rank, self.ended is not None, _HARM.get(self.kind, len(_HARM))

    @property
    def rank(self) -> int:
        """Returns the rank of the state: see ``rank_of``."""
        return rank_of(self.kind, self.state)

    def to_json(self) -> dict[str, object]:
        """Returns the problem as in ``/api/status``."""
        return {
            "state": self.severity,
            "kind": self.kind,
            "text": self.text,
            "remedy": self.remedy,
            "since": moment(self.since),
            "affected": list(self.affected[:MAX_AFFECTED]),
            "ended": moment(self.ended),
        }


def severity_of(kind: str, state: str) -> str:
    """Returns the state of a problem, or that of its kind if it has none of its own."""
    return state or (KINDS[kind].state if kind in KINDS else DEGRADED)


def rank_of(kind: str, state: str) -> int:
    """Returns the rank of a problem's state; 0 is the worst. A state that is not known comes last."""
    return _RANKS.get(severity_of(kind, state), len(_RANKS))


def most_harmful(ended: Iterable[tuple[datetime, T]], most: int, rank: Callable[[T], int]) -> list[T]:
    """Returns the most harmful of the problems that have ended at these times, the latest first.

    Of equally harmful ones, the latest are kept. So many harmless problems do not hide a harmful one.
    """
    latest = sorted(ended, key=lambda pair: pair[0], reverse=True)
    kept = sorted(latest, key=lambda pair: rank(pair[1]))[:most]
    return [each for _, each in sorted(kept, key=lambda pair: pair[0], reverse=True)]


def moment(when: datetime | None) -> str | None:
    """Formats a time as RFC 3339, in UTC."""
    return None if when is None else when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: object) -> datetime | None:
    """Reads a time as RFC 3339; None for anything else."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def clock_time(when: datetime, now: datetime) -> str:
    """Formats a time for a text: without its date if it is within the last 24 hours."""
    short = now - when < timedelta(hours=24)
    return when.astimezone(UTC).strftime("%H:%M UTC" if short else "%Y-%m-%d %H:%M UTC")


def listed(names: Sequence[str]) -> str:
    """Formats names, such as ``a and b``, or ``a, b, c and 2 more``."""
    shown = list(names[:MAX_NAMES])
    last = f"{len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last


def named(noun: str, names: Sequence[str]) -> str:
    """Formats a noun with at least one name, such as ``intake a``, or ``intakes a, b, c and 2 more``."""
    return f"{plural(noun) if len(names) > 1 else noun} {listed(names)}"


def capital(text: str) -> str:
    """Returns a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]
