"""Counts events per intake, and moves them between the columns of the ledger.

``bridge.accounting`` states their identity. ``monitoring.loss_monitor`` checks it and raises an alarm.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.spool.transaction import Change

UNROUTED = "-"
"Account of events without an intake: unrouted, filtered, or lost before they were routed."

PURGED = "purged"
"Drop reason for events that an operator's command removed."


@dataclass(slots=True)
class Account:
    """The counters of one intake.

    *Spooled*, *buffered* and *quarantined* are current amounts, the rest count since start.
    """

    received: int = 0
    recovered: int = 0
    replayed: int = 0
    taken_over: int = 0
    "Events from the shared backlog queue of a cluster. 0 outside a cluster, like *handed_over*."
    delivered: int = 0
    spooled: int = 0
    buffered: int = 0
    quarantined: int = 0
    filtered: int = 0
    handed_over: int = 0
    "Events that went to the shared backlog queue, or back to it."
    borrowed: int = 0
    "The part of *spooled* that was taken over and is in no local file. Not a column of the identity."
    dropped: Counter[str] = field(default_factory=Counter)
    transferred: int = 0
    """Events that an operator's command (reroute, retry, move) brought from other accounts, less the events that left
    for other accounts. The sum over all accounts is 0, so it is not a column of the identity."""
    delivered_bytes: int = 0
    "Bytes of the delivered events, as stored in the spool."
    possible_duplicates: int = 0
    """Copies of events that the collector may have accepted in excess of one: the events of each request that it may
    have accepted although no response confirms it. An event counts once for each such request."""

    @property
    def imbalance(self) -> int:
        """Returns the left side of the identity minus the right side. Any value but 0 is a defect of the bridge."""
        left = self.received + self.recovered + self.replayed + self.taken_over + self.transferred
        right = self.delivered + self.spooled + self.buffered + self.quarantined + self.filtered + self.handed_over
        return left - right - self.dropped.total()


class Ledger:
    """Keeps one account per intake. Changed on the reactor thread only; each method is one complete move."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = defaultdict(Account)

    def of(self, intake: str | None) -> Account:
        """Returns the account of an intake, or of events without an intake for None."""
        return self.accounts[intake or UNROUTED]

    def _spool(self, intake: str, change: int) -> Account:
        """Changes the spooled events by a delivery, refusal, drop, or move to or from the shared backlog queue."""
        account = self.of(intake)
        account.spooled += change
        return account

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_spooled(self, intake: str, count: int) -> None:
        """Counts received frames that were appended to the spool."""
        account = self.of(intake)
        account.received += count
        account.spooled += count

    def receive_quarantined(self, intake: str | None, count: int) -> None:
        """Counts received frames that went to quarantine, or are held until a route exists."""
        account = self.of(intake)
        account.received += count
        account.quarantined += count

    def receive_filtered(self, count: int) -> None:
        """Counts received frames that matched a drop route."""
        account = self.of(None)
        account.received += count
        account.filtered += count

    def receive_dropped(self, intake: str | None, count: int, reason: str) -> None:
        """Counts received frames that were dropped on arrival, by reason."""
        account = self.of(intake)
        account.received += count
        account.dropped[reason] += count

    def recover_spooled(self, intake: str, count: int) -> None:
        """Counts events found in the spool at start."""
        account = self.of(intake)
        account.recovered += count
        account.spooled += count

    def recover_quarantined(self, intake: str | None, count: int) -> None:
        """Counts events found in quarantine at start."""
        account = self.of(intake)
        account.recovered += count
        account.quarantined += count

    def receive_buffered(self, intake: str, count: int) -> None:
        """Counts received frames that are buffered. Their sender waits until they can be appended."""
        account = self.of(intake)
        account.received += count
        account.buffered += count

    def spool_buffered(self, intake: str, count: int) -> None:
        """Moves buffered frames to the spool."""
        account = self.of(intake)
        account.buffered -= count
        account.spooled += count

    # --- out ---------------------------------------------------------------------------------------------------------

    def deliver(self, intake: str, count: int, size: int = 0) -> None:
        """Moves spooled events to *delivered*: the collector accepted them. ``size`` is in bytes."""
        account = self._spool(intake, -count)
        account.delivered += count
        account.delivered_bytes += size

    def quarantine(self, intake: str, count: int) -> None:
        """Moves spooled events to quarantine."""
        self._spool(intake, -count).quarantined += count

    def drop_spooled(self, intake: str, count: int, reason: str) -> None:
        """Drops spooled events for a reason."""
        self._spool(intake, -count).dropped[reason] += count

    def drop_buffered(self, intake: str, count: int, reason: str) -> None:
        """Drops buffered frames for a reason."""
        account = self.of(intake)
        account.buffered -= count
        account.dropped[reason] += count

    def drop_quarantined(self, intake: str | None, count: int, reason: str) -> None:
        """Drops quarantined frames for a reason."""
        account = self.of(intake)
        account.quarantined -= count
        account.dropped[reason] += count

    # --- cluster -----------------------------------------------------------------------------------------------------

    def hand_over(self, intake: str, count: int) -> None:
        """Moves spooled events to the shared backlog queue, or back to it."""
        self._spool(intake, -count).handed_over += count

    def take_over(self, intake: str, count: int) -> None:
        """Moves events from the shared backlog queue to the spool; this gateway delivers them."""
        self._spool(intake, count).taken_over += count

    def borrowing(self) -> "Borrowing":
        """Returns a view of the same accounts for code that delivers events taken over from the shared queue."""
        return Borrowing(self)

    # --- by an operator's command ------------------------------------------------------------------------------------

    def replay(self, intake: str, count: int) -> None:
        """Counts events from the archive that are in the spool again."""
        account = self.of(intake)
        account.replayed += count
        account.spooled += count

    def move(self, from_intake: str, to_intake: str, count: int) -> None:
        """Moves spooled events from one intake to another."""
        self.of(from_intake).spooled -= count
        self.of(from_intake).transferred -= count
        self.of(to_intake).transferred += count
        self.of(to_intake).spooled += count

    def release(self, from_intake: str | None, to_intake: str, count: int) -> None:
        """Moves frames from quarantine to the spool of an intake."""
        self.of(from_intake).quarantined -= count
        self.of(from_intake).transferred -= count
        self.of(to_intake).transferred += count
        self.of(to_intake).spooled += count

    def filter_quarantined(self, from_intake: str | None, count: int) -> None:
        """Moves frames from quarantine to *filtered*: they matched a drop route."""
        account = self.of(from_intake)
        account.quarantined -= count
        account.filtered += count

    def remove_recovered_duplicates(self, intake: str, count: int) -> None:
        """Removes events that were recovered twice: from quarantine and from a batch.

        A process was killed after it had quarantined these events and before it removed their batch, so recovery
        counted both copies.
        """
        account = self.of(intake)
        account.recovered -= count
        account.quarantined -= count

    def add_possible_duplicates(self, intake: str, count: int) -> None:
        """Counts the events of a request that may have been accepted and that are sent again."""
        self.of(intake).possible_duplicates += count

    def apply(self, changes: Sequence[Change]) -> None:
        """Moves the events of an operator's command."""
        for kind, origin, target, count in changes:
            match kind, target:
                case "move", str():
                    self.move(origin or UNROUTED, target, count)
                case "release", str():
                    self.release(origin, target, count)
                case "replay", str():
                    self.replay(target, count)
                case "filter", _:
                    self.filter_quarantined(origin, count)
                case "purge", _:
                    self.drop_spooled(origin or UNROUTED, count, PURGED)
                case _:
                    self.drop_quarantined(origin, count, PURGED)

    # --- totals ------------------------------------------------------------------------------------------------------

    def total(self) -> Account:
        """Returns the sum of all accounts."""
        total = Account()
        for account in self.accounts.values():
            for name in (*COLUMNS, "transferred", "borrowed", "delivered_bytes", "possible_duplicates"):
                setattr(total, name, getattr(total, name) + getattr(account, name))
            total.dropped.update(account.dropped)
        return total

    @property
    def imbalance(self) -> int:
        """Returns the sum of the absolute imbalances of all accounts. Any value but 0 is a defect of the bridge."""
        return sum(abs(account.imbalance) for account in self.accounts.values())

    def columns(self) -> dict[str, int | dict[str, int]]:
        """Returns the columns of the identity by name, summed over all accounts."""
        total = self.total()
        columns: dict[str, int | dict[str, int]] = {name: getattr(total, name) for name in COLUMNS}
        columns["dropped"] = dict(total.dropped)
        return columns


class Borrowing(Ledger):
    """A view of another ledger's accounts that also counts *borrowed*: spooled events from the shared queue."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.accounts = ledger.accounts

    def _spool(self, intake: str, change: int) -> Account:
        account = super()._spool(intake, change)
        account.borrowed += change
        return account


IN = ("received", "recovered", "replayed", "taken_over")
"Columns on the left side of the identity."
OUT = ("delivered", "spooled", "buffered", "quarantined", "filtered", "handed_over")
"Columns on the right side of the identity, except *dropped*, which is counted by reason."
COLUMNS = (*IN, *OUT)
