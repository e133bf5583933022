"""Formats and parses the names of batch files, which hold everything that a restart needs to know of a batch."""

import re
from typing import NamedTuple

ENCODINGS = ("lines", "json")

_NAME = re.compile(
    r"(?P<sequence>[0-9]{1,19})-(?P<ms>-?[0-9]{1,16})(?:-(?P<events>[0-9]{1,10})-(?P<bytes>[0-9]{1,12}))?"
    r"(?:\.(?P<state>open|sending|sent))?(?P<timed>\.timed)?\.(?P<encoding>lines|json)"
)
LAST_SEQUENCE = 253_402_300_799_999_999
"Largest sequence: the end of the year 9999 in microseconds."
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"Smallest and largest event time in milliseconds: the years 1 to 9999, which a timestamp can express."
_INTAKE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def is_intake(folder: str) -> bool:
    """Returns True if a folder name of the spool is a valid intake name."""
    return _INTAKE.fullmatch(folder) is not None


class BatchName(NamedTuple):
    """The fields of a batch file's name."""

    sequence: int
    earliest: int
    "Milliseconds since the epoch. For an open file, the time of the event that opened it."
    events: int
    size: int
    "Bytes."
    state: str
    "open, sealed, sending (a request may carry it), or sent (a request carried it, and an earlier start counted that)"
    timed: bool
    encoding: str

    def __str__(self) -> str:
        timed = ".timed" if self.timed else ""
        if self.state == "open":
            return f"{self.sequence}-{self.earliest}.open{timed}.{self.encoding}"
        state = "" if self.state == "sealed" else f".{self.state}"
        return f"{self.sequence}-{self.earliest}-{self.events}-{self.size}{state}{timed}.{self.encoding}"


def is_valid(sequence: int, ms: int) -> bool:
    """Returns True if a sequence and an event time are within the years that the spool can express."""
    return sequence <= LAST_SEQUENCE and FIRST_MS <= ms <= LAST_MS


def read(text: str) -> BatchName | None:
    """Parses a batch file's name. Returns None if the text is not such a name, or no batch can have it."""
    match = _NAME.fullmatch(text)
    if match is None or (match["events"] is None) != (match["state"] == "open"):
        return None
    name = BatchName(
        int(match["sequence"]), int(match["ms"]), int(match["events"] or 0), int(match["bytes"] or 0),
        match["state"] or "sealed", match["timed"] is not None, match["encoding"],
    )  # fmt: skip
    # Each event has at least its LF.
    possible = name.state == "open" or 0 < name.events <= name.size
    return name if possible and is_valid(name.sequence, name.earliest) else None
