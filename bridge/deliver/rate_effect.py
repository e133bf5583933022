"""Measures how often ``max_request_rate`` widens requests, and raises an alarm that says what to do.

A request is *widened* if its events' times differ by more than ``timestamp_resolution`` because its batches had to wait
for a turn. The alarm begins after ``WINDOW`` seconds in which more than ``MAX_SHARE`` of the requests were widened, and
ends otherwise. A backlog that drains is not counted: its requests are widened on purpose, and it ends by itself.
"""

from collections.abc import Sequence

from bridge.spool import Piece
from bridge.util.alarms import AlarmSink

WINDOW = 30.0
"Seconds between two decisions."
OLD = 60.0
"Seconds after which a waiting batch belongs to a backlog that drains."
MAX_SHARE = 0.01
MIN_WIDENED = 5
"Widened requests in a window below which there is no alarm: a burst is not a limit."
KIND, ABOUT = "request_rate", "collector"
HALF_OF_ANOMALY = 50.0
"Requests per second: half of the rate that the vendor calls an anomaly."


class RateEffect:
    """Requests of all intakes in the current window, and those of them that were widened."""

    def __init__(self) -> None:
        self.total = 0
        "Requests since the start."
        self.widened = 0
        "Widened requests since the start."
        self._since: float | None = None
        self._before = (0, 0)

    def record(self, pieces: Sequence[Piece], resolution_ms: int, *, limited: bool, now: float) -> None:
        """Records a request. ``limited`` is True if the request rate has just delayed a request."""
        self.total += 1
        if not limited or len(pieces) < 2 or any(now - piece.batch.sealed >= OLD for piece in pieces):
            return
        # Slots of a file are at most ``resolution_ms`` wide, so only several files make a request wider.
        if max(piece.latest for piece in pieces) - min(piece.earliest for piece in pieces) > resolution_ms:
            self.widened += 1

    def check(self, now: float, rate: float | None, alarms: AlarmSink, *, joins: bool) -> None:
        """Begins or ends the alarm at the end of a window. ``rate`` is the limit in requests per second. ``joins`` is
        True if ``small_batches`` is ``array``."""
        if self._since is not None and now - self._since < WINDOW:
            return
        total, widened = self.total - self._before[0], self.widened - self._before[1]
        first, self._since, self._before = self._since is None, now, (self.total, self.widened)
        if first or rate is None:
            return
        if widened >= MIN_WIDENED and widened > MAX_SHARE * total:
            alarms.on(KIND, ABOUT, _text(rate, total, widened, joins=joins))
        else:
            alarms.off(KIND, ABOUT, "max_request_rate no longer delays requests")


def _text(rate: float, total: int, widened: int, *, joins: bool) -> str:
    remedies = []
    if rate < HALF_OF_ANOMALY:
        remedies.append(f"raise collector.max_request_rate, up to {HALF_OF_ANOMALY:g}")
    if not joins:
        remedies.append("set collector.small_batches: array, so that several intakes share a request")
    if not remedies:
        remedies.append("ask the vendor for a higher rate, or send fewer intakes through this gateway")
    share = 100 * widened / total
    return (
        f"the request rate limits delivery (max_request_rate is {rate:g}): in {share:.0f} % of the latest requests,"
        f" event times differ by more than timestamp_resolution. To fix this, {' or '.join(remedies)}"
    )
