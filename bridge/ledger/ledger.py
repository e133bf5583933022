"""The columns of the account, and the moves between them."""

from collections import Counter


class Ledger:
    """Plain integers; changed from the reactor's thread only. Each method is one whole move."""

    def __init__(self) -> None:
        self.received = 0
        self.recovered = 0
        self.replayed = 0
        self.delivered = 0
        self.spooled = 0
        self.buffered = 0
        self.quarantined = 0
        self.filtered = 0
        self.dropped: Counter[str] = Counter()
        self.possible_duplicates: Counter[str] = Counter()
        "By intake: events of requests that may have been accepted without our knowing."

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_spooled(self, count: int) -> None:
        """Frames were appended to the spool."""
        self.received += count
        self.spooled += count

    def receive_quarantined(self, count: int) -> None:
        """Frames went to quarantine, or are held until a route comes."""
        self.received += count
        self.quarantined += count

    def receive_filtered(self, count: int) -> None:
        """Frames matched a route that drops."""
        self.received += count
        self.filtered += count

    def receive_dropped(self, count: int, reason: str) -> None:
        """Frames were lost on arrival, for a reason that is shown."""
        self.received += count
        self.dropped[reason] += count

    def recover_spooled(self, count: int) -> None:
        """Events were found in the spool at start."""
        self.recovered += count
        self.spooled += count

    def recover_quarantined(self, count: int) -> None:
        """Events were found in quarantine at start."""
        self.recovered += count
        self.quarantined += count

    # --- out ---------------------------------------------------------------------------------------------------------

    def deliver(self, count: int) -> None:
        """The collector has accepted events."""
        self.spooled -= count
        self.delivered += count

    def quarantine(self, count: int) -> None:
        """Spooled events were put aside."""
        self.spooled -= count
        self.quarantined += count

    def drop_spooled(self, count: int, reason: str) -> None:
        """Spooled events are gone."""
        self.spooled -= count
        self.dropped[reason] += count

    def drop_quarantined(self, count: int, reason: str) -> None:
        """Frames had to leave quarantine."""
        self.quarantined -= count
        self.dropped[reason] += count

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def imbalance(self) -> int:
        """Events on the left side less those on the right: 0, or the bridge has a defect."""
        left = self.received + self.recovered + self.replayed
        right = self.delivered + self.spooled + self.buffered + self.quarantined + self.filtered
        return left - right - self.dropped.total()

    def columns(self) -> dict[str, int | dict[str, int]]:
        """The identity's names and figures."""
        return {
            "received": self.received,
            "recovered": self.recovered,
            "replayed": self.replayed,
            "delivered": self.delivered,
            "spooled": self.spooled,
            "buffered": self.buffered,
            "quarantined": self.quarantined,
            "filtered": self.filtered,
            "dropped": dict(self.dropped),
        }
