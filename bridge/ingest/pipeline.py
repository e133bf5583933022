"""Takes all messages of one socket read through four steps: parse, route, group, append, each once per read.

``frames`` (cut by the listener) -> ``Reader.read`` -> ``assign`` -> ``group`` -> ``append``. The ledger is updated in
the same call as the append, so it is exact in every reactor turn.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from bridge.accounting import Ledger
from bridge.batching import GroupLimits
from bridge.batching.groups import GroupCollection
from bridge.ingest.backpressure import PausableSender
from bridge.ingest.disposition_writer import DispositionWriter
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peer
from bridge.ingest.read import HOSTNAME, Read, Taken
from bridge.ingest.redaction import Redaction
from bridge.ingest.requests import Commit, RequestPace, RequestWriter, Slice
from bridge.ingest.shape_changes import MOST_A_READ, ShapeChanges
from bridge.ingest.spool_writer import SpoolWriter
from bridge.routing import Profile
from bridge.spool.budget import Full
from bridge.syslog.columns import Columns, TextBlock
from bridge.syslog.frames import BLANK, Frames, block_of, list_of
from bridge.syslog.framing import Oversize
from bridge.syslog.intake_key import count_keyed
from bridge.syslog.reader import Reader, read_columns
from bridge.syslog.timestamps import TimeReader
from bridge.util.token_bucket import TokenBucket


class Pipeline:
    """Takes frames to the spool. ``wall`` returns the time in seconds since the epoch."""

    def __init__(
        self, *, spool_writer: SpoolWriter, ledger: Ledger, wall: Callable[[], float], limits: GroupLimits,
        truncate: bool, message_samples: MessageSamples, mirror: Mirror | None = None,
    ) -> None:  # fmt: skip
        self.spool_writer = spool_writer
        self.message_samples = message_samples
        self.shape_changes = ShapeChanges(message_samples)
        self._ledger = ledger
        self._wall = wall
        self._truncate = truncate
        self._reader = TimeReader()
        self._writer = DispositionWriter(
            spool_writer=spool_writer, ledger=ledger, reader=self._reader, limits=limits, mirror=mirror
        )
        self.read_counts = self._writer.read_counts
        self._redaction = Redaction(spool_writer, self.read_counts)
        self._requests = RequestWriter(
            writer=self._writer, spool_writer=spool_writer, ledger=ledger, wall=wall, message_samples=message_samples,
            redaction=self._redaction,
        )  # fmt: skip
        self._merged_readers: defaultdict[Profile, Reader] = defaultdict(Reader)
        "Readers for datagrams, by profile, because the datagrams of many peers are read together."

    def take(
        self, peer: Peer, frames: Frames, reader: Reader | None = None, sender: PausableSender | None = None
    ) -> Taken:
        """Takes all frames that one read brought from one peer.

        ``reader`` is that of the connection; ``sender`` can be paused.
        """
        now = int(self._wall() * 1000)
        read = Read(peer, now, sender)
        if not peer.decided:
            peer.decide()
        if peer.bucket is not None:
            frames = self._within_limit(peer, peer.bucket, frames, now)
        received = frames
        if peer.profile.redactor is not None:
            frames = self._redaction.redact(read, peer.profile.redactor, frames)
        if peer.relay:
            self._take_relayed(read, frames)
            return read.taken
        parsed = _parse(peer.profile, frames, reader)
        if not parsed.count:
            return read.taken
        if parsed.keyed:
            peer.note_keyed(parsed.keyed)
        if peer.gaps is not None:
            peer.gaps.note(list_of(received))
        if peer.note_read(parsed.count, now):
            self._sample(peer, frames, now)
        if self.message_samples.watches:
            self.message_samples.add_read(peer, frames, now)
        if outside := self._writer.route(read, peer.profile, parsed):
            peer.note_outside(outside)
        return read.taken

    def _within_limit(self, peer: Peer, bucket: TokenBucket, frames: Frames, now: int) -> Frames:
        """Returns the frames within the peer's rate limit. The others are dropped unparsed."""
        sent = [frame for frame in list_of(frames) if frame.strip(BLANK)]
        allowed = bucket.take(len(sent), now)
        if allowed == len(sent):
            return frames
        self._drop_limited(peer, len(sent) - allowed, now)
        return block_of(sent[:allowed])

    def _drop_limited(self, peer: Peer, count: int, now: int) -> None:
        peer.note_limited(count, now)
        self.read_counts.by_listener[peer.listener] += count
        self._ledger.receive_dropped(None, count, "source_limit")

    def _take_relayed(self, read: Read, frames: Frames) -> None:
        """Takes a read from a relay, where the HOSTNAME in the header is the source.

        Frames of hosts with the same routing profile are routed together.
        """
        relay, now = read.peer, read.now
        columns = read_columns(frames, relay.profile.needs | HOSTNAME)
        if not columns.count:
            return
        relay.note_read(0, now)
        relay.note_keyed(columns.keyed)
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
            if source.note_read(len(numbers), now) and rows_match_frames:
                self._sample(source, [each[row] for row in numbers[-MOST_A_READ:]], now)
            together.setdefault(source.profile, []).append((source, numbers))
        if self.message_samples.watches:
            self.message_samples.add_read(relay, frames, now)
        for profile, members in together.items():
            taken = sorted(row for _, numbers in members for row in numbers)
            part = columns if len(taken) == columns.count else columns.take(taken)
            outside = self._writer.route(read, profile, part)
            for source, numbers in members:
                source.note_routed(relay.route, relay.intake)
                if outside:
                    constant = profile.rules[-1].disposition
                    source.note_outside(self._writer.count_out_of_range(columns.take(numbers), constant, now))

    def change(self, *, limits: GroupLimits, truncate: bool) -> None:
        """Applies the limits of another configuration."""
        self._writer.change(limits)
        self._truncate = truncate
        # The keys are profiles, and the old profiles are no longer used.
        self._merged_readers.clear()

    async def take_request(
        self, peer: Peer, slices: Callable[[], Iterable[Slice]], pace: RequestPace, commit: Commit
    ) -> Taken | Full:
        """Takes the events of one HTTPS request, or none if there is no room for some of them (``Full``).

        ``slices`` yields the events, some at a time. ``pace`` divides the work among reactor turns. ``commit`` syncs
        the files that events were appended to.
        """
        return await self._requests.take(peer, slices, pace, commit)

    def take_many(
        self, by_peer: Iterable[tuple[Peer, list[bytes]]], to_frames: Callable[[list[bytes]], Frames]
    ) -> None:
        """Takes all datagrams of one drain. Datagrams of peers with the same routing profile are read together."""
        together = []
        for peer, frames in by_peer:
            if peer.mergeable and not peer.apart:
                together.append((peer, frames, len(frames)))
            else:
                self.take(peer, to_frames(frames))
        self._take_together(together, to_frames)

    def take_blocks(self, by_peer: Mapping[Peer, list[bytes]]) -> None:
        """Takes the small reads of many connections, as blocks, of peers that may be read together."""
        together = []
        for peer, blocks in by_peer.items():
            if peer.apart:
                self.take(peer, b"".join(blocks), self._merged_readers[peer.profile])
            else:
                together.append((peer, blocks, sum(block.count(b"\n") for block in blocks)))
        self._take_together(together, b"".join)

    def _take_together(
        self, members: Iterable[tuple[Peer, list[bytes], int]], to_frames: Callable[[list[bytes]], Frames]
    ) -> None:
        """Takes the frames of several peers.

        Each member is a peer, its pieces of data, and their number of frames. ``to_frames`` makes frames of the
        pieces.
        """
        now = int(self._wall() * 1000)
        merged: defaultdict[Profile, list[tuple[Peer, list[bytes], int]]] = defaultdict(list)
        watched = bool(self.message_samples.watches)
        for member in members:
            peer, pieces, count = member
            if peer.note_read(count, now):
                self._sample(peer, self._redaction.shown(peer, to_frames(pieces)), now)
            if watched:
                self.message_samples.add_read(peer, self._redaction.shown(peer, to_frames(pieces)), now)
            merged[peer.profile].append(member)
        collected = GroupCollection()
        try:
            for profile, group in merged.items():
                self._take_merged(profile, group, to_frames, collected, now)
        finally:
            if merged:
                self._writer.append_collected(collected, Read(peer, now))

    def _take_merged(
        self, profile: Profile, group: list[tuple[Peer, list[bytes], int]],
        to_frames: Callable[[list[bytes]], Frames], collected: GroupCollection, now: int,
    ) -> None:  # fmt: skip
        """Takes the frames of the peers with one profile, and collects their groups."""
        peer, together, expected = group[0]
        if len(group) > 1:
            together = [piece for _, pieces, _ in group for piece in pieces]
            expected = sum([count for _, _, count in group])
        frames = to_frames(together)
        if profile.redactor is not None:
            members = ((member, to_frames(pieces)) for member, pieces, _ in group)
            frames, failed = self._redaction.redact_merged(profile.redactor, frames, members, now)
            expected -= failed
        parsed = _parse(profile, frames, self._merged_readers[profile])
        if parsed.keyed:
            for member, pieces, _ in group:
                member.note_keyed(count_keyed(to_frames(pieces)))
        if parsed.count != expected:
            for member, pieces, _ in group:
                blank = sum(not frame.strip(BLANK) for frame in list_of(to_frames(pieces)))
                member.note_blank(blank)
        if parsed.count and self._writer.route(Read(peer, now), profile, parsed, collected):
            self._find_out_of_range([(member, to_frames(pieces)) for member, pieces, _ in group], now)

    def _find_out_of_range(self, members: list[tuple[Peer, Frames]], now: int) -> None:
        """Finds the peers of a merged read whose timestamps were out of range. They are read alone from then on."""
        for peer, frames in members:
            columns = read_columns(frames, peer.profile.needs)
            constant = peer.profile.constant
            if not columns.count or constant is None:
                continue
            if outside := self._writer.count_out_of_range(columns, constant, now):
                peer.note_outside(outside)
                peer.read_alone()

    def take_oversize(self, peer: Peer, frames: list[Oversize], sender: PausableSender | None = None) -> Taken:
        """Takes frames longer than ``max_frame_size``: truncates and delivers them, or writes them to quarantine."""
        if self._truncate:
            self.read_counts.note_truncated(peer.listener, len(frames))
            return self.take(peer, block_of([frame.kept for frame in frames]), sender=sender)
        details = [(frame.kept, f"frame of {frame.length} bytes is longer than max_frame_size") for frame in frames]
        return self._quarantine("oversize", peer, details, sender)

    def take_unfinished(self, peer: Peer, rest: bytes, detail: str) -> Taken:
        """Quarantines the beginning of a frame whose end did not arrive; ``detail`` says why."""
        return self._quarantine("damaged", peer, [(rest, detail)])

    def _quarantine(
        self, reason: str, peer: Peer, frames: list[tuple[bytes, str]], sender: PausableSender | None = None
    ) -> Taken:
        """Counts frames as received and writes them to quarantine instead of parsing them."""
        read = Read(peer, int(self._wall() * 1000), sender)
        if not peer.decided:
            peer.decide()
        peer.note_read(len(frames), read.now)
        if frames := self._redaction.quarantined(read, frames):
            self.read_counts.by_listener[peer.listener] += len(frames)
            self.spool_writer.quarantine(reason, read, frames)
        return read.taken

    def _sample(self, peer: Peer, frames: Frames, now: int) -> None:
        """Samples the last frame of a read."""
        frame = frames.rpartition(b"\n")[2] if isinstance(frames, bytes) else (list_of(frames) or [b""])[-1]
        silent_ms = now - peer.sampled if peer.sampled else 0
        header = peer.sample(frame, now, self._reader)
        if frame:
            self.shape_changes.note(peer, frames, (frame, header), now, silent_ms)
            self.message_samples.note(peer, frame, now)


def _parse(profile: Profile, frames: Frames, reader: Reader | None) -> Columns | TextBlock:
    return read_columns(frames, profile.needs) if reader is None else reader.read(frames, profile.needs)
