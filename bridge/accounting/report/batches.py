"""Tracks the receipts of each batch for the report, and whether the batch can be sent again.

After a kill, batches that a request had carried are sent again as a whole. For one batch, receipted events beyond the
largest number that one process receipted were delivered twice. Each ``start`` names the batches that are queued again,
so the report knows which earlier batches can be sent again. It does not name a batch whose file could not be renamed
before its request was sent: that one is recognised when the next process settles it.
"""

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any

_MOST_COMPLETE = 100_000
"""Most completely receipted batches that are remembered within a process run; older ones are assumed to be unlinked.
Also the most that are remembered after it."""


@dataclass(slots=True)
class _Settled:
    """The events of one batch that were settled with one outcome."""

    now: int = 0
    "Events settled by the current process."
    most: int = 0
    "Most events settled by any one process."

    def add(self, events: int) -> int:
        """Adds events that the current process settled. Returns how many were settled for the first time."""
        self.now += events
        first_time = max(0, self.now - self.most)
        self.most = max(self.most, self.now)
        return first_time


@dataclass(slots=True)
class _BatchRecord:
    """The settled events of one batch, by outcome."""

    intake: str
    total: int
    outcomes: defaultdict[str, _Settled] = field(default_factory=lambda: defaultdict(_Settled))

    @property
    def settled_now(self) -> int:
        """Returns the events settled by the current process, over all outcomes."""
        return sum(outcome.now for outcome in self.outcomes.values())


class BatchReceipts:
    """Records the settled events of each batch that may still be queued."""

    def __init__(self) -> None:
        self._records: dict[int, _BatchRecord] = {}
        self._complete: OrderedDict[int, None] = OrderedDict()
        self._gone: OrderedDict[int, _BatchRecord] = OrderedDict()
        "Batches of earlier processes that no start has named as queued again."

    def found_unmarked(self, sequence: int, total: int) -> Counter[str]:
        """Returns the events of a batch that were settled by an earlier process, by intake, if no ``start`` has named
        the batch since. The caller is about to settle it, so its file was found without the mark of a sent batch, and
        its events looked newly received."""
        record = self._gone.get(sequence)
        if record is None or record.total != total or sequence in self._records:
            return Counter()
        self._records[sequence] = self._gone.pop(sequence)
        settled = Counter({record.intake: record.settled_now})
        for outcome in record.outcomes.values():
            outcome.now = 0
        return settled

    def settle(self, outcome: str, sequence: int, intake: str, events: int, total: int) -> int:
        """Records events of a batch that were accepted, refused or handed over, as ``outcome`` says.

        Returns how many were settled with this outcome for the first time.
        """
        record = self._records.get(sequence)
        if record is None:
            record = self._records[sequence] = _BatchRecord(intake, total)
        # An operator may have moved the batch, or a part of it, to another intake.
        record.intake, record.total = intake, total
        first_time = record.outcomes[outcome].add(events)
        if record.settled_now >= record.total:
            self._complete[sequence] = None
            if len(self._complete) > _MOST_COMPLETE:
                self._records.pop(self._complete.popitem(last=False)[0], None)
        return first_time

    def queued_again(self, start: dict[str, Any]) -> Counter[str]:
        """Starts a new process from its ``start`` line.

        Returns, by intake, the events that the previous process had settled in batches that are queued again as a
        whole. A ``start`` line may count more possible duplicates than its batches contain, because there were too
        many, or because an early version did not list packed batches. The rest is then assumed to be partly settled
        batches.
        """
        # A command may have moved a batch to another intake since its first request.
        queued = {sequence: intake for intake, batches in start["sending"].items() for sequence, _ in batches}
        unnamed = Counter(start["possible_duplicates"])
        for intake, batches in start["sending"].items():
            unnamed[intake] -= sum(events for _, events in batches)
        queued_again: Counter[str] = Counter()
        kept: dict[int, _BatchRecord] = {}
        for sequence, record in self._records.items():
            if sequence not in queued:
                if record.settled_now >= record.total or record.total > unnamed[record.intake]:
                    self._gone[sequence] = record
                    self._gone.move_to_end(sequence)
                    continue
                unnamed[record.intake] -= record.total
            queued_again[queued.get(sequence, record.intake)] += record.settled_now
            for outcome in record.outcomes.values():
                outcome.now = 0
            kept[sequence] = record
        self._records = kept
        self._complete.clear()
        while len(self._gone) > _MOST_COMPLETE:
            self._gone.popitem(last=False)
        return queued_again
