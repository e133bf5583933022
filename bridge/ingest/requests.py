"""Stores the events of one HTTPS request: all of them, or none if there is no room for some.

Everything that can refuse a request is decided before its first event is written: all events are parsed, routed and
grouped, and room for the bytes of every intake is reserved.

A write can still fail, on a disk that fills up or breaks. Events that are in the spool by then cannot be taken back:
their batch may be sealed already. No more events are written, and the client is asked to send the request again.
The stored events are counted as received and as possible duplicates. The others are not counted, because the client
still has them. A request for one intake and one timestamp slot is one write, so it is never stored in part. An intake
whose last write failed has no room for requests until it can be written again, so that a client that repeats its
request does not multiply the duplicates.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bridge.accounting import Ledger
from bridge.ingest.disposition_writer import DispositionWriter
from bridge.ingest.peers import Peer
from bridge.ingest.read import Read, Taken
from bridge.ingest.spool_writer import RequestFailed, SpoolWriter
from bridge.routing import Disposition
from bridge.spool.budget import Full
from bridge.syslog.columns import Columns

TimedEvent = tuple[bytes, int | None]
"An event or a frame, and the time that the client gives, in milliseconds since the epoch, or None."


class RequestPart(NamedTuple):
    """Events of a request with one disposition, and their times if the client gives them."""

    disposition: Disposition
    rows: Columns
    sender_times: Sequence[int] | None


def store(
    peer: Peer, now: int, parts: Sequence[RequestPart], *, writer: DispositionWriter, spool_writer: SpoolWriter,
    ledger: Ledger,
) -> Taken | Full:  # fmt: skip
    """Stores the parts of a request. ``Full`` means that nothing was stored or counted."""
    grouped = [(part, writer.group(peer, now, *part)) for part in parts]
    sizes: Counter[str] = Counter()
    for _, found in grouped:
        for group in () if found is None else found.groups:
            sizes[group.intake] += len(group.data)
    room = spool_writer.room.reserve_all(sizes)
    if isinstance(room, Full):
        return room
    read = Read(peer, now, reserved=room)
    taken = read.taken
    stored: Counter[str] = Counter()
    received = 0
    # Parts that are not spooled come first: if quarantine cannot be written, no event has been spooled yet.
    for part, found in sorted(grouped, key=lambda each: each[1] is not None):
        spooled_before = taken.spooled
        try:
            writer.write(read, part.disposition, part.rows, found)
        except RequestFailed:
            received += taken.spooled - spooled_before
            break
        finally:
            stored[part.disposition.intake or ""] += taken.spooled - spooled_before
        received += part.rows.count
        peer.note_outside(0 if found is None else found.outside)
    taken.lost = sum(part.rows.count for part in parts) - received
    if taken.lost:
        for intake, count in stored.items():
            if count:
                ledger.add_possible_duplicates(intake, count)
    peer.note_read(received, now)
    writer.read_counts.by_listener[peer.listener] += received
    return taken
