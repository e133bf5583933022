"""Pieces made smaller: ranges of a batch's events, held in memory. Blocking reads; runs in a spool thread."""

from bridge.spool import Piece, batch_reader


def halves(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """What one request carried, as two: between batches where there are several, else in the middle of the events.

    ``pieces`` hold at least two events. Raises Damaged, OSError.
    """
    if len(pieces) > 1:
        # Where the halves hold equally many events, as near as whole batches allow.
        total, at, seen = sum(piece.count for piece in pieces), 1, pieces[0].count
        while at < len(pieces) - 1 and seen + pieces[at].count <= total // 2:
            seen += pieces[at].count
            at += 1
        return pieces[:at], pieces[at:]
    (piece,) = pieces
    lines, times = batch_reader.rows_of(piece)
    middle = len(lines) // 2
    parts = (slice(0, middle), slice(middle, len(lines)))
    first, second = ([batch_reader.part_of(piece, lines, times, part)] for part in parts)
    return first, second


def single_out(pieces: list[Piece], positions: set[int]) -> tuple[list[tuple[int, Piece]], list[Piece]]:
    """The events at some positions of a request, each as a piece of its own with its position, and all others.

    Raises Damaged, OSError.
    """
    chosen: list[tuple[int, Piece]] = []
    others: list[Piece] = []
    at = 0
    for piece in pieces:
        wanted = [i for i in range(at, at + piece.count) if i in positions]
        if not wanted:
            others.append(piece)
        else:
            lines, times = batch_reader.rows_of(piece)
            chosen.extend((i, batch_reader.part_of(piece, lines, times, slice(i - at, i - at + 1))) for i in wanted)
            kept = [row for row in range(len(lines)) if row + at not in positions]
            if kept:
                rest = None if times is None else [times[row] for row in kept]
                others.append(batch_reader.part_of(piece, [lines[row] for row in kept], rest, slice(0, len(kept))))
        at += piece.count
    return chosen, others
