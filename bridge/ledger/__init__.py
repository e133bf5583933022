"""The account of every event.

``received + recovered + replayed = delivered + spooled + buffered + quarantined + filtered + dropped``, exact in every
reactor turn: whoever moves events changes both sides in one call. *Spooled*, *buffered* and *quarantined* are amounts
held now, the rest counters since start.
"""

from bridge.ledger.ledger import UNROUTED, Account, Ledger

__all__ = ["UNROUTED", "Account", "Ledger"]
