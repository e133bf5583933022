"""Reads batch files: as the body of a request, or as pieces of a timed batch.

Blocking calls; runs on a spool thread.
"""

import errno
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from operator import attrgetter, itemgetter

from bridge.batching.encoding import JSON, escaped, from_json_line
from bridge.spool.batch import Batch, Piece
from bridge.spool.batch_names import FIRST_MS, LAST_MS
from bridge.spool.pack import Pack
from bridge.util.counts import counted
from bridge.util.errors import BridgeError
from bridge.util.files import read_regular

CHUNK = 1 << 16
"Bytes of a timed batch that are split at once."
SAMPLE = 1000
"Approximate number of events sampled from a timed batch. If they share times, its events are grouped by time."


class Damaged(BridgeError):
    """Raised when the contents of a batch file do not match its name."""

    def __init__(self, batch: Batch, what: str) -> None:
        super().__init__(f"{batch.path}: {what}")
        self.batch = batch


class Missing(Damaged):
    """Raised when a batch file is missing."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch, "the file is missing, and syslog-bridge did not remove it")


class Unreadable(OSError):
    """Raised when a batch file cannot be read or renamed, and the error concerns this file only."""

    def __init__(self, batch: Batch, error: OSError) -> None:
        super().__init__(error.errno, error.strerror, str(batch.path))
        self.batch = batch


_EVERY_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"Errors that say nothing about one file: another file would give the same."


def concerns_one_file(error: OSError) -> bool:
    """Returns True if another file may not give the same error."""
    return error.errno not in _EVERY_FILE


def of_file(batch: Batch, error: OSError) -> OSError:
    """Returns Unreadable for an error that concerns a batch's file only, or the error itself."""
    return Unreadable(batch, error) if concerns_one_file(error) else error


def begin_all(batches: Iterable[Batch]) -> None:
    """Marks batches on disk as possibly accepted; marks all batches of one pack with one rename.

    Raises Missing, Unreadable. Raises OSError if some could not be marked; then all others are.
    """
    loose, packed = by_pack(batches)
    failed: OSError | None = None
    for mark in (
        *(partial(begin_sending, batch) for batch in loose),
        *(partial(pack.begin, packed[pack]) for pack in packed),
    ):
        try:
            mark()
        except OSError as error:
            failed = error
    if failed is not None:
        raise failed


def end_all(batches: Iterable[Batch]) -> None:
    """Removes the marks of ``begin_all`` from batches whose requests have ended without any settled event.

    A mark that cannot be removed stays: then a restart counts possible duplicates that there are not.
    """
    loose, packed = by_pack(batches)
    for batch in loose:
        with suppress(OSError):
            batch.end_sending()
    for pack, members in packed.items():
        with suppress(OSError):
            pack.end(members)


def by_pack(batches: Iterable[Batch]) -> tuple[list[Batch], dict[Pack, list[Batch]]]:
    """Splits batches into loose ones, which have their own files, and packed ones, by their pack."""
    loose: list[Batch] = []
    packed: defaultdict[Pack, list[Batch]] = defaultdict(list)
    for batch in batches:
        (loose if batch.pack is None else packed[batch.pack]).append(batch)
    return loose, packed


def begin_sending(batch: Batch) -> None:
    """Marks a loose batch's file as possibly accepted. Raises Missing, Unreadable, OSError."""
    try:
        batch.begin_sending()
    except FileNotFoundError:
        raise Missing(batch) from None
    except OSError as error:
        raise of_file(batch, error) from None


def content(batch: Batch) -> bytes:
    """Returns the bytes of a batch, one event per line. Raises Damaged, Unreadable, OSError."""
    return b"".join(_contents(batch))


def _contents(batch: Batch, *, counted: bool = True) -> Sequence[bytes]:
    """Returns the bytes of a batch as one or more parts.

    ``counted``: counts the lines of a file and compares them with its name. Raises Damaged, Unreadable, OSError.
    """
    if batch.held is not None:
        return (batch.held,)
    if fresh := batch.take_fresh():
        return fresh
    try:
        data = read_regular(batch.path)
    except FileNotFoundError:
        raise Missing(batch) from None
    except OSError as error:
        raise of_file(batch, error) from None
    if len(data) != batch.size:
        raise Damaged(batch, f"has {len(data)} bytes, its name says {batch.size}")
    # After a power cut a file may have its length but not its contents. No event contains a NUL: both encodings escape
    # it. Deleting the LFs is much faster than counting them.
    if b"\0" in data or (counted and len(data) - len(data.replace(b"\n", b"")) != batch.count):
        raise _wrong_line_count(batch)
    return (data,)


def _wrong_line_count(batch: Batch) -> Damaged:
    return Damaged(batch, f"does not have {counted(batch.count, 'line')}, as its name says")


def as_plain(pieces: Iterable[Piece]) -> bytes:
    """Returns pieces as the body of ``/plain/batch``: one event per line, no LF after the last.

    Raises Damaged, OSError.
    """
    parts: list[bytes] = []
    for piece in pieces:
        if piece.batch.encoding == JSON:
            data = content(piece.batch) if piece.lines is None else piece.lines
            try:
                parts += [escaped(from_json_line(line)) + b"\n" for line in data.split(b"\n")[:-1]]
            except ValueError as error:
                raise Damaged(piece.batch, str(error)) from None
        else:
            parts += _contents(piece.batch) if piece.lines is None else (piece.lines,)
    parts[-1] = parts[-1][:-1]
    return b"".join(parts)


def rows_of(piece: Piece) -> tuple[list[bytes], Sequence[int] | None]:
    """Returns a piece's events as lines in its batch's encoding, without LF, and the time of each event if they differ.

    The events of a timed batch are sorted by time; events with the same time keep the order of reception. Raises
    Damaged, OSError.
    """
    batch = piece.batch
    times = piece.times
    if piece.lines is None and batch.timed:
        lines, times = _by_time(batch, _contents(batch, counted=False))
    else:
        data = content(batch) if piece.lines is None else piece.lines
        lines = data.split(b"\n")[:-1]
    if piece.lines is None and batch.encoding == JSON:
        # Check now, while the batch is whole: later its parts are delivered separately.
        try:
            for line in lines:
                from_json_line(line)
        except ValueError as error:
            raise Damaged(batch, str(error)) from None
    return lines, times


def _by_time(batch: Batch, data: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """Returns the events of a timed batch sorted by time, and their times. Raises Damaged."""
    texts: list[bytes] = []
    events: list[bytes] = []
    count = 0
    for lines in chain.from_iterable(map(_chunks, data)):
        parts = lines.replace(b"\n", b"\t").split(b"\t")
        count += len(parts) - 1
        texts += parts[:-1:2]
        events += parts[1::2]
    if count != 2 * batch.count:
        # An event contains a TAB, or the file is damaged.
        rows = [line.partition(b"\t") for line in b"".join(data).split(b"\n")[:-1]]
        if len(rows) != batch.count:
            raise _wrong_line_count(batch)
        texts, events = [text for text, _, _ in rows], [event for _, _, event in rows]
    sample = texts[:: len(texts) // SAMPLE + 1]
    try:
        if len(set(sample)) * 10 <= len(sample) * 9:
            events, times = _by_few_times(texts, events)
        else:
            times = list(map(int, texts))
            order = sorted(range(len(times)), key=times.__getitem__)
            events, times = list(map(events.__getitem__, order)), list(map(times.__getitem__, order))
    except ValueError:
        raise Damaged(batch, "a line without a time") from None
    if times and not FIRST_MS <= times[0] <= times[-1] <= LAST_MS:
        raise Damaged(batch, "a line with a time that is not in the years 1 to 9999")
    return events, times


def _chunks(data: bytes) -> Iterator[bytes]:
    """Splits data into chunks of whole lines that fit the processor's cache, together with their results."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + CHUNK) + 1 or len(data)
        yield data[start:end]
        start = end


def _by_few_times(texts: list[bytes], events: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Sorts events that share their times, for example because their clock has a resolution of seconds.

    Returns the events and their times. Raises ValueError.
    """
    by_text: defaultdict[bytes, list[bytes]] = defaultdict(list)
    # This loop runs in C. A Python statement for each event takes twice as long.
    deque(map(list.append, map(by_text.__getitem__, texts), events), 0)
    ordered: list[bytes] = []
    times: list[int] = []
    for ms, together in sorted(zip(map(int, by_text), by_text.values(), strict=True), key=itemgetter(0)):
        ordered += together
        times += [ms] * len(together)
    return ordered, times


def cut(piece: Piece, width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
    """Splits a piece, in order of time, into pieces that keep ``max_events`` and ``max_bytes``.

    If the times of its events differ, each new piece also lies within one window of ``width_ms``, aligned to it. Raises
    Damaged, OSError.
    """
    lines, times = rows_of(piece)
    pieces: list[Piece] = []
    start = 0
    while start < len(lines):
        end = min(len(lines), start + max_events)
        if times is not None:
            end = bisect_left(times, (times[start] // width_ms + 1) * width_ms, start + 1, end)
        part = part_of(piece, lines, times, slice(start, end))
        while part.size > max_bytes and end - start > 1:
            # Take about as many events as fit; the next iteration cuts the rest.
            end = start + max(1, min(end - start - 1, (end - start) * max_bytes // part.size))
            part = part_of(piece, lines, times, slice(start, end))
        pieces.append(part)
        start = end
    return pieces


def cut_together(pieces: Sequence[Piece], width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
    """Splits several pieces as ``cut`` does, and orders ranges of timed batches by their time window.

    So one request can carry the events of one window from several batches. With random clocks, each batch has a few
    events of every window. The pieces are in the order of sending. Raises Damaged, OSError.
    """
    first = min(piece.order[0] for piece in pieces)
    parts: list[Piece] = []
    for piece in pieces:
        for part in cut(piece, width_ms, max_events, max_bytes):
            if part.times is not None:
                part.place = (first, part.earliest // width_ms * width_ms, piece.batch.sequence, part.start)
            parts.append(part)
    parts.sort(key=attrgetter("order"))
    return parts


def part_of(piece: Piece, lines: Sequence[bytes], times: Sequence[int] | None, part: slice) -> Piece:
    """Returns a slice of a piece's rows as a new piece in memory."""
    lines_of_part = lines[part]
    data = b"\n".join((*lines_of_part, b""))
    times_of_part = None if times is None else times[part]
    return Piece(
        piece.batch, times_of_part[0] if times_of_part else piece.earliest,
        times_of_part[-1] if times_of_part else piece.latest, len(lines_of_part), len(data), data,
        start=piece.start + (part.start or 0), suspected=piece.suspected, times=times_of_part,
    )  # fmt: skip


def time_of(line: bytes, default: int = 0) -> int:
    """Returns the time at the beginning of a line of a timed batch, in milliseconds."""
    text = line.partition(b"\t")[0]
    try:
        ms = int(text)
    except ValueError:
        return default
    return ms if FIRST_MS <= ms <= LAST_MS else default


def remove(batches: Iterable[Batch], on_error: Callable[[Batch, OSError], None]) -> None:
    """Unlinks the files of settled loose batches, and records settled batches of packs in their packs."""
    loose, packed = by_pack(batches)
    for batch in loose:
        try:
            batch.path.unlink(missing_ok=True)
        except OSError as error:
            on_error(batch, error)
    for pack, members in packed.items():
        try:
            pack.settle(members)
        except OSError as error:
            on_error(members[0], error)
