"""Certificates that we show: whether one runs out, while there is time to renew it."""

from collections.abc import Callable, Mapping

from bridge.monitoring.alarms import Alarms

WARN_BEFORE = 14 * 86400.0
"Seconds before its end at which a certificate becomes an alarm."
EVERY = 60.0
"Seconds between two looks."


class CertificateExpiry:
    """``expires`` gives the end of each listener's certificate, in seconds since the epoch, as ``wall`` counts."""

    def __init__(self, alarms: Alarms, expires: Callable[[], Mapping[str, float]], wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._expires = expires
        self._wall = wall

    def left(self) -> dict[str, float]:
        """Seconds until each certificate's end; below 0: since."""
        now = self._wall()
        return {name: end - now for name, end in self._expires().items()}

    def look(self) -> None:
        """Raise and end the alarms."""
        for name, left in self.left().items():
            if left >= WARN_BEFORE:
                self._alarms.off("certificate", name, f"listener {name}: its certificate is valid for {_days(left)}")
            elif left > 0:
                text = f"listener {name}: its certificate expires in {_days(left)}; renew it, then reload"
                self._alarms.on("certificate", name, text)
            else:
                text = f"listener {name}: its certificate has expired, clients refuse it; renew it, then reload"
                self._alarms.on("certificate", name, text)


def _days(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} day{'' if days == 1 else 's'}" if days else "less than a day"
