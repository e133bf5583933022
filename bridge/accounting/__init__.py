"""Accounts for every event: the ledger, the journal and the report.

``received + recovered + replayed + taken_over = delivered + spooled + buffered + quarantined + filtered + handed_over +
dropped`` holds in every reactor turn: each call that moves events changes both sides. *Spooled*, *buffered* and
*quarantined* are current amounts, the rest are counters since start. *Taken_over* and *handed_over* are 0 unless
gateways share a backlog (``bridge.cluster``).
"""

from bridge.accounting.ledger import UNROUTED, Account, Ledger

__all__ = ["UNROUTED", "Account", "Ledger"]
