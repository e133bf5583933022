"""Handles the rows of a read as their disposition says: delivers, drops or holds them, and mirrors their frames."""

from collections import Counter
from collections.abc import Sequence

from bridge import batching
from bridge.accounting import Ledger
from bridge.batching import GroupLimits
from bridge.batching.event_times import times_from_headers
from bridge.batching.grouping import Grouped
from bridge.batching.groups import GroupCollection
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peer
from bridge.ingest.read import Read, ReadCounts
from bridge.ingest.spool_writer import SpoolWriter
from bridge.routing import Disposition, Profile
from bridge.syslog.columns import Columns, TextBlock
from bridge.syslog.timestamps import TimeConversion, TimeReader


class DispositionWriter:
    """Groups rows and passes them to the spool writer, once per read and disposition."""

    def __init__(
        self, *, spool_writer: SpoolWriter, ledger: Ledger, reader: TimeReader, limits: GroupLimits,
        mirror: Mirror | None,
    ) -> None:  # fmt: skip
        self.read_counts = ReadCounts()
        self._spool_writer = spool_writer
        self._ledger = ledger
        self._reader = reader
        self._limits = limits
        self._mirror = mirror

    def change(self, limits: GroupLimits) -> None:
        """Applies the limits of another configuration."""
        self._limits = limits

    def route(
        self, read: Read, profile: Profile, parsed: Columns | TextBlock, collected: GroupCollection | None = None
    ) -> int:
        """Handles the rows of a read. Returns how many timestamps were out of range.

        Groups are added to ``collected``, if it is given, instead of being appended. The caller appends them with
        ``append_collected`` in the same reactor turn.
        """
        self.read_counts.by_listener[read.peer.listener] += parsed.count
        outside = 0
        for disposition, rows in profile.assign(parsed):
            grouped = self.group(read.peer, read.now, disposition, rows)
            if collected is None or grouped is None:
                self.write(read, disposition, rows, grouped)
            else:
                collected.add(grouped.groups)
                self.write_rest(read, disposition, rows, grouped)
            if grouped is not None:
                outside += grouped.outside
        return outside

    def append_collected(self, collected: GroupCollection, read: Read) -> None:
        """Appends the groups of several reads whose senders cannot be paused, with one write per batch file."""
        for group in collected.joined():
            self._spool_writer.append(group, read)

    def group(
        self, peer: Peer, now: int, disposition: Disposition, rows: Columns | TextBlock,
        sender_times: Sequence[int] | None = None,
    ) -> Grouped | None:  # fmt: skip
        """Encodes and groups the rows; returns None if they are not to be delivered. Writes nothing."""
        if disposition.kind != "deliver":
            return None
        return batching.group(
            rows, disposition, reader=self._reader, received_ms=now, peer=peer.encoded, listener=peer.listener,
            limits=self._limits, sender_times=sender_times,
            scattered=self._spool_writer.is_scattered(disposition.intake),
        )  # fmt: skip

    def write(self, read: Read, disposition: Disposition, rows: Columns | TextBlock, grouped: Grouped | None) -> None:
        """Appends the groups of the rows, or drops or quarantines the rows. Raises RequestFailed."""
        for group in () if grouped is None else grouped.groups:
            self._spool_writer.append(group, read)
        self.write_rest(read, disposition, rows, grouped)

    def write_rest(
        self, read: Read, disposition: Disposition, rows: Columns | TextBlock, grouped: Grouped | None
    ) -> None:
        """Does everything for rows except to append their groups. Raises RequestFailed."""
        if disposition.mirror_to and self._mirror is not None:
            self._mirror.send(disposition.mirror_to, rows.rows()["raw"])
        self.read_counts.by_route[disposition.route] += rows.count
        read.peer.note_routed(disposition.route, disposition.intake)
        if grouped is not None:
            self.read_counts.note_grouped(grouped, disposition.intake)
            if grouped.oversize:
                details = [(event, "event is longer than the collector takes (250 KiB)") for event in grouped.oversize]
                self._spool_writer.quarantine("oversize", read, details, disposition.intake)
        elif disposition.kind == "drop":
            self.read_counts.filtered_by_route[disposition.route] += rows.count
            self._ledger.receive_filtered(rows.count)
        else:
            _count_unrouted(read.peer, rows)
            self._spool_writer.quarantine(
                "unrouted", read, [(frame, "no route matches") for frame in rows.rows()["raw"]]
            )

    def count_out_of_range(self, columns: Columns, disposition: Disposition, now: int) -> int:
        """Returns the number of events whose timestamp is out of range."""
        if disposition.zone is None:
            return 0
        conversion = TimeConversion(self._reader, disposition.zone, self._limits.window)
        return times_from_headers(columns, conversion, now, fine=False).outside


def _count_unrouted(peer: Peer, rows: Columns | TextBlock) -> None:
    if not peer.relay:
        peer.note_unrouted(rows.count)
        return
    for name, count in Counter(rows.rows()["hostname"]).items():
        peer.relayed_source(name).note_unrouted(count)
