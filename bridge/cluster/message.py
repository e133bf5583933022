"""Converts batches to AMQP messages and back. The body holds a batch's lines, the headers hold the facts that its file
name holds in the spool.

=========  ======================================================================================
format     version of this message format
intake     the intake of the events; a message with another intake than its queue's is invalid
batch      name of the node and sequence of the batch there (of a part, also its first line)
sequence   time of reception in microseconds: the order in which batches are sent
time       earliest event time in milliseconds since the epoch
latest     latest event time in milliseconds since the epoch
count      number of events
encoding   lines or json
timed      true: each line begins with its time in milliseconds and a TAB
exact      true: an operator replayed the batch; it is joined only within the timestamp resolution
=========  ======================================================================================

Neither headers nor body contain the intake key. The courier that delivers a batch adds its own.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bridge.spool import Batch, Piece, batch_reader
from bridge.spool.batch_names import ENCODINGS
from bridge.util.errors import BridgeError

FORMAT = 1
"Version of the message format. Increase it when an older reader could misunderstand a message."


MAX_IDENTITY = 200
"Limit of the identity of a batch in characters."
MAX_TIME = 253_402_300_800_000
"Limit of event times, in milliseconds since the epoch: the year 10000."


class ForeignMessage(BridgeError):
    """Raised when a message is not a batch for this queue."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A message to publish. ``identity`` names the batch among those of all nodes."""

    identity: str
    headers: Mapping[str, object]
    body: bytes


@dataclass(slots=True, eq=False)
class TakenBatch(Batch):
    """A batch taken over from a queue. It is in memory until it is acknowledged to the broker."""

    origin: str = ""
    "Identity of the batch among those of all nodes."
    queue: str = ""
    consumer: object = None
    "Consumer that acknowledges or requeues this batch."

    def __post_init__(self) -> None:
        Batch.__post_init__(self)
        # The batch has no file on this disk, so there is nothing to rename to ``.sending``.
        self.sending, self.disk = True, 0

    def end_sending(self) -> None:
        """Does nothing, as there is no file to rename."""

    @property
    def path(self) -> Path:
        """Queue and identity of the batch, in the form of a path, for the operator."""
        return Path(self.queue) / self.origin

    @property
    def identity(self) -> int:
        """Number that is the same on every node that holds this batch. Sequences are unique only within one node."""
        return int.from_bytes(sha256(self.origin.encode()).digest()[:7])


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A message received from a queue."""

    headers: Mapping[str, object]
    body: bytes = field(repr=False)
    redelivered: bool
    delivery_tag: object


def _message(piece: Piece, data: bytes, *, node: str, exact: bool) -> BatchMessage:
    """Returns a piece as a message; ``data`` are its lines."""
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


def _lines(piece: Piece) -> bytes:
    """Returns the lines of a piece in the form of a batch file. Blocking. Raises Damaged, OSError."""
    if piece.lines is None:
        return batch_reader.content(piece.batch)
    if piece.times is None:
        return piece.lines
    rows = piece.lines.split(b"\n")[:-1]
    return b"".join(b"%d\t%b\n" % row for row in zip(piece.times, rows, strict=True))


def read_messages(
    pieces: Sequence[Piece], *, node: str, exact: Callable[[int], bool]
) -> tuple[list[tuple[Piece, BatchMessage]], list[tuple[Piece, Exception]]]:
    """Returns the messages of some pieces after marking their batches as ``.sending``, and the pieces that cannot be
    read or marked. Blocking."""
    messages: list[tuple[Piece, BatchMessage]] = []
    failed: list[tuple[Piece, Exception]] = []
    for piece in pieces:
        try:
            data = _lines(piece)
        except (batch_reader.Damaged, OSError) as error:
            failed.append((piece, error))
        else:
            messages.append((piece, _message(piece, data, node=node, exact=exact(piece.batch.sequence))))

    def mark(marked: list[tuple[Piece, BatchMessage]]) -> list[tuple[Piece, BatchMessage]]:
        # Together, as the batches of one pack are one file. If that fails, one by one.
        batches = [piece.batch for piece, _ in marked]
        try:
            batch_reader.begin_all(batches)
        except (batch_reader.Damaged, OSError) as error:
            if len(marked) != 1:
                return [one for message in marked for one in mark([message])]
            failed.append((marked[0][0], error))
            return []
        return marked

    return mark(messages), failed


def batch_from_message(
    received: ReceivedBatch, *, intake: str, queue: str, consumer: object, requeued: Container[str],
    seconds: tuple[float, float],
) -> TakenBatch:  # fmt: skip
    """Returns the batch of a message for its consumer. ``requeued`` are identities of batches that this node returned
    without delivering them. ``seconds`` are the monotonic time and the wall time. Raises ForeignMessage."""
    headers, body = received.headers, received.body
    if headers.get("format") != FORMAT:
        found = str(headers.get("format"))[:20]
        raise ForeignMessage(f"message format {found!r} is not {FORMAT}", "Update this node.")
    if headers.get("intake") != intake:
        raise ForeignMessage('the header "intake" names another intake')
    sequence, earliest, latest, count = (headers.get(name) for name in ("sequence", "time", "latest", "count"))
    encoding, origin = headers.get("encoding"), headers.get("batch")
    if not (
        isinstance(sequence, int) and isinstance(earliest, int) and isinstance(latest, int) and isinstance(count, int)
        and isinstance(encoding, str) and encoding in ENCODINGS and isinstance(origin, str)
        and len(origin) <= MAX_IDENTITY and 0 <= earliest <= latest < MAX_TIME and 0 <= sequence < MAX_TIME * 1000
    ):  # fmt: skip
        raise ForeignMessage("headers of a batch are missing or have a wrong type")
    if count < 1 or b"\0" in body or len(body) - len(body.replace(b"\n", b"")) != count or body[-1:] != b"\n":
        raise ForeignMessage(f'the body is not {count} lines, as the header "count" says')
    now, wall = seconds
    return TakenBatch(
        intake=intake, sequence=sequence, encoding=encoding, timed=headers.get("timed") is True, earliest=earliest,
        latest=latest, count=count, size=len(body), directory=Path(queue),
        # Its age counts from its reception, so that after an outage live events are sent first here too.
        sealed=now - max(0.0, wall - sequence / 1_000_000),
        doubtful=received.redelivered and origin not in requeued, held=body, origin=origin, queue=queue,
        consumer=consumer,
    )  # fmt: skip
