"""Warns about server certificates of this gateway before they expire."""

from collections.abc import Callable, Mapping

from bridge.monitoring.alarms import Alarms

WARN_BEFORE = 30 * 86400.0
"Seconds before expiry at which the alarm starts."
EVERY = 60.0
"Seconds between two checks."


class CertificateExpiry:
    """Raises an alarm for each certificate that expires soon.

    ``expires`` returns the expiry time of each listener's certificate. ``wall`` returns the current time. Both are in
    seconds since the epoch.
    """

    def __init__(self, alarms: Alarms, expires: Callable[[], Mapping[str, float]], wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._expires = expires
        self._wall = wall

    def left(self) -> dict[str, float]:
        """Returns the seconds until each certificate expires; negative if it has expired."""
        now = self._wall()
        return {name: end - now for name, end in self._expires().items()}

    def look(self) -> None:
        """Raises and ends the alarms."""
        for name, left in self.left().items():
            if left >= WARN_BEFORE:
                self._alarms.off("certificate", name, f"listener {name}: its certificate is valid for {_days(left)}")
                continue
            text = f"listener {name}: its certificate {state_of(left)}"
            self._alarms.on("certificate", name, text, remedy="renew it, then reload")


def state_of(left: float) -> str:
    """Describes a certificate that expires in ``left`` seconds; negative if it has expired."""
    return f"expires in {_days(left)}" if left > 0 else "has expired and clients reject it"


def _days(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} day{'' if days == 1 else 's'}" if days else "less than a day"
