"""What a report says of a period: a row an intake, and what holds for the gateway."""

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime

MOST_REASONS = 1000
OTHER = "(other reasons)"


@dataclass(slots=True)
class ReportRow:
    """One intake's account of the period: ``carried + received + replayed + taken + moved + again + unexplained =
    delivered + twice + quarantined + filtered + handed + dropped + held``."""

    carried: int = 0
    "Held in the spool when the period began."
    received: int = 0
    replayed: int = 0
    taken: int = 0
    "From a queue that gateways share."
    handed: int = 0
    "To such a queue, or back to it."
    moved: int = 0
    "From other accounts by an operator's command, less what went to them; all together: 0."
    again: int = 0
    "Settled before a restart, but queued again by it."
    delivered: int = 0
    "Unique events."
    twice: int = 0
    "Events delivered before, delivered once more: both times receipted."
    possible: int = 0
    "Events of requests that may have been accepted without our knowing."
    unconfirmed: int = 0
    "Delivered events that the answer did not name."
    refused: int = 0
    "Unique events that the collector refused."
    quarantined: int = 0
    "Into quarantine less out of it."
    filtered: int = 0
    held: int = 0
    "In spool and memory when the period ended."
    unexplained: int = 0
    "Found by a start beyond what the clean stop before it left; negative: missing."
    receipts: int = 0
    receipted: int = 0
    "Events of the receipts."
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    "Refused events by the collector's words."

    def add(self, other: "ReportRow") -> None:
        """Add another account to this one."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.reasons.update(other.reasons)

    def refuse(self, reason: str, count: int) -> None:
        """Count events by their reason; beyond very many reasons, together."""
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MOST_REASONS else OTHER] += count


_COUNTS = tuple(each.name for each in fields(ReportRow) if each.name not in ("dropped", "reasons"))


@dataclass(slots=True)
class Report:
    """A period's account."""

    rows: dict[str, ReportRow] = field(default_factory=dict)
    "By intake; ``-``: of what belongs to none."
    kernel_drops: Counter[str] = field(default_factory=Counter)
    quarantine_begin: int = 0
    quarantine_end: int = 0
    starts: list[tuple[str, bool, str]] = field(default_factory=list)
    "Time, whether the process before ended uncleanly, version."
    lost_lines: int = 0
    torn_lines: int = 0
    begins_at: datetime | None = None
    "The mark that stands for the period's begin, where a process was at work then."
    ends_at: datetime | None = None
    first_line: datetime | None = None
    "Of the history, not of the period."
    open_since: datetime | None = None
    "The last account of a process that has not written ``stop``, where the period goes beyond it."
    not_yet: int = 0
    "Events receipted since then."
    jumps: list[str] = field(default_factory=list)
    "Intervals that are too long, or run backwards: the clock was set, or the machine slept."

    @property
    def unclean(self) -> list[str]:
        """The starts that followed an unclean end."""
        return [time for time, unclean, _ in self.starts if unclean]

    def total(self) -> ReportRow:
        """All intakes together."""
        whole = ReportRow()
        for row in self.rows.values():
            whole.add(row)
        return whole
