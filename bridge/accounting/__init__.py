"""The account of every event.

``received + recovered + replayed + taken_over = delivered + spooled + buffered + quarantined + filtered + handed_over +
dropped``, exact in every reactor turn: whoever moves events changes both sides in one call. *Spooled*, *buffered* and
*quarantined* are amounts held now, the rest counters since start. *Taken_over* and *handed_over* are 0 where no backlog
is shared (``bridge.cluster``).
"""

from bridge.accounting.ledger import UNROUTED, Account, Ledger

__all__ = ["UNROUTED", "Account", "Ledger"]
