"""Defines a frame in quarantine, and its JSON line."""

import base64
import json
from dataclasses import dataclass

from bridge.spool.batch_names import is_intake, is_valid
from bridge.syslog.intake_key import masked


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A frame in quarantine."""

    received_ms: int
    listener: str
    peer: str
    frame: bytes
    detail: str
    intake: str | None = None
    key: tuple[int, int] | None = None
    "Batch sequence and position in the batch, for an event that was spooled."
    time_ms: int | None = None
    "Event time in milliseconds, for an event that was spooled. 0: it is sent without a time."

    def line(self) -> bytes:
        """Returns the entry as one JSON line. Intake keys in the frame are masked."""
        fields: dict[str, object] = {
            "received_ms": self.received_ms, "listener": self.listener, "peer": self.peer, "intake": self.intake,
            "reason": self.detail, "frame": base64.b64encode(masked(self.frame)).decode(),
        }  # fmt: skip
        if self.key is not None:
            fields["sequence"], fields["position"] = self.key
        if self.time_ms is not None:
            fields["time_ms"] = self.time_ms
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "QuarantineEntry | None":
        """Parses a line. Returns None if it is not a quarantine entry."""
        try:
            fields = json.loads(line)
            key = (int(fields["sequence"]), int(fields["position"])) if "sequence" in fields else None
            entry = cls(
                int(fields["received_ms"]), str(fields["listener"]), str(fields["peer"]),
                base64.b64decode(fields["frame"], validate=True), str(fields["reason"]), fields["intake"], key,
                fields.get("time_ms"),
            )  # fmt: skip
            possible = is_valid(0, entry.received_ms) and (entry.time_ms is None or is_valid(0, entry.time_ms))
            return entry if possible and (entry.intake is None or is_intake(entry.intake)) else None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
