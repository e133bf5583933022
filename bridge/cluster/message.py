"""A batch as a message, and back: its lines are the body, what its file's name says is in the headers.

=========  ===========================================================================
intake     whose events; the queue's intake, or the message is not ours
batch      the node's name and the batch's sequence there (and first line, of a part)
sequence   time of reception in microseconds: the order in which batches leave
time       earliest event time, latest, in milliseconds since the epoch
latest
count      events
encoding   lines or json
timed      true: each line begins with its time in milliseconds and a TAB
exact      true: an operator brought it back; its times stay as exact as they are
=========  ===========================================================================

The key is in none of them, nor in the body: the courier that delivers adds its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bridge.spool import Batch, Piece, batch_reader
from bridge.spool.batch_names import ENCODINGS

FORMAT = 1
"Raised when a reader of before could misunderstand a message."


class ForeignMessage(Exception):
    """A message that no bridge has written for this queue; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """What is published: ``identity`` names the batch among those of all nodes."""

    identity: str
    headers: Mapping[str, object]
    body: bytes


@dataclass(slots=True, eq=False)
class TakenBatch(Batch):
    """A batch that was taken over: in memory, until its acknowledgement goes to the broker."""

    origin: str = ""
    "Its identity."
    queue: str = ""
    lease: object = None
    "What acknowledges it, or gives it back."

    @property
    def path(self) -> Path:
        """Where an operator finds it, while it waits."""
        return Path(self.queue) / self.origin

    @property
    def identity(self) -> int:
        """The same on every node that ever holds this batch; sequences are one node's own."""
        return int.from_bytes(sha256(self.origin.encode()).digest()[:7])


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """What came out of a queue."""

    headers: Mapping[str, object]
    body: bytes = field(repr=False)
    redelivered: bool
    lease: object


def letter_of(piece: Piece, data: bytes, *, node: str, exact: bool) -> BatchMessage:
    """A piece as a message; ``data`` is what ``lines_of`` gave."""
    batch = piece.batch
    identity = f"{node}-{batch.sequence}" + (f"-{piece.start}" if piece.start else "")
    headers: dict[str, object] = {
        "format": FORMAT,
        "intake": batch.intake,
        "batch": identity,
        "sequence": batch.sequence,
        "time": piece.earliest,
        "latest": piece.latest,
        "count": piece.count,
        "encoding": batch.encoding,
        "timed": piece.times is not None or (piece.lines is None and batch.timed),
    }
    if exact:
        headers["exact"] = True
    return BatchMessage(identity, headers, data)


def lines_of(piece: Piece) -> bytes:
    """The lines of a piece as its batch's file would have them. Blocking. Raises Damaged, OSError."""
    if piece.lines is None:
        return batch_reader.content(piece.batch)
    if piece.times is None:
        return piece.lines
    rows = piece.lines.split(b"\n")[:-1]
    return b"".join(b"%d\t%b\n" % row for row in zip(piece.times, rows, strict=True))


def batch_of(received: ReceivedBatch, *, intake: str, queue: str, sealed: float) -> TakenBatch:
    """The batch of a message. ``sealed`` is in monotonic seconds of this node. Raises NotOurs."""
    headers, body = received.headers, received.body
    if headers.get("format") != FORMAT:
        raise ForeignMessage(f"its format is {headers.get('format')!r}, we know {FORMAT}: update this node?")
    if headers.get("intake") != intake:
        raise ForeignMessage("its events are another intake's")
    sequence, earliest, latest, count = (headers.get(name) for name in ("sequence", "time", "latest", "count"))
    encoding, origin = headers.get("encoding"), headers.get("batch")
    numbers = all(isinstance(each, int) for each in (sequence, earliest, latest, count))
    if not numbers or encoding not in ENCODINGS or not isinstance(origin, str):
        raise ForeignMessage("its headers are not those of a batch")
    assert isinstance(sequence, int) and isinstance(earliest, int)
    assert isinstance(latest, int) and isinstance(count, int) and isinstance(encoding, str)
    if count < 1 or b"\0" in body or len(body) - len(body.replace(b"\n", b"")) != count or body[-1:] != b"\n":
        raise ForeignMessage(f"its body is not the {count} lines that its headers say")
    made = TakenBatch(
        intake=intake, sequence=sequence, encoding=encoding, timed=headers.get("timed") is True, earliest=earliest,
        latest=latest, count=count, size=len(body), directory=Path(queue), sealed=sealed,
        doubtful=received.redelivered, held=body, origin=origin, queue=queue, lease=received.lease,
    )  # fmt: skip
    # Nobody looks for its file: there is none to be renamed, and none on this disk.
    made.sending, made.disk = True, 0
    return made
