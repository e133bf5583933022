"""Redacts the frames of each read before they are parsed, and holds the frames that could not be redacted.

If a rule exceeds its match limit on a frame, the frame is written to quarantine as it was received, and nowhere else.
``quarantine retry`` redacts it again.
"""

from collections.abc import Iterable, Mapping, Sequence

from bridge.ingest.peers import Peer
from bridge.ingest.read import Read, ReadCounts
from bridge.ingest.spool_writer import SpoolWriter
from bridge.redaction.redactor import Redactor
from bridge.spool.quarantine import UNREDACTED
from bridge.syslog.frames import Frames, list_of

Failed = Sequence[tuple[bytes, str]]
"Frames that could not be redacted, each with the rule that failed."


class Redaction:
    """Applies the rules of each sender (``profile.redactor``) and counts what they replaced."""

    def __init__(self, spool_writer: SpoolWriter, read_counts: ReadCounts) -> None:
        self._spool_writer = spool_writer
        self._read_counts = read_counts

    def redact(self, read: Read, redactor: Redactor, frames: Frames) -> Frames:
        """Returns the redacted frames of a read. Frames that failed are counted as received and held."""
        result = redactor.redact(frames)
        self.count(result.counts)
        if result.failed:
            read.peer.note_read(len(result.failed), read.now)
            self._hold_received(read, result.failed)
        return result.frames

    def redact_merged(
        self, redactor: Redactor, frames: Frames, members: Iterable[tuple[Peer, Frames]], now: int
    ) -> tuple[Frames, int]:
        """Returns the redacted frames of several peers, and how many failed. Each peer has noted its frames already.

        ``members`` are the peers and their frames. They are redacted one by one if a frame has failed, to find its
        sender.
        """
        result = redactor.redact(frames)
        self.count(result.counts)
        if result.failed:
            for peer, own in members:
                if failed := redactor.redact(own).failed:
                    self._hold_received(Read(peer, now), failed)
        return result.frames, len(result.failed)

    def shown(self, peer: Peer, frames: Frames) -> Frames:
        """Returns the redacted frames for samples, without failed ones. Nothing is counted or held."""
        redactor = peer.profile.redactor
        return frames if redactor is None else redactor.redact(frames).frames

    def quarantined(self, read: Read, frames: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        """Returns frames with the fault of each, redacted. Frames that failed are held instead."""
        redactor = read.peer.profile.redactor
        if redactor is None:
            return frames
        found = []
        for frame, detail in frames:
            result = redactor.redact([frame])
            self.count(result.counts)
            found += [(one, detail) for one in list_of(result.frames)]
            if result.failed:
                self._hold_received(read, result.failed)
        return found

    def count(self, counts: Mapping[str, int]) -> None:
        """Counts replaced matches by rule."""
        self._read_counts.redacted.update(counts)

    def hold(self, read: Read, failed: Failed, intake: str | None = None) -> None:
        """Writes frames that could not be redacted to quarantine. Raises RequestFailed.

        ``intake`` is given if the sender has named it by its key.
        """
        details = [(frame, f"redact rule {rule} exceeded its match limit") for frame, rule in failed]
        self._spool_writer.quarantine(UNREDACTED, read, details, intake)

    def _hold_received(self, read: Read, failed: Failed) -> None:
        self._read_counts.by_listener[read.peer.listener] += len(failed)
        self.hold(read, failed)
