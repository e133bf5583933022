"""Defines the group, the unit of one append: encoded events of one intake and slot, and its limits."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bridge.batching import encoding
from bridge.syslog.timestamps import Window

NO_TIME = 0
"Event time of a batch that is sent without X-SEKOIAIO-EVENT-TIMESTAMP."

_LINE = re.compile(rb"[^\n]*\n")


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Limits of a group."""

    resolution_ms: int = 1000
    "Size of a slot. Times within one slot differ by less than this."
    event_bytes: int = 250 * 1024
    "Size limit of one encoded event in the API."
    window: Window = field(default_factory=lambda: Window(None, None))


@dataclass(slots=True)
class Group:
    """Events of one intake and slot, encoded for one append."""

    intake: str
    encoding: str
    slot: int
    earliest: int
    "Earliest event time in milliseconds since the epoch. NO_TIME sends no header."
    latest: int
    count: int
    data: bytes
    "One event per line."
    timed: bool = False
    "True if each line starts with the milliseconds of its event and a TAB."

    def as_timed(self) -> "Group":
        """Returns the group with its earliest time before each event."""
        if self.timed:
            return self
        prefix = b"%d\t" % self.earliest
        return replace(self, data=prefix + self.data[:-1].replace(b"\n", b"\n" + prefix) + b"\n", timed=True)

    def events(self) -> list[bytes]:
        """Returns the events of the lines. Characters that ``lines`` has escaped stay escaped."""
        lines = self.data.split(b"\n")[:-1]
        if self.timed:
            lines = [line.partition(b"\t")[2] for line in lines]
        return lines if self.encoding == encoding.LINES else [encoding.from_json_line(line) for line in lines]


class GroupCollection:
    """Collects the groups of several reads, and joins those that go to the same batch file."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, int, bool], list[Group]] = {}

    def add(self, groups: Iterable[Group]) -> None:
        """Adds the groups of one read."""
        for group in groups:
            slot = 0 if group.timed else group.slot
            self._groups.setdefault((group.intake, group.encoding, slot, group.timed), []).append(group)

    def joined(self) -> list[Group]:
        """Returns one group per batch file. Its events are in the order in which they were added."""
        return [groups[0] if len(groups) == 1 else _joined(groups) for groups in self._groups.values()]


def _joined(groups: list[Group]) -> Group:
    return replace(
        groups[0],
        earliest=min(group.earliest for group in groups),
        latest=max(group.latest for group in groups),
        count=sum(group.count for group in groups),
        data=b"".join([group.data for group in groups]),
    )


def split(whole: Group, max_events: int, max_bytes: int) -> Iterable[Group]:
    """Splits a group into several within the limits. A single event may still be larger than ``max_bytes``."""
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
