"""Describes the room in the spool: what limits it, what to do, and when it is full."""

from collections.abc import Iterator
from typing import Any

from bridge.monitoring.problems.problem import Problem, read_moment
from bridge.monitoring.problems.situation import Situation
from bridge.util.spans import size, span

JSON = dict[str, Any]

FILLING_SHARE = 0.7
"Used share of the spool from which it is a problem."
FAR_SECONDS = 90 * 86_400.0
"Seconds beyond which a time until the spool is full is not given exactly."


def full_in(seconds: float | None) -> str:
    """Formats the time until the spool is full, as it is written everywhere."""
    if seconds is None:
        return "not growing"
    if seconds < 1:
        return "full"
    return "full in more than 90 d" if seconds > FAR_SECONDS else f"full in {span(seconds)}"


def limit_text(spool: JSON) -> str:
    """Describes what limits the spool, with figures."""
    limit, free = spool.get("limit_bytes") or 0, spool.get("disk_free_bytes") or 0
    match spool.get("limited_by"):
        case "min_free":
            kept = spool.get("min_free_bytes") or 0
            return f"the disk has {size(free)} free, of which spool.min_free keeps {size(kept)}"
        case "disk":
            return f"the disk is full ({size(free)} free)"
        case "inodes":
            return "the filesystem of the spool has no free inodes"
        case "quota":
            return f"the filesystem takes no more than {size(limit)}, as with a quota"
        case _:
            return f"spool.max_size is {size(spool.get('max_size_bytes') or limit)}"


def remedy_for_space(spool: JSON) -> str:
    """Returns how the spool gets more room, for what limits it."""
    match spool.get("limited_by"):
        case "min_free":
            return "free disk space or lower spool.min_free; a larger spool.max_size has no effect"
        case "disk":
            return "free disk space; a larger spool.max_size has no effect"
        case "inodes":
            return "delete small files on the spool's filesystem: it has no free inodes"
        case "quota":
            return "raise the quota of the spool's filesystem"
    maximum, free = spool.get("max_size_bytes"), spool.get("disk_free_bytes")
    if maximum and free is not None and free < maximum // 10:
        return f"move the spool to a larger disk: {size(free)} are free, so a larger spool.max_size has little effect"
    return "raise spool.max_size"


def filling(situation: Situation) -> Iterator[Problem]:
    """Yields a problem if the spool is nearly full."""
    spool = situation.spool
    used, limit = spool.get("bytes") or 0, spool.get("limit_bytes") or 0
    alarm = next((alarm for alarm in situation.alarms if alarm.get("kind") == "budget"), None)
    # The alarm ends later than the share falls, so that a use near the limit is one problem.
    if limit and (alarm or used >= FILLING_SHARE * limit) and not spool.get("full"):
        text = f"The spool is {used / limit:.0%} full ({size(used)} of {size(limit)}; {limit_text(spool)})"
        remedy = f"restore delivery, or {remedy_for_space(spool)}"
        when = full_in(spool.get("full_in_seconds"))
        yield Problem("budget", f"{text}; {when}", remedy, since=read_moment((alarm or {}).get("since")))
