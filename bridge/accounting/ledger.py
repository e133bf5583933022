"""The columns of the account, and the moves between them."""

from collections import Counter
from dataclasses import dataclass, field

UNROUTED = "-"
"Whose events belong to no intake: unrouted, filtered, or not read far enough to know."


@dataclass(slots=True)
class Account:
    """One intake's columns. *Spooled*, *buffered* and *quarantined* are held now, the rest count since start."""

    received: int = 0
    recovered: int = 0
    replayed: int = 0
    taken_over: int = 0
    "From a queue that gateways share; 0 without one, as *handed_over*."
    delivered: int = 0
    spooled: int = 0
    buffered: int = 0
    quarantined: int = 0
    filtered: int = 0
    handed_over: int = 0
    "To such a queue, or back to it."
    borrowed: int = 0
    "Of *spooled*: taken over, and so in no file of ours; no column of the identity."
    dropped: Counter[str] = field(default_factory=Counter)
    transferred: int = 0
    """Events that came from other accounts by an operator's command, less those that went to others: rerouted, retried,
    moved. All accounts together: 0, so it is no column of the identity."""
    possible_duplicates: int = 0
    "Events of requests that may have been accepted without our knowing."

    @property
    def imbalance(self) -> int:
        """Events on the left side less those on the right: 0, or the bridge has a defect."""
        left = self.received + self.recovered + self.replayed + self.taken_over + self.transferred
        right = self.delivered + self.spooled + self.buffered + self.quarantined + self.filtered + self.handed_over
        return left - right - self.dropped.total()


class Ledger:
    """An account an intake; changed from the reactor's thread only. Each method is one whole move."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def of(self, intake: str | None) -> Account:
        """An intake's account; None: of what belongs to none."""
        name = intake or UNROUTED
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account()
        return account

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_spooled(self, intake: str, count: int) -> None:
        """Frames were appended to the spool."""
        account = self.of(intake)
        account.received += count
        account.spooled += count

    def receive_quarantined(self, intake: str | None, count: int) -> None:
        """Frames went to quarantine, or are held until a route comes."""
        account = self.of(intake)
        account.received += count
        account.quarantined += count

    def receive_filtered(self, count: int) -> None:
        """Frames matched a route that drops."""
        account = self.of(None)
        account.received += count
        account.filtered += count

    def receive_dropped(self, intake: str | None, count: int, reason: str) -> None:
        """Frames were lost on arrival, for a reason that is shown."""
        account = self.of(intake)
        account.received += count
        account.dropped[reason] += count

    def recover_spooled(self, intake: str, count: int) -> None:
        """Events were found in the spool at start."""
        account = self.of(intake)
        account.recovered += count
        account.spooled += count

    def recover_quarantined(self, intake: str | None, count: int) -> None:
        """Events were found in quarantine at start."""
        account = self.of(intake)
        account.recovered += count
        account.quarantined += count

    def receive_buffered(self, intake: str, count: int) -> None:
        """Frames were read, and their sender waits until they can be appended."""
        account = self.of(intake)
        account.received += count
        account.buffered += count

    def spool_buffered(self, intake: str, count: int) -> None:
        """Held frames were appended to the spool."""
        account = self.of(intake)
        account.buffered -= count
        account.spooled += count

    # --- out ---------------------------------------------------------------------------------------------------------

    def deliver(self, intake: str, count: int) -> None:
        """The collector has accepted events."""
        account = self.of(intake)
        account.spooled -= count
        account.delivered += count

    def quarantine(self, intake: str, count: int) -> None:
        """Spooled events were put aside."""
        account = self.of(intake)
        account.spooled -= count
        account.quarantined += count

    def drop_spooled(self, intake: str, count: int, reason: str) -> None:
        """Spooled events are gone."""
        account = self.of(intake)
        account.spooled -= count
        account.dropped[reason] += count

    def drop_buffered(self, intake: str, count: int, reason: str) -> None:
        """Held frames are lost."""
        account = self.of(intake)
        account.buffered -= count
        account.dropped[reason] += count

    def drop_quarantined(self, intake: str | None, count: int, reason: str) -> None:
        """Frames had to leave quarantine."""
        account = self.of(intake)
        account.quarantined -= count
        account.dropped[reason] += count

    # --- past one machine --------------------------------------------------------------------------------------------

    def hand_over(self, intake: str, count: int) -> None:
        """Spooled events are in a queue that gateways share, or in it again."""
        account = self.of(intake)
        account.spooled -= count
        account.handed_over += count

    def take_over(self, intake: str, count: int) -> None:
        """Events came from such a queue: they are ours to deliver."""
        account = self.of(intake)
        account.taken_over += count
        account.spooled += count

    def borrowing(self) -> "Borrowing":
        """The same accounts, for who delivers what was taken over."""
        return Borrowing(self)

    # --- by an operator's command ------------------------------------------------------------------------------------

    def replay(self, intake: str, count: int) -> None:
        """Events that were delivered before are in the spool again."""
        account = self.of(intake)
        account.replayed += count
        account.spooled += count

    def move(self, publisher: str, consumer: str, count: int) -> None:
        """Spooled events are another intake's now."""
        self.of(publisher).spooled -= count
        self.of(publisher).transferred -= count
        self.of(consumer).transferred += count
        self.of(consumer).spooled += count

    def release(self, publisher: str | None, consumer: str, count: int) -> None:
        """Frames left quarantine for the spool of an intake."""
        self.of(publisher).quarantined -= count
        self.of(publisher).transferred -= count
        self.of(consumer).transferred += count
        self.of(consumer).spooled += count

    def filter_quarantined(self, publisher: str | None, count: int) -> None:
        """Frames left quarantine by a route that drops."""
        account = self.of(publisher)
        account.quarantined -= count
        account.filtered += count

    def was_quarantined_before(self, intake: str, count: int) -> None:
        """Events went to quarantine that were there already: a killed process had written them, and left their batch.

        Recovery counted both copies; one event is one event.
        """
        account = self.of(intake)
        account.recovered -= count
        account.quarantined -= count

    def may_be_double(self, intake: str, count: int) -> None:
        """Events may reach the collector twice."""
        self.of(intake).possible_duplicates += count

    # --- what it says ------------------------------------------------------------------------------------------------

    def total(self) -> Account:
        """All accounts together."""
        whole = Account()
        for account in self.accounts.values():
            for name in COLUMNS:
                setattr(whole, name, getattr(whole, name) + getattr(account, name))
            whole.dropped.update(account.dropped)
            whole.transferred += account.transferred
            whole.borrowed += account.borrowed
            whole.possible_duplicates += account.possible_duplicates
        return whole

    @property
    def imbalance(self) -> int:
        """Of all accounts; 0, or the bridge has a defect."""
        return sum(abs(account.imbalance) for account in self.accounts.values())

    def columns(self) -> dict[str, int | dict[str, int]]:
        """The identity's names and figures, of all accounts together."""
        whole = self.total()
        figures: dict[str, int | dict[str, int]] = {name: getattr(whole, name) for name in COLUMNS}
        figures["dropped"] = dict(whole.dropped)
        return figures


class Borrowing(Ledger):
    """The accounts of another ledger; what is moved here of *spooled* was taken over, and is *borrowed* no longer."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.accounts = ledger.accounts

    def take_over(self, intake: str, count: int) -> None:
        """Events came from a shared queue."""
        super().take_over(intake, count)
        self.of(intake).borrowed += count

    def hand_over(self, intake: str, count: int) -> None:
        """They went back."""
        super().hand_over(intake, count)
        self.of(intake).borrowed -= count

    def deliver(self, intake: str, count: int) -> None:
        """The collector has accepted them."""
        super().deliver(intake, count)
        self.of(intake).borrowed -= count

    def quarantine(self, intake: str, count: int) -> None:
        """They were put aside."""
        super().quarantine(intake, count)
        self.of(intake).borrowed -= count

    def drop_spooled(self, intake: str, count: int, reason: str) -> None:
        """They are gone."""
        super().drop_spooled(intake, count, reason)
        self.of(intake).borrowed -= count


IN = ("received", "recovered", "replayed", "taken_over")
"The identity's left side."
OUT = ("delivered", "spooled", "buffered", "quarantined", "filtered", "handed_over")
"Its right side, but for *dropped*, which has reasons."
COLUMNS = (*IN, *OUT)
