"""Takes all messages of one socket read through four steps: parse, route, group, append, each once per read.

``frames`` (cut by the listener) -> ``parse_all`` -> ``assign`` -> ``group`` -> ``append``. The ledger is updated in
the same call as the append, so it is exact in every reactor turn.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol

from bridge import batching
from bridge.accounting import Ledger
from bridge.batching import GroupLimits
from bridge.batching.event_times import times_from_headers
from bridge.ingest.backpressure import PausableSender
from bridge.ingest.clock_skew import SourceClock
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peer
from bridge.ingest.spool_writer import Room, SpoolWriter, UnlimitedRoom
from bridge.routing import Disposition, Profile
from bridge.spool import Spool
from bridge.syslog import parser
from bridge.syslog.fast.columns import Columns, parse_all
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.fast.precompiled_times import Reception
from bridge.syslog.fast.single_second import SingleSecondReader
from bridge.syslog.frames import Frames, block_of, list_of
from bridge.syslog.framing import Oversize
from bridge.syslog.timestamps import TimeReader, fraction_ms, zone_of
from bridge.util.token_bucket import TokenBucket

_HOSTNAME = frozenset(("hostname",))


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
    truncated: int = 0
    format_sampled: Counter[str] = field(default_factory=Counter)
    "Events that were checked against the text format of their intake, by intake."
    format_mismatches: Counter[str] = field(default_factory=Counter)
    "Checked events that do not match the format, by intake. The intake's parser cannot read them and reports no error."


class FrameMirror(Protocol):
    """Declares what the pipeline needs to mirror frames."""

    def send(self, targets: Any, frames: Sequence[bytes]) -> None:
        """Sends frames to each target of a route's ``copy_to``."""


_BLANK = b" \t\r\n\0"
_RAW = frozenset(("raw",))


class Pipeline:
    """Takes frames to the spool. ``wall`` returns the time in seconds since the epoch."""

    SAMPLE_MS = 1000
    "Shortest time between two clock samples of a sender, in milliseconds."

    def __init__(
        self,
        *,
        spool: Spool,
        ledger: Ledger,
        wall: Callable[[], float],
        limits: GroupLimits,
        truncate: bool,
        on_error: Callable[[str], None],
        room: Room | None = None,
        message_samples: MessageSamples | None = None,
    ) -> None:
        self.spool_writer = SpoolWriter(spool=spool, ledger=ledger, room=room or UnlimitedRoom(), on_error=on_error)
        self.message_samples = message_samples or MessageSamples()
        self.mirror: FrameMirror | None = None
        self.read_counts = ReadCounts()
        self._ledger = ledger
        self._wall = wall
        self._limits = limits
        self._truncate = truncate
        self._reader = TimeReader()
        self._single_second_readers: dict[Profile, SingleSecondReader] = {}
        "Readers for datagrams, by profile, because the datagrams of many peers are read together."

    def take(
        self,
        peer: Peer,
        frames: Frames,
        single_second: SingleSecondReader | None = None,
        sender: PausableSender | None = None,
    ) -> None:
        """Takes all frames that one read brought from one peer.

        ``single_second`` is the connection's reader; ``sender`` can be paused.
        """
        now = int(self._wall() * 1000)
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None:
            frames = self._within_limit(peer, peer.bucket, frames, now)
        columns = self._parse(peer, frames, single_second, now)
        if not columns.count:
            return
        if peer.relay:
            self._take_relayed(peer, frames, columns, now, sender)
            return
        if peer.gaps is not None:
            peer.gaps.note(list_of(frames))
        peer.events += columns.count
        peer.last_seen_ms = now
        if now - peer.sampled >= self.SAMPLE_MS or now < peer.sampled:
            self._sample(peer, frames, now)
        if self.message_samples.watches:
            self.message_samples.add_read(peer, frames, now)
        peer.outside += self._route(peer, columns, now, sender)

    def _within_limit(self, peer: Peer, bucket: TokenBucket, frames: Frames, now: int) -> Frames:
        """Returns the frames within the peer's rate limit. The others are dropped unparsed."""
        sent = [frame for frame in list_of(frames) if frame.strip(b" \t\r\n\0")]
        allowed = bucket.take(len(sent), now)
        if allowed == len(sent):
            return frames
        self._drop_limited(peer, len(sent) - allowed, now)
        return block_of(sent[:allowed])

    def _drop_limited(self, peer: Peer, count: int, now: int) -> None:
        peer.events += count
        peer.limited += count
        peer.last_seen_ms = now
        self.read_counts.by_listener[peer.listener] += count
        self._ledger.receive_dropped(None, count, "source_limit")

    def _take_relayed(
        self, relay: Peer, frames: Frames, columns: Columns, now: int, sender: PausableSender | None
    ) -> None:
        """Takes a read from a relay, where the HOSTNAME in the header is the source.

        Frames of hosts with the same routing profile are routed together.
        """
        relay.last_seen_ms = now
        rows: dict[bytes, list[int]] = {}
        for row, name in enumerate(columns["hostname"]):
            rows.setdefault(name, []).append(row)
        each = list_of(frames)
        rows_match_frames = len(each) == columns.count  # a blank frame makes no row: then the numbers differ
        together: dict[Profile, list[tuple[Peer, list[int]]]] = {}
        for name, numbers in rows.items():
            source = relay.relayed_source(name)
            if source.bucket is not None and source is not relay:
                allowed = source.bucket.take(len(numbers), now)
                if allowed < len(numbers):
                    self._drop_limited(source, len(numbers) - allowed, now)
                    del numbers[allowed:]
                    if not numbers:
                        continue
            if source.gaps is not None and rows_match_frames:
                source.gaps.note(each[row] for row in numbers)
            source.events += len(numbers)
            source.last_seen_ms = now
            if rows_match_frames and (now - source.sampled >= self.SAMPLE_MS or now < source.sampled):
                self._sample(source, [each[numbers[-1]]], now)
            together.setdefault(source.profile, []).append((source, numbers))
        if self.message_samples.watches:
            self.message_samples.add_read(relay, frames, now)
        for profile, members in together.items():
            taken = sorted(row for _, numbers in members for row in numbers)
            part = columns if len(taken) == columns.count else columns.take(taken)
            outside = self._route(relay, part, now, sender, profile)
            for source, numbers in members:
                source.route, source.intake = relay.route, relay.intake
                if outside:
                    constant = profile.rules[-1].disposition
                    source.outside += self._count_out_of_range(columns.take(numbers), constant, now)

    def _count_out_of_range(self, columns: Columns, disposition: Disposition, now: int) -> int:
        """Returns the number of events whose timestamp is out of range."""
        if disposition.zone is None:
            return 0
        return times_from_headers(
            columns, reader=self._reader, zone=disposition.zone, received_ms=now, window=self._limits.window,
            fine=False,
        ).outside  # fmt: skip

    def change(self, *, limits: GroupLimits, truncate: bool) -> None:
        """Applies the limits of another configuration."""
        self._limits = limits
        self._truncate = truncate
        # The readers are keyed by profile, and the old profiles are no longer used.
        self._single_second_readers.clear()

    def take_request(self, peer: Peer, parts: Sequence[tuple[str | None, list[bytes], list[int | None]]]) -> bool:
        """Takes the events of one HTTPS request; returns False, and takes none, if there is no room for some of them.

        Each part is an intake with ready-made events, or None with frames for the routes. Each event has the time
        that the sender gives, in milliseconds since the epoch, or None.
        """
        now = int(self._wall() * 1000)
        if not peer.decided:
            peer.decide()
        found: list[tuple[Disposition, Columns, Sequence[int] | None]] = []
        sizes: Counter[str] = Counter()
        for intake, events, times in parts:
            rows = [(event, ms) for event, ms in zip(events, times, strict=True) if event.strip(_BLANK)]
            if intake is not None:
                columns = parse_all([event for event, _ in rows], _RAW)
                disposition = peer.keyed_disposition(intake)
                if columns.count:
                    found.append((disposition, columns, [now if ms is None else ms for _, ms in rows]))
                    sizes[intake] += sum(map(len, events)) + len(events)
                continue
            by_time: dict[int | None, list[bytes]] = {}
            for event, ms in rows:
                by_time.setdefault(ms, []).append(event)
            for ms, frames in by_time.items():
                columns = self._parse(peer, frames, None, now)
                size = sum(map(len, frames)) + len(frames)
                for disposition, part in peer.profile.assign(columns) if columns.count else ():
                    found.append((disposition, part, None if ms is None else [ms] * part.count))
                    if disposition.kind == "deliver" and disposition.intake:
                        sizes[disposition.intake] += size * part.count // columns.count
        if any(self.spool_writer.refuses(intake, size) for intake, size in sizes.items()):
            return False
        count = sum(columns.count for _, columns, _ in found)
        peer.events += count
        peer.last_seen_ms = now
        self.read_counts.by_listener[peer.listener] += count
        if self.message_samples.watches:
            self.message_samples.add_read(peer, [event for _, events, _ in parts for event in events], now)
        # Room for every part was checked above, so the request is taken as a whole.
        self.spool_writer.granted = True
        try:
            for disposition, columns, sender_times in found:
                peer.outside += self._apply(peer, disposition, columns, now, None, sender_times)
        finally:
            self.spool_writer.granted = False
        return True

    def take_many(
        self, by_peer: Iterable[tuple[Peer, list[bytes]]], to_frames: Callable[[list[bytes]], Frames]
    ) -> None:
        """Takes all datagrams of one drain. Datagrams of peers with the same routing profile are read together."""
        together = []
        for peer, frames in by_peer:
            if peer.mergeable:
                together.append((peer, frames, len(frames)))
            else:
                self.take(peer, to_frames(frames))
        self._take_together(together, to_frames)

    def take_blocks(self, by_peer: Mapping[Peer, list[bytes]]) -> None:
        """Takes the small reads of many connections, as blocks, of peers that may be read together."""
        together = [(peer, blocks, sum(block.count(b"\n") for block in blocks)) for peer, blocks in by_peer.items()]
        self._take_together(together, b"".join)

    def _take_together(
        self, members: Iterable[tuple[Peer, list[bytes], int]], to_frames: Callable[[list[bytes]], Frames]
    ) -> None:
        """Takes the frames of several peers.

        Each member is a peer, its pieces of data, and their number of frames. ``to_frames`` makes frames of the
        pieces.
        """
        now = int(self._wall() * 1000)
        merged: dict[Profile, list[tuple[Peer, list[bytes], int]]] = {}
        for peer, pieces, count in members:
            peer.events += count
            peer.last_seen_ms = now
            if now - peer.sampled >= self.SAMPLE_MS or now < peer.sampled:
                self._sample(peer, to_frames(pieces), now)
            if self.message_samples.watches:
                self.message_samples.add_read(peer, to_frames(pieces), now)
            merged.setdefault(peer.profile, []).append((peer, pieces, count))
        for profile, group in merged.items():
            peer = group[0][0]
            single_second = self._single_second_readers.setdefault(profile, SingleSecondReader())
            together = group[0][1] if len(group) == 1 else [piece for _, pieces, _ in group for piece in pieces]
            columns = self._parse(peer, to_frames(together), single_second, now)
            if columns.count != sum(count for _, _, count in group):
                for member, pieces, _ in group:
                    member.events -= sum(not frame.strip(b" \t\r\n\0") for frame in list_of(to_frames(pieces)))
            if columns.count and self._route(peer, columns, now):
                self._find_out_of_range([(peer, to_frames(pieces)) for peer, pieces, _ in group], now)

    def _find_out_of_range(self, members: list[tuple[Peer, Frames]], now: int) -> None:
        """Finds the peers of a merged read whose timestamps were out of range. They are read alone from then on."""
        for peer, frames in members:
            columns = parse_all(frames, peer.profile.needs)
            constant = peer.profile.constant
            if not columns.count or constant is None:
                continue
            if outside := self._count_out_of_range(columns, constant, now):
                peer.outside += outside
                peer.mergeable = False

    def take_oversize(self, peer: Peer, frames: list[Oversize], sender: PausableSender | None = None) -> None:
        """Takes frames longer than ``max_frame_size``: truncates and delivers them, or writes them to quarantine."""
        if self._truncate:
            self.read_counts.truncated += len(frames)
            self.take(peer, block_of([frame.kept for frame in frames]), sender=sender)
            return
        details = [(frame.kept, f"frame of {frame.length} bytes is longer than max_frame_size") for frame in frames]
        self._quarantine("oversize", peer, details)

    def take_unfinished(self, peer: Peer, rest: bytes, detail: str) -> None:
        """Quarantines the beginning of a frame whose end did not arrive; ``detail`` says why."""
        self._quarantine("damaged", peer, [(rest, detail)])

    def _quarantine(self, reason: str, peer: Peer, frames: list[tuple[bytes, str]]) -> None:
        """Counts frames as received and writes them to quarantine instead of parsing them."""
        now = int(self._wall() * 1000)
        peer.events += len(frames)
        peer.last_seen_ms = now
        self.read_counts.by_listener[peer.listener] += len(frames)
        self.spool_writer.quarantine(reason, peer, frames, now)

    # --- steps of the pipeline ---------------------------------------------------------------------------------------

    def _reception(self, peer: Peer, now: int) -> Reception | None:
        """Returns the context for precompiled timestamps if event timestamps are only passed on, else None."""
        disposition = peer.profile.constant
        if disposition is None or disposition.kind != "deliver" or disposition.timestamp != "event":
            return None
        if disposition.payload != "message" or self._limits.resolution_ms > 1000:
            return None
        return Reception(self._reader, disposition.zone or UTC, now, *self._limits.window.bounds(now))

    def _parse(self, peer: Peer, frames: Frames, single_second: SingleSecondReader | None, now: int) -> Columns:
        if single_second is not None and peer.strippable and isinstance(frames, bytes):
            columns = single_second.strip(frames)
            if columns is not None:
                return columns
            columns = single_second.many_seconds.strip(frames, lambda: self._reception(peer, now))
            if columns is not None:
                return columns
            if single_second.mixed:
                return read_mixed(frames)
        return parse_all(frames, peer.profile.needs | _HOSTNAME if peer.relay else peer.profile.needs)

    def _route(
        self,
        peer: Peer,
        columns: Columns,
        now: int,
        sender: PausableSender | None = None,
        profile: Profile | None = None,
    ) -> int:
        self.read_counts.by_listener[peer.listener] += columns.count
        return sum(
            self._apply(peer, disposition, part, now, sender)
            for disposition, part in (profile or peer.profile).assign(columns)
        )

    def _apply(
        self,
        peer: Peer,
        disposition: Disposition,
        columns: Columns,
        now: int,
        sender: PausableSender | None,
        sender_times: Sequence[int] | None = None,
    ) -> int:
        """Delivers, drops or holds rows, as their disposition says; returns how many timestamps were out of range."""
        if disposition.copy_to and self.mirror is not None:
            self.mirror.send(disposition.copy_to, columns["raw"])
        self.read_counts.by_route[disposition.route] += columns.count
        peer.route, peer.intake = disposition.route, disposition.intake
        if disposition.kind == "deliver":
            return self._append(peer, disposition, columns, now, sender, sender_times)
        if disposition.kind == "drop":
            self.read_counts.filtered_by_route[disposition.route] += columns.count
            self._ledger.receive_filtered(columns.count)
        else:
            self._count_unrouted(peer, columns)
            self.spool_writer.quarantine(
                "unrouted", peer, [(frame, "no route matches") for frame in columns["raw"]], now
            )
        return 0

    @staticmethod
    def _count_unrouted(peer: Peer, part: Columns) -> None:
        if not peer.relay:
            peer.unrouted += part.count
            return
        for name, count in Counter(part["hostname"]).items():
            peer.relayed_source(name).unrouted += count

    def _append(
        self,
        peer: Peer,
        disposition: Disposition,
        columns: Columns,
        now: int,
        sender: PausableSender | None,
        sender_times: Sequence[int] | None,
    ) -> int:
        grouped = batching.group(
            columns, disposition, reader=self._reader, received_ms=now, peer=peer.encoded, listener=peer.listener,
            limits=self._limits, sender_times=sender_times,
        )  # fmt: skip
        for group in grouped.groups:
            self.spool_writer.append(group, sender)
        read_counts = self.read_counts
        read_counts.converted += grouped.converted
        read_counts.emptied += grouped.emptied
        read_counts.outside += grouped.outside
        if grouped.sampled and disposition.intake:
            read_counts.format_sampled[disposition.intake] += grouped.sampled
            read_counts.format_mismatches[disposition.intake] += grouped.mismatched
        if grouped.oversize:
            details = [(event, "event is longer than the collector takes (250 KiB)") for event in grouped.oversize]
            self.spool_writer.quarantine("oversize", peer, details, now, disposition.intake)
        return grouped.outside

    def _sample(self, peer: Peer, frames: Frames, now: int) -> None:
        """Samples the last frame of a read: message shape, clock offset, and the message itself."""
        peer.sampled = now
        peer.measure(now)
        frame = frames.rpartition(b"\n")[2] if isinstance(frames, bytes) else (list_of(frames) or [b""])[-1]
        if not frame:
            return
        self.message_samples.note(peer, frame, now)
        parts = parser.read(frame[:512])
        peer.shape = parts.shape
        if parts.second and (zone := peer.profile.rules[0].disposition.zone) is not None:
            ms = self._reader.second_ms(parts.second, parts.offset, zone, now)
            if ms is not None:
                clock = peer.clock = peer.clock or SourceClock()
                clock.note(
                    (ms + fraction_ms(parts.fraction) - now) / 1000, now_ms=now, zone=zone,
                    has_zone=_names_zone(parts.second, parts.offset), has_year=_YEAR.search(parts.second) is not None,
                )  # fmt: skip


_YEAR = re.compile(rb"[0-9]{4}")
"A year in a timestamp's text, or seconds since 1970, which imply the year."


def _names_zone(second: bytes, offset: bytes) -> bool:
    """Returns True if a timestamp means the same instant in every zone. An unknown zone name does not count."""
    return second.isdigit() or (bool(offset) and zone_of(offset) is not None)
