"""Lists the senders that listeners rejected, with the reason and what to do."""

from collections import Counter
from collections.abc import Callable

from bridge.ingest.addresses import address_of
from bridge.ingest.peers import Peers
from bridge.listen.listener_set import ListenerSet
from bridge.listen.rejected_sources import Rejection
from bridge.monitoring.rejection_reasons import reason_of

MAX_ROWS = 100
"Rejected senders in the status, at most: the latest for each listener and reason."
LISTED_SECONDS = 86_400.0
"Seconds for which a rejected sender is listed in the status after its last rejection."
JSON = dict[str, object]


class RejectionList:
    """Lists rejected senders. ``moment`` formats a time of the monotonic clock as RFC 3339."""

    def __init__(self, listener_set: ListenerSet, peers: Peers, moment: Callable[[float], str]) -> None:
        self._listener_set = listener_set
        self._peers = peers
        self._moment = moment

    def rejected_now(self) -> list[JSON]:
        """Returns a row for each sender that was rejected within ``LISTED_SECONDS`` and not accepted since, the latest
        first. If there are too many, each listener and reason has as many rows as another."""
        found = [
            (rejection, ago) for rejection, ago in self._listener_set.rejected_sources()
            if rejection.accepted is None and ago < LISTED_SECONDS
        ]  # fmt: skip
        before: Counter[tuple[str, str]] = Counter()
        rounds: list[int] = []
        for rejection, _ in found:
            kind = rejection.listener, rejection.reason
            rounds.append(before[kind])
            before[kind] += 1
        shown = sorted(range(len(found)), key=rounds.__getitem__)[:MAX_ROWS]
        return [self._row(*found[position]) for position in sorted(shown)]

    def of(self, address: str) -> list[JSON]:
        """Returns a row for each reason for which an address was rejected, the latest first. Includes senders that were
        accepted since."""
        return [self._row(rejection, ago) for rejection, ago in self._listener_set.rejected_sources(address)]

    def _row(self, rejection: Rejection, ago: float) -> JSON:
        reason = reason_of(rejection.reason)
        return {
            "listener": rejection.listener,
            "address": rejection.address,
            "name": self._peers.router.known(address_of(rejection.address)).name,
            "reason": rejection.reason,
            "meaning": reason.meaning,
            "text": rejection.text,
            "count": rejection.count,
            "first": self._moment(rejection.first),
            "last": self._moment(rejection.last),
            "seconds_ago": round(ago),
            "accepted_since": None if rejection.accepted is None else self._moment(rejection.accepted),
            "remedy": reason.remedy,
        }
