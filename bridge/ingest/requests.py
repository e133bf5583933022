"""Stores the events of one HTTPS request: all of them, or none if there is no room for some.

Everything that can refuse a request is decided before its first event is written: all events are parsed, routed and
grouped, and room for the bytes of every intake is reserved. A request is processed in slices, so that the reactor
handles other work between them. Until its first event is written it can be given up without a trace. A reload applies
to the slices that are grouped after it.

A write can still fail, on a disk that fills up or breaks. Events that are in the spool by then cannot be taken back:
their batch may be sealed already. No more events are written, and the client is asked to send the request again.
The stored events are counted as received and as possible duplicates. The others are not counted, because the client
still has them. A request for one intake and one timestamp slot is one write, so it is never stored in part. An intake
whose last write failed has no room for requests until it can be written again, so that a client that repeats its
request does not multiply the duplicates.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.batching.grouping import Grouped
from bridge.ingest.disposition_writer import DispositionWriter
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peer
from bridge.ingest.read import HOSTNAME, Read, Taken
from bridge.ingest.redaction import Redaction
from bridge.ingest.spool_writer import RequestFailed, SpoolWriter
from bridge.routing import Disposition
from bridge.spool.batch import OpenBatch
from bridge.spool.budget import Full
from bridge.spool.quarantine import UNREDACTED
from bridge.syslog.columns import Columns
from bridge.syslog.frames import BLANK, list_of
from bridge.syslog.intake_key import count_keyed, has_key, without_keys
from bridge.syslog.reader import read_columns

TimedEvent = tuple[bytes, int | None]
"An event or a frame, and the time that the client gives, in milliseconds since the epoch, or None."
Commit = Callable[[Sequence[OpenBatch]], None]
"""Called in the reactor turn in which the events were appended to these files: a full batch is sealed, delivered and
closed while the rest of the request is written."""
Slice = Mapping[str | None, list[TimedEvent]]
"Some events of a request: ready-made events by intake, and under None frames for the routes."

_RAW = frozenset(("raw",))


class RequestPace(Protocol):
    """Declares how the work for one request is divided among reactor turns."""

    def pause(self) -> Awaitable[None]:
        """Lets the reactor handle other work if this turn's time is used up."""

    def keep(self) -> None:
        """Called before the first event is stored: from then on the request is not given up."""


class RequestPart(NamedTuple):
    """Some events of a request with one disposition, and their times if the client gives them."""

    disposition: Disposition
    rows: Columns
    sender_times: Sequence[int] | None
    keyed: int = 0
    "Number of events of the slice whose text had an intake key; only its first part has it."
    redacted: Mapping[str, int] = MappingProxyType({})
    "Replaced matches of the slice by rule; only its first part has them."


class RequestWriter:
    """Stores the requests of all HTTPS listeners. ``wall`` returns the time in seconds since the epoch."""

    def __init__(
        self, *, writer: DispositionWriter, spool_writer: SpoolWriter, ledger: Ledger, wall: Callable[[], float],
        message_samples: MessageSamples, redaction: Redaction,
    ) -> None:  # fmt: skip
        self._writer = writer
        self._spool_writer = spool_writer
        self._ledger = ledger
        self._wall = wall
        self._message_samples = message_samples
        self._redaction = redaction

    async def take(
        self, peer: Peer, slices: Callable[[], Iterable[Slice]], pace: RequestPace, commit: Commit
    ) -> Taken | Full:
        """Stores a request. ``Full`` means that nothing was stored or counted. ``slices`` yields its events."""
        now = int(self._wall() * 1000)
        grouped: list[tuple[RequestPart, Grouped | None]] = []
        watched: list[list[bytes]] = []
        for events in slices():
            # A reload forgets what was decided about the peer.
            if not peer.decided:
                peer.decide()
            for part in self._parts(peer, events, now):
                grouped.append((part, self._writer.group(peer, now, *part[:3])))
            if self._message_samples.watches:
                frames = [event for rows in events.values() for event, _ in rows]
                watched.append(list_of(self._redaction.shown(peer, frames)))
            await pace.pause()
        result = await self._store(peer, now, grouped, pace, commit)
        if not isinstance(result, Full):
            for frames in watched:
                self._message_samples.add_read(peer, frames, now)
                await pace.pause()
        return result

    async def _store(
        self, peer: Peer, now: int, grouped: list[tuple[RequestPart, Grouped | None]], pace: RequestPace, commit: Commit
    ) -> Taken | Full:
        sizes: Counter[str] = Counter()
        for _, found in grouped:
            for group in () if found is None else found.groups:
                sizes[group.intake] += len(group.data)
        room = self._spool_writer.room.reserve_all(sizes)
        if isinstance(room, Full):
            return room
        pace.keep()
        peer.note_keyed(sum(part.keyed for part, _ in grouped))
        self._spool_writer.room.hold(sizes)
        read = Read(peer, now, reserved=room)
        files = read.taken.files
        received, stored = 0, Counter[str]()
        try:
            for step in self._steps(read, grouped, sizes):
                written = len(files)
                count, intake = step()
                received += count
                if intake is not None:
                    stored[intake] += count
                peer.note_read(count, now)
                self._writer.read_counts.by_listener[peer.listener] += count
                if len(files) > written:
                    commit(files[written:])
                await pace.pause()
        except RequestFailed:
            pass
        finally:
            self._spool_writer.room.release(sizes)
        read.taken.lost = sum(part.rows.count for part, _ in grouped) - received
        if read.taken.lost:
            for intake, count in stored.items():
                self._ledger.add_possible_duplicates(intake, count)
        return read.taken

    def _steps(
        self, read: Read, grouped: list[tuple[RequestPart, Grouped | None]], held: Counter[str]
    ) -> "Iterator[Callable[[], tuple[int, str | None]]]":
        """Yields what has to be done, each as a function that returns the number of events, and their intake if they
        were spooled. It raises RequestFailed."""

        def rest(part: RequestPart, found: Grouped | None) -> tuple[int, None]:
            self._redaction.count(part.redacted)
            if part.disposition.kind == UNREDACTED:
                failed = [(frame, part.disposition.route) for frame in part.rows["raw"]]
                self._redaction.hold(read, failed, part.disposition.intake)
                return part.rows.count, None
            self._writer.write_rest(read, part.disposition, part.rows, found)
            if found is None:
                return part.rows.count, None
            read.peer.note_outside(found.outside)
            return len(found.oversize), None

        def append(group: Group) -> tuple[int, str]:
            self._spool_writer.append(group, read)
            size = len(group.data)
            self._spool_writer.room.release({group.intake: size})
            held[group.intake] -= size
            return group.count, group.intake

        # Parts that are not spooled come first: if quarantine cannot be written, no event has been spooled yet.
        for part, found in grouped:
            if found is None:
                yield partial(rest, part, None)
        for group in _merged(found for _, found in grouped if found is not None):
            for piece in self._spool_writer.parts(group):
                yield partial(append, piece)
        for part, found in grouped:
            if found is not None:
                yield partial(rest, part, found)

    def _parts(self, peer: Peer, events: Slice, now: int) -> Iterator[RequestPart]:
        redactor = peer.profile.redactor
        for intake, timed_events in events.items():
            rows = [(event, ms) for event, ms in timed_events if event.strip(BLANK)]
            if redactor is None:
                yield from _routed(peer, intake, rows, now)
                continue
            result = redactor.redact([event for event, _ in rows])
            yield from _unredacted(result.failed, intake)
            failed_rows = set(result.failed_rows)
            left = [ms for row, (_, ms) in enumerate(rows) if row not in failed_rows]
            counts: Mapping[str, int] = result.counts
            for part in _routed(peer, intake, list(zip(list_of(result.frames), left, strict=True)), now):
                yield part._replace(redacted=counts)
                counts = MappingProxyType({})


def _merged(grouped: Iterable[Grouped]) -> list[Group]:
    """Returns the groups of all slices, with one group for each batch that their events belong to."""
    by_batch: dict[tuple[str, str, int, bool], list[Group]] = {}
    for found in grouped:
        for group in found.groups:
            by_batch.setdefault((group.intake, group.encoding, group.slot, group.timed), []).append(group)
    return [
        Group(
            *batch[:3], min(each.earliest for each in groups), max(each.latest for each in groups),
            sum(each.count for each in groups), b"".join(each.data for each in groups), batch[3],
        )
        for batch, groups in by_batch.items()
    ]  # fmt: skip


def _unredacted(failed: Sequence[tuple[bytes, str]], intake: str | None) -> Iterator[RequestPart]:
    """Yields the events that could not be redacted, by the rule that failed."""
    by_rule: dict[str, list[bytes]] = {}
    for event, rule in failed:
        by_rule.setdefault(rule, []).append(event)
    for rule, events in by_rule.items():
        yield RequestPart(Disposition(UNREDACTED, rule, intake), Columns(len(events), {"raw": events}), None)


def _routed(peer: Peer, intake: str | None, rows: list[TimedEvent], now: int) -> Iterator[RequestPart]:
    if intake is not None:
        # Events are passed on as they are, except that the sender's key is not part of its text.
        texts, keyed = [event for event, _ in rows], 0
        if has_key(texts):
            keyed, texts = count_keyed(texts), list_of(without_keys(texts))
        columns = read_columns(texts, _RAW)
        if columns.count:
            disposition = peer.keyed_disposition(intake)
            yield RequestPart(disposition, columns, [now if ms is None else ms for _, ms in rows], keyed)
        return
    by_time: dict[int | None, list[bytes]] = {}
    for event, ms in rows:
        by_time.setdefault(ms, []).append(event)
    for ms, frames in by_time.items():
        columns = read_columns(frames, peer.profile.needs | HOSTNAME if peer.relay else peer.profile.needs)
        keyed = columns.keyed
        for disposition, part in peer.profile.assign(columns) if columns.count else ():
            yield RequestPart(disposition, part, None if ms is None else [ms] * part.count, keyed)
            keyed = 0
