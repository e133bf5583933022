"""Reports frames that are held in quarantine: in the status, and with an alarm when further ones are held."""

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.problems.held import HELD, faults_text, owner_text, remedy_of
from bridge.spool.quarantine import Quarantine
from bridge.syslog.timestamps import rfc3339

EVERY = 5.0
"Seconds between two checks."
ENDS_AFTER = 50.0
"Seconds without a further frame after which the alarm ends. The problem stays as long as frames are held."


class HeldFrames:
    """Observes one quarantine."""

    def __init__(self, alarms: Alarms, quarantine: Quarantine) -> None:
        self._alarms = alarms
        self._quarantine = quarantine
        self._counted: dict[str, int] = {}
        "Frames by reason since the start, at the last check."

    def look(self) -> None:
        """Raises or prolongs an alarm for each reason for which frames were held since the last check."""
        for reason_code, tally in self._quarantine.tallies.items():
            if not self._quarantine.counts[reason_code]:
                tally.forget()
        for row in self.rows():
            code = str(row["reason"])
            count, before = self._quarantine.tallies[code].count, self._counted.get(code, 0)
            self._counted[code] = count
            if count > before and (reason := HELD.get(code)) is not None:
                # The text of an active alarm stays, or each further name would report it again.
                active = self._alarms.active.get((reason.kind, code))
                text = f"{reason.noun}s{owner_text(row)} are held and not sent{faults_text(row)}"
                self._alarms.on(reason.kind, code, active or text, lasts=ENDS_AFTER, remedy=remedy_of(code))

    def rows(self) -> list[dict[str, object]]:
        """Returns a row for each reason for which frames are held, for ``/api/status``.

        ``sources``, ``intakes`` and ``faults`` are those of the frames since the start and of the newest before it.
        """
        quarantine = self._quarantine
        return [
            {
                "reason": reason, "events": count, "since": _moment(quarantine.oldest(reason)),
                "latest": _moment(tally.latest_ms / 1000 if tally.latest_ms else None),
                "sources": list(tally.sources), "intakes": list(tally.intakes), "faults": list(tally.faults),
            }
            for reason, tally in quarantine.tallies.items() if (count := quarantine.counts[reason]) > 0
        ]  # fmt: skip


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(int(seconds * 1000))
