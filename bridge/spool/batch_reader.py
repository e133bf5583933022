"""Batch files read back: as the body of a request, or a timed one cut into pieces. Blocking; runs in a spool thread."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from bridge.batching.encoding import JSON, escaped, from_json_line
from bridge.spool.batch import Batch, Piece
from bridge.spool.pack import Pack

CHUNK = 1 << 16
"Bytes of a timed batch that are taken apart at once."
SAMPLE = 1000
"Events of a timed batch, about, that tell whether its events share their times: then they are gathered by these."


class Damaged(Exception):
    """A batch file does not hold what its name says."""

    def __init__(self, batch: Batch, what: str) -> None:
        super().__init__(f"{batch.path}: {what}")
        self.batch = batch


class Missing(Damaged):
    """A batch file is not there at all."""


def _missing(batch: Batch) -> Missing:
    return Missing(batch, "the file is gone, though nobody of ours has removed it")


def begin_all(batches: Iterable[Batch]) -> None:
    """Mark batches, on disk, as ones that may have been accepted; those of one pack together.

    Raises Missing, OSError.
    """
    loose, packed = by_pack(batches)
    for batch in loose:
        begin_sending(batch)
    for pack, members in packed.items():
        pack.begin(members)


def by_pack(batches: Iterable[Batch]) -> tuple[list[Batch], dict[Pack, list[Batch]]]:
    """The batches that have files of their own, and the others by their pack."""
    loose: list[Batch] = []
    packed: dict[Pack, list[Batch]] = {}
    for batch in batches:
        if batch.pack is None:
            loose.append(batch)
        else:
            packed.setdefault(batch.pack, []).append(batch)
    return loose, packed


def begin_sending(batch: Batch) -> None:
    """Mark a batch's own file as one that may have been accepted. Raises Missing, OSError."""
    if not batch.sending:
        source = batch.path
        batch.sending = True
        try:
            source.rename(batch.path)
        except FileNotFoundError:
            batch.sending = False
            raise _missing(batch) from None
        except OSError:
            batch.sending = False
            raise


def content(batch: Batch) -> bytes:
    """The bytes of a batch file, one event a line. Raises Damaged, OSError."""
    return b"".join(_contents(batch))


def _contents(batch: Batch, *, counted: bool = True) -> Sequence[bytes]:
    """The same in the pieces that it is in. ``counted``: its lines are counted here, and held against its name."""
    if batch.held is not None:
        return (batch.held,)
    if fresh := batch.fresh:
        batch.fresh = None
        return fresh
    return (_of_file(batch, counted=counted),)


def _of_file(batch: Batch, *, counted: bool) -> bytes:
    try:
        data = batch.path.read_bytes()
    except FileNotFoundError:
        raise _missing(batch) from None
    if len(data) != batch.size:
        raise Damaged(batch, f"{len(data)} bytes, its name says {batch.size}")
    # A power cut may leave a file its length without its contents. No event holds a NUL: both encodings escape it.
    # To delete the LFs is much quicker than to count them.
    if b"\0" in data or (counted and len(data) - len(data.replace(b"\n", b"")) != batch.count):
        raise _other_lines(batch)
    return data


def _other_lines(batch: Batch) -> Damaged:
    return Damaged(batch, f"its bytes are not the {batch.count} lines that its name says")


def as_plain(pieces: Iterable[Piece]) -> bytes:
    """Pieces as the lines of ``/plain/batch``: one event a line, no LF behind the last. Raises Damaged, OSError."""
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
    """A piece's events as lines of its batch's encoding, without LF, and the time of each where they differ.

    Those of a timed batch are in the order of their times; events of one time keep the order of reception. Raises
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
        # Now, while the batch is in one piece: later its parts are on different ways.
        try:
            for line in lines:
                from_json_line(line)
        except ValueError as error:
            raise Damaged(batch, str(error)) from None
    return lines, times


def _by_time(batch: Batch, data: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    """The events of a timed batch in the order of their times, and these. Raises Damaged."""
    texts: list[bytes] = []
    events: list[bytes] = []
    count = 0
    for lines in chain.from_iterable(map(_chunks, data)):
        parts = lines.replace(b"\n", b"\t").split(b"\t")
        count += len(parts) - 1
        texts += parts[:-1:2]
        events += parts[1::2]
    if count != 2 * batch.count:
        # An event holds a TAB, or the file is damaged.
        rows = [line.partition(b"\t") for line in b"".join(data).split(b"\n")[:-1]]
        if len(rows) != batch.count:
            raise _other_lines(batch)
        texts, events = [text for text, _, _ in rows], [event for _, _, event in rows]
    some = texts[:: len(texts) // SAMPLE + 1]
    try:
        if len(set(some)) * 10 <= len(some) * 9:
            return _by_few_times(texts, events)
        times = list(map(int, texts))
    except ValueError:
        raise Damaged(batch, "a line without a time") from None
    order = sorted(range(len(times)), key=times.__getitem__)
    return list(map(events.__getitem__, order)), list(map(times.__getitem__, order))


def _chunks(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as stay near the processor together with what is made of them."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + CHUNK) + 1 or len(data)
        yield data[start:end]
        start = end


def _by_few_times(texts: list[bytes], events: list[bytes]) -> tuple[list[bytes], list[int]]:
    """The same, of events that share their times; as of clocks that tell seconds. Raises ValueError."""
    by_text: defaultdict[bytes, list[bytes]] = defaultdict(list)
    # A loop of the interpreter's own: a line of Python for each event takes twice as long.
    deque(map(list.append, map(by_text.__getitem__, texts), events), 0)
    ordered: list[bytes] = []
    times: list[int] = []
    for ms, together in sorted(zip(map(int, by_text), by_text.values(), strict=True), key=itemgetter(0)):
        ordered += together
        times += [ms] * len(together)
    return ordered, times


def cut(piece: Piece, width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
    """A piece as several, in order of time, so that the events of one lie within the other bounds and, where their
    times differ, in one window of ``width_ms``, aligned to it.

    Raises Damaged, OSError.
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
            # About as many as fit; the rest is cut next.
            end = start + max(1, min(end - start - 1, (end - start) * max_bytes // part.size))
            part = part_of(piece, lines, times, slice(start, end))
        pieces.append(part)
        start = end
    return pieces


def cut_together(pieces: Sequence[Piece], width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
    """The same of several pieces. Ranges of timed ones stand by their windows, so that what any of them has of one
    window may leave in one request: of clocks at random each batch has a little of every window.

    Raises Damaged, OSError.
    """
    first = min(piece.order[0] for piece in pieces)
    parts: list[Piece] = []
    for piece in pieces:
        for part in cut(piece, width_ms, max_events, max_bytes):
            if part.times is not None:
                part.place = (first, part.earliest // width_ms * width_ms, piece.batch.sequence, part.start)
            parts.append(part)
    return parts


def part_of(piece: Piece, lines: Sequence[bytes], times: Sequence[int] | None, part: slice) -> Piece:
    """Some neighbours of a piece's rows, in their order, as a piece of their own, held in memory."""
    own = lines[part]
    data = b"\n".join((*own, b""))
    moments = None if times is None else times[part]
    return Piece(
        piece.batch, moments[0] if moments else piece.earliest, moments[-1] if moments else piece.latest, len(own),
        len(data), data, start=piece.start + (part.start or 0), doubtful=piece.doubtful, suspected=piece.suspected,
        times=moments,
    )  # fmt: skip


def timed_lines(data: bytes, ms: int) -> bytes:
    """Lines with the time of their group before each."""
    before = b"%d\t" % ms
    return before + data[:-1].replace(b"\n", b"\n" + before) + b"\n"


def remove(batches: Iterable[Batch], on_error: Callable[[Batch, OSError], None]) -> None:
    """Unlink the files of settled batches, and record those that are settled in packs."""
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
