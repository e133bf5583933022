"""Describes losses of events, and other incidents: the number, the reason, since when, and what to do.

An incident is anything else that happens to messages and is counted: they are truncated, not matched, or not mirrored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED, NOTICE
from bridge.monitoring.problems.problem import Problem, clock_time, named, read_moment
from bridge.monitoring.problems.situation import Situation
from bridge.monitoring.problems.space import limit_text, remedy_for_space
from bridge.util.counts import counted

RECEIVE_BUFFER, SEQUENCE_GAP = NOT_RECEIVED = "receive_buffer", "sequence_gap"
"Reasons of losses that are not in the ledger, because no frame was received."
MATCH_LIMIT, TRUNCATED, NOT_MIRRORED = "match_limit", "truncated", "not_mirrored"
"Reasons of incidents."
SHOWN_SECONDS = 3600.0
"Seconds for which a loss is a problem after its end."
SHORTFALL, SOURCE_LIMIT = "collector_shortfall", "source_limit"

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LossReason:
    """Describes a reason. ``{names}`` stands for ``noun`` with the names of intakes, listeners, sources or others."""

    what: str
    remedy: str = ""
    state: str = CRITICAL
    noun: str = "intake"
    lost: str = "event"
    verb: str = "dropped"
    shown: float = SHOWN_SECONDS
    kind: str = "loss"
    "The kind of its problem. Every other kind is an incident, not a loss."


_UNROUTED_FULL = 'add the routes that "syslog-bridge unrouted list" shows, or raise unrouted.hold.max_size'
_QUARANTINE_FULL = "raise spool.quarantine.max_size, and fix what fills the quarantine"

REASONS = {
    "spool_full": LossReason("the spool of {names} is full"),
    "disk_full": LossReason("the disk of the spool is full", "free disk space, or move the spool to a larger disk"),
    "spool_write_failed": LossReason(
        "the spool of {names} cannot be written", "look for disk errors in the kernel log (dmesg), and check the owner"
    ),
    "quarantine_write_failed": LossReason(
        "the quarantine cannot be written", "free disk space, or make SPOOL/.quarantine writable"
    ),
    SHORTFALL: LossReason(
        "the collector has confirmed fewer events of {names} than it was sent",
        "report it to the vendor: the requests are in SPOOL/.quarantine/evidence", shown=86_400.0,
    ),
    "spool_file_damaged": LossReason("files of {names} in the spool were damaged", "check the disk (dmesg, SMART)"),
    "spool_file_missing": LossReason(
        "files of {names} are missing in the spool", "check what else deletes files in the spool"
    ),
    SOURCE_LIMIT: LossReason(
        "the rate limit of {names} is exceeded", "raise rate_limit of the source, or let it send less", DEGRADED,
        noun="source",
    ),
    "purged": LossReason("an operator has purged them", state=NOTICE),
    RECEIVE_BUFFER: LossReason(
        "the receive buffer of {names} is full", "raise net.core.rmem_max and receive_buffer of the listener",
        noun="listener", lost="datagram", verb="dropped by the kernel",
    ),
    SEQUENCE_GAP: LossReason(
        "the message numbers of {names} have gaps", "check the network between them and the gateway, or use TCP",
        DEGRADED, noun="source", lost="message", verb="lost before they reached the gateway",
    ),
    MATCH_LIMIT: LossReason(
        "an expression of {names} exceeded its match limit",
        "simplify the expression, such as one that repeats a repetition: (a+)+", DEGRADED,
        noun="route", lost="message", verb="not matched", kind="match_limit",
    ),
    TRUNCATED: LossReason(
        "longer than max_frame_size at {names}",
        "shorten them at their source, or raise max_frame_size", NOTICE,
        noun="listener", lost="message", verb="truncated", kind="truncated",
    ),
    NOT_MIRRORED: LossReason(
        "sending to {names} fails or is too slow", "check that the receiver of mirror_to runs and keeps up",
        DEGRADED, noun="target", lost="copy", verb="dropped", kind="mirror",
    ),
}  # fmt: skip


IN_LEDGER = tuple(code for code, reason in REASONS.items() if reason.kind == "loss" and code not in NOT_RECEIVED)
"Reasons of the ledger but those of the quarantine, which ``reason_of`` describes."


def reason_of(code: str) -> LossReason:
    """Returns the description of a reason code."""
    if code in REASONS:
        return REASONS[code]
    about, _, how = code.rpartition("_")
    if how == "full":
        remedy = _UNROUTED_FULL if about == "unrouted" else _QUARANTINE_FULL
        return LossReason(f"the quarantine for {about} events is full", remedy)
    if how == "expired":
        return LossReason(
            f"{about} events were in quarantine for longer than its max_age", 'see "syslog-bridge quarantine"', DEGRADED
        )
    return LossReason(code.replace("_", " "), 'run "syslog-bridge report"')


INCIDENTS = {reason.kind: reason.noun for reason in REASONS.values() if reason.kind != "loss"}
"The kinds of incidents, each with what its names are."


def describe_loss(code: str, names: Sequence[str]) -> tuple[str, str]:
    """Returns what causes a loss, and what to do."""
    reason = reason_of(code)
    some = f"{'an' if reason.noun == 'intake' else 'a'} {reason.noun}"
    what = reason.what.format(names=named(reason.noun, names) if names else some)
    return what, reason.remedy or ("restore delivery, then give the spool more room" if code == "spool_full" else "")


def loss_problems(situation: Situation) -> Iterator[Problem]:
    """Yields a problem for each loss and incident that has not ended, or ended a short time ago."""
    for row in _rows(situation):
        ended = row["ended_seconds"]
        if ended is None or ended < reason_of(row["reason"]).shown:
            yield _problem(row, situation)


def ended_losses(situation: Situation) -> Iterator[Problem]:
    """Yields the losses and incidents that are over."""
    for row in _rows(situation):
        if row["ended_seconds"] is not None:
            yield _problem(row, situation)


def losses_until_now(situation: Situation) -> Iterator[Problem]:
    """Yields all losses and incidents as if those that go on were over, for a process that does not know them."""
    for row in _rows(situation):
        yield _problem(row | {"ended_seconds": row["ended_seconds"] or 0.0}, situation)


def _rows(situation: Situation) -> list[JSON]:
    return situation.losses + situation.rows("incidents")


def _problem(row: JSON, situation: Situation) -> Problem:
    reason, names, now = reason_of(row["reason"]), row["names"], situation.taken
    since = read_moment(row.get("since")) or now - timedelta(seconds=row["since_seconds"])
    ended = None
    if row["ended_seconds"] is not None:
        ended = read_moment(row.get("latest")) or now - timedelta(seconds=row["ended_seconds"])
    what, remedy = describe_loss(row["reason"], names)
    if row["reason"] == "spool_full":
        remedy = remedy_for_space(situation.spool)
        if ended is None:
            remedy = f"restore delivery, then {remedy}"
    elif row["reason"] == "disk_full" and situation.spool.get("limited_by") in ("quota", "inodes"):
        what, remedy = limit_text(situation.spool), remedy_for_space(situation.spool)
    lost = f"{counted(row['events'], reason.lost)} {reason.verb}"
    if ended is None:
        text = f"{lost} since {clock_time(since, now)}: {what}"
    else:
        text = f"{lost} from {clock_time(since, now)} to {clock_time(ended, now)} (ended): {what}"
    return Problem(reason.kind, text, remedy, reason.state, since, tuple(names), ended)
