"""Defines the report of a period: one row per intake, and the facts about the whole gateway."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from bridge.accounting.report.actions import Actions
from bridge.accounting.report.volumes import Volumes

MOST_REASONS = 1000
OTHER = "(other reasons)"


@dataclass(slots=True)
class ReportRow:
    """The totals of one intake in the period.

    ``carried + received + replayed + taken + moved + again + unexplained = delivered + twice + quarantined + filtered +
    handed + dropped + held``.
    """

    carried: int = 0
    "Events in the spool when the period began."
    received: int = 0
    replayed: int = 0
    taken: int = 0
    "Events taken over from the shared backlog queue of a cluster."
    handed: int = 0
    "Events that went to the shared backlog queue, or back to it."
    moved: int = 0
    "Events that an operator's command moved from other intakes, minus those moved to them. Sum over all rows: 0."
    again: int = 0
    "Events settled before a restart, but queued again by it."
    delivered: int = 0
    "Unique delivered events."
    twice: int = 0
    "Events delivered a second time, with a receipt for both deliveries."
    possible: int = 0
    "Possible duplicates: events of requests that the collector may have accepted without confirmation."
    unconfirmed: int = 0
    "Delivered events that the response did not name."
    refused: int = 0
    "Unique events that the collector refused."
    quarantined: int = 0
    "Events that entered quarantine minus events that left it."
    filtered: int = 0
    held: int = 0
    "Events in spool and memory when the period ended."
    unexplained: int = 0
    "Events found at a start beyond those left by the clean stop before it. Negative: events are missing."
    size: int = 0
    "Bytes of the delivered events, as stored in the spool."
    receipts: int = 0
    "Number of receipts."
    receipted: int = 0
    "Events in the receipts."
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    "Refused events by the text of the collector's response."

    def add(self, other: "ReportRow") -> None:
        """Adds the totals of another row to this one."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.reasons.update(other.reasons)

    def refuse(self, reason: str, count: int) -> None:
        """Counts refused events by reason. Beyond ``MOST_REASONS`` reasons, counts them together as ``OTHER``."""
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MOST_REASONS else OTHER] += count


_COUNTS = tuple(each.name for each in fields(ReportRow) if each.name not in ("dropped", "reasons"))


@dataclass(frozen=True, slots=True)
class Start:
    """A start of a process that has the spool."""

    time: str
    unclean: bool
    "True if the process before it ended uncleanly."
    version: str
    offline: bool
    "True if it ran one command while no bridge was running."


@dataclass(slots=True)
class Report:
    """The report of a period."""

    rows: dict[str, ReportRow] = field(default_factory=dict)
    "Rows by intake. ``-``: events without an intake."
    kernel_drops: Counter[str] = field(default_factory=Counter)
    quarantine_begin: int = 0
    quarantine_end: int = 0
    starts: list[Start] = field(default_factory=list)
    "The starts of the bridge, and of commands that ran on its files."
    lost_lines: int = 0
    torn_lines: int = 0
    begins_at: datetime | None = None
    "The mark used as the begin of the period, if a process was running then."
    ends_at: datetime | None = None
    "The mark used as the end of the period, if a process was running then."
    open_since: datetime | None = None
    "Time of the last counters of a process that has not written ``stop``, if the period ends later."
    receipted_since: int = 0
    "Events receipted since ``open_since``."
    actions: Actions = field(default_factory=Actions)
    "The operators' commands that began in the period."
    volumes: Volumes = field(default_factory=Volumes)
    "Events and bytes per day."
    unknown_kinds: Counter[str] = field(default_factory=Counter)
    "Lines of kinds that this version does not know."
    jumps: list[str] = field(default_factory=list)
    "Intervals that are too long or negative: the clock was set, or the machine was suspended."

    def add_start(self, line: Mapping[str, Any]) -> None:
        """Adds a ``start`` line of the journal."""
        start = Start(line["t"], bool(line["unclean"]), str(line["version"]), bool(line.get("offline")))
        self.starts.append(start)
        self.torn_lines += line["torn"]

    @property
    def unclean(self) -> list[str]:
        """Returns the times of starts that followed an unclean end."""
        return [start.time for start in self.starts if start.unclean]

    def total(self) -> ReportRow:
        """Returns the totals over all intakes."""
        whole = ReportRow()
        for row in self.rows.values():
            whole.add(row)
        return whole
