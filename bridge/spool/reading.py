"""Batch files read back: as the body of a request, or a timed one cut into pieces. Blocking; runs in a spool thread."""

from collections.abc import Callable, Iterable

from bridge.batching.encoding import JSON, escaped, from_json_line
from bridge.spool.batch import Batch, Piece
from bridge.spool.packs import Pack


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
    if batch.held is not None:
        return batch.held
    if fresh := batch.fresh:
        batch.fresh = None
        return b"".join(fresh)
    try:
        data = batch.path.read_bytes()
    except FileNotFoundError:
        raise _missing(batch) from None
    if len(data) != batch.size:
        raise Damaged(batch, f"{len(data)} bytes, its name says {batch.size}")
    # A power cut may leave a file its length without its contents. No event holds a NUL: both encodings escape it.
    # To delete the LFs is much quicker than to count them.
    if b"\0" in data or len(data) - len(data.replace(b"\n", b"")) != batch.count:
        raise Damaged(batch, f"its bytes are not the {batch.count} lines that its name says")
    return data


def as_plain(piece: Piece) -> bytes:
    """A piece as lines for ``/plain/batch``: one event a line, each ended by an LF. Raises Damaged, OSError."""
    data = content(piece.batch) if piece.lines is None else piece.lines
    if piece.batch.encoding == JSON:
        try:
            return b"".join(escaped(from_json_line(line)) + b"\n" for line in data.split(b"\n")[:-1])
        except ValueError as error:
            raise Damaged(piece.batch, str(error)) from None
    return data


def lines_of(piece: Piece) -> list[bytes]:
    """A piece's events as lines of its batch's encoding, without LF. Raises Damaged, OSError."""
    data = content(piece.batch) if piece.lines is None else piece.lines
    lines = data.split(b"\n")[:-1]
    if piece.batch.encoding == JSON and piece.lines is None:
        # Now, while the batch is in one piece: later its parts are on different ways.
        as_plain(piece)
    return lines


def cut_by_time(batch: Batch, width_ms: int, max_events: int, max_bytes: int) -> list[Piece]:
    """The events of a timed batch, sorted by time and cut so that those of one piece lie within ``width_ms``.

    Events that were received in one order keep it within a time. Raises Damaged, OSError.
    """
    rows: list[tuple[int, bytes]] = []
    for line in content(batch).split(b"\n")[:-1]:
        time, _, event = line.partition(b"\t")
        try:
            rows.append((int(time), event))
        except ValueError:
            raise Damaged(batch, "a line without a time") from None
        if batch.encoding == JSON:
            # Now, while the batch is one: its pieces will be in several requests.
            try:
                from_json_line(event)
            except ValueError as error:
                raise Damaged(batch, str(error)) from None
    rows.sort(key=lambda row: row[0])
    pieces: list[Piece] = []
    part: list[bytes] = []
    start = size = earliest = latest = 0

    def finish() -> None:
        nonlocal start
        if part:
            pieces.append(Piece(batch, earliest, latest, len(part), size, b"\n".join((*part, b"")), start))
            start += len(part)

    for ms, event in rows:
        if not part or ms - earliest >= width_ms or len(part) >= max_events or size + len(event) >= max_bytes:
            finish()
            part, size, earliest = [], 0, ms
        part.append(event)
        size += len(event) + 1
        latest = ms
    finish()
    return pieces


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
