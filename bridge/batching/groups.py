"""A group: events of one intake and slot, as what one append takes; and what bounds it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.batching import encoding
from bridge.batching.event_times import Window

NO_TIME = 0
"The event time of a batch that is sent without X-SEKOIAIO-EVENT-TIMESTAMP."

_LINE = re.compile(rb"[^\n]*\n")


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What bounds a group."""

    resolution_ms: int = 1000
    "Events of one slot differ by less than this."
    event_bytes: int = 250 * 1024
    "The API's limit of one event, encoded."
    window: Window = field(default_factory=lambda: Window(None, None))


@dataclass(slots=True)
class Group:
    """Events of one intake and slot: the bytes to append."""

    intake: str
    encoding: str
    slot: int
    earliest: int
    "Milliseconds since the epoch of the first event; NO_TIME: no header is sent."
    latest: int
    count: int
    data: bytes
    "One event a line."
    timed: bool = False
    "Each line has its event's milliseconds and a TAB before it."

    def events(self) -> list[bytes]:
        """The events as they were before they became lines; what ``lines`` escapes stays escaped."""
        lines = self.data.split(b"\n")[:-1]
        if self.timed:
            lines = [line.partition(b"\t")[2] for line in lines]
        return lines if self.encoding == encoding.LINES else [encoding.from_json_line(line) for line in lines]


def split(whole: Group, max_events: int, max_bytes: int) -> Iterable[Group]:
    """A group as several, none above the limits (but a single event may be larger than ``max_bytes``)."""
    part: list[bytes] = []
    size = 0
    for line in _LINE.findall(whole.data):
        if part and (len(part) >= max_events or size + len(line) > max_bytes):
            yield _part(whole, part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield _part(whole, part)


def _part(whole: Group, lines: list[bytes]) -> Group:
    return Group(
        whole.intake, whole.encoding, whole.slot, whole.earliest, whole.latest, len(lines), b"".join(lines), whole.timed
    )
