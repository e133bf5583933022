"""Formats and parses the names of batch files, which hold everything that a restart needs to know of a batch."""

import re
from typing import NamedTuple

ENCODINGS = ("lines", "json")

_NAME = re.compile(
    r"(?P<sequence>[0-9]{1,19})-(?P<ms>-?[0-9]{1,16})(?:-(?P<events>[0-9]{1,10})-(?P<bytes>[0-9]{1,12}))?"
    r"(?:\.(?P<state>open|sending))?(?P<timed>\.timed)?\.(?P<encoding>lines|json)"
)
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
    "open, sealed or sending"
    timed: bool
    encoding: str

    def __str__(self) -> str:
        timed = ".timed" if self.timed else ""
        if self.state == "open":
            return f"{self.sequence}-{self.earliest}.open{timed}.{self.encoding}"
        state = ".sending" if self.state == "sending" else ""
        return f"{self.sequence}-{self.earliest}-{self.events}-{self.size}{state}{timed}.{self.encoding}"


def read(text: str) -> BatchName | None:
    """Parses a batch file's name. Returns None if the text is not such a name."""
    match = _NAME.fullmatch(text)
    if match is None or (match["events"] is None) != (match["state"] == "open"):
        return None
    return BatchName(
        int(match["sequence"]), int(match["ms"]), int(match["events"] or 0), int(match["bytes"] or 0),
        match["state"] or "sealed", match["timed"] is not None, match["encoding"],
    )  # fmt: skip
