"""Pieces made smaller: ranges of a batch's events, held in memory. Blocking reads; runs in a spool thread."""

from bridge.spool import Piece, reading


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
    lines = reading.lines_of(piece)
    middle = len(lines) // 2
    return [_range(piece, lines[:middle], 0)], [_range(piece, lines[middle:], middle)]


def _range(piece: Piece, lines: list[bytes], start: int) -> Piece:
    data = b"\n".join((*lines, b""))
    return Piece(
        piece.batch, piece.earliest, piece.latest, len(lines), len(data), data, start=piece.start + start,
        doubtful=piece.doubtful, suspected=piece.suspected,
    )  # fmt: skip


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
            lines = reading.lines_of(piece)
            chosen.extend((i, _range(piece, [lines[i - at]], i - at)) for i in wanted)
            rest = [line for i, line in enumerate(lines) if i + at not in positions]
            if rest:
                others.append(_range(piece, rest, 0))
        at += piece.count
    return chosen, others
