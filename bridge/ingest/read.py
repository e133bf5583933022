"""Defines one ingest call: its sender and time, what happened to its events, and the counters of all calls."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bridge.batching.grouping import Grouped
from bridge.ingest.backpressure import PausableSender
from bridge.ingest.format_matches import FormatMatches
from bridge.ingest.peers import Peer
from bridge.spool.batch import OpenBatch
from bridge.spool.budget import Reserved

HOSTNAME = frozenset(("hostname",))
"The column that names the source of an event from a relay."


@dataclass(slots=True)
class Taken:
    """Result of one ingest call: what happened to the events that had to be stored."""

    spooled: int = 0
    held: int = 0
    "Events that wait for room. Their sender is paused."
    lost: int = 0
    "Events that could not be stored. If there are any, the sender must not get an acknowledgement."
    files: list[OpenBatch] = field(default_factory=list)
    "The batch files that the spooled events were appended to."


@dataclass(slots=True)
class Read:
    """Holds a read of a peer, or a request, while it is taken."""

    peer: Peer
    now: int
    "Time of reception in milliseconds since the epoch."
    sender: PausableSender | None = None
    "The connection, if it can be paused."
    reserved: Reserved | None = None
    "The room that was reserved for a request, which is taken as a whole."
    taken: Taken = field(default_factory=Taken)

    @property
    def is_acknowledged(self) -> bool:
        """Returns True if the sender gets an acknowledgement once its events are synced."""
        return self.reserved is not None or (self.sender is not None and self.sender.acknowledges)


@dataclass(slots=True)
class ReadCounts:
    """Counters that the pipeline keeps besides the ledger, updated once per read."""

    by_listener: Counter[str] = field(default_factory=Counter)
    by_route: Counter[str] = field(default_factory=Counter)
    filtered_by_route: Counter[str] = field(default_factory=Counter)
    converted: int = 0
    "Events whose text was converted to UTF-8."
    emptied: int = 0
    "Events whose payload would have been empty, and were sent in another form."
    outside: int = 0
    "Events with a timestamp out of range, sent with the time of reception."
    truncated: Counter[str] = field(default_factory=Counter)
    "Frames that were truncated to ``max_frame_size``, by listener."
    redacted: Counter[str] = field(default_factory=Counter)
    "Replaced matches by rule of ``redact:``."
    limit_exceeded: Counter[str] = field(default_factory=Counter)
    "Messages on which an expression of a route exceeded its match limit, by route."
    format_sampled: Counter[str] = field(default_factory=Counter)
    "Events that were checked against the text format of their intake, by intake."
    format_mismatches: Counter[str] = field(default_factory=Counter)
    "Checked events that do not match the format, by intake. The intake's parser cannot read them and reports no error."

    format_latest: defaultdict[str, FormatMatches] = field(default_factory=lambda: defaultdict(FormatMatches))
    "The latest checked events, by intake."

    def note_grouped(self, grouped: Grouped, intake: str | None) -> None:
        """Counts what was changed in the events of one disposition."""
        self.converted += grouped.converted
        self.emptied += grouped.emptied
        self.outside += grouped.outside
        if grouped.sampled and intake:
            self.format_sampled[intake] += grouped.sampled
            self.format_mismatches[intake] += grouped.mismatched
            self.format_latest[intake].note(grouped.sampled, grouped.mismatched)

    def note_limit(self, route: str) -> None:
        """Counts a message on which an expression of a route exceeded its match limit."""
        self.limit_exceeded[route] += 1

    def note_truncated(self, listener: str, count: int) -> None:
        """Counts frames that were truncated to ``max_frame_size``."""
        self.truncated[listener] += count
