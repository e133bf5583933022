"""Hands one intake's sealed batches over to its queue, from the spool where they wait.

=========  ====================================================================================
idle       nothing waits
giving     letters go, up to ``MOST_LETTERS`` or ``MOST_BYTES`` without a confirm
waiting    the queue is full, or cannot be reached: after a wait that doubles, one letter goes
=========  ====================================================================================

A queue that refuses one letter may refuse all others of the same channel, for ever: RabbitMQ (3.10 at least) does so
where a channel's first letter met an election of the leader. So after a refusal the next goes on a new channel.

A batch leaves the spool when it is confirmed, in the turn in which the confirm is read; its file goes later, in the
spool's thread. One that was published on a channel that is lost waits again where it stood, and counts as possibly
double, as its file's name says from before the publishing (``.sending``), so that a restart counts it too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.accounting import Ledger
from bridge.cluster.broker import (
    BrokerError,
    Channel,
    QueueFull,
    QueueMismatch,
    QueueMissing,
    QueueTerms,
)
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.message import BatchMessage, letter_of, lines_of
from bridge.deliver.backoff import doubling
from bridge.deliver.context import OutcomeStore
from bridge.deliver.courier import Courier
from bridge.spool import Batch, Piece, batch_reader
from bridge.util.alarms import AlarmSink

MOST_LETTERS = 64
MOST_BYTES = 8 << 20
"Published and not confirmed, of one intake."
MOST_OUT = 32 << 20
"The same of all intakes, in bytes: it is in memory."
AT_A_TIME = 16
"Batches that are read together in the spool's thread."
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"Seconds between two attempts."
CONFIRM_WITHIN = 30.0
"Seconds after which a broker that has said nothing is given up."

log = Logger(namespace="fleet")


class Outbox:
    """What all givers of a node have published and is not confirmed. Who finds no room is woken when there is some."""

    def __init__(self) -> None:
        self.bytes = 0
        self._waiting: dict[Publisher, None] = {}

    def has_room(self, publisher: "Publisher") -> bool:
        """Whether a giver may take one more batch; else it is woken when it may."""
        if self.bytes >= MOST_OUT:
            self._waiting.setdefault(publisher)
            return False
        self._waiting.pop(publisher, None)
        return True

    def less(self, size: int) -> None:
        """So much is confirmed, or back."""
        self.bytes -= size

    def wake_next(self) -> None:
        """There may be room."""
        if self._waiting and self.bytes < MOST_OUT:
            publisher = next(iter(self._waiting))
            del self._waiting[publisher]
            publisher.wake()


@dataclass(frozen=True, slots=True)
class PublisherContext:
    """What all givers of a node share. ``in_thread`` runs a job in the spool's thread."""

    node: str
    clock: IReactorTime
    link: BrokerConnection
    terms: QueueTerms
    queue_of: Callable[[str], str]
    store: OutcomeStore
    ledger: Ledger
    alarms: AlarmSink
    in_thread: Callable[[Callable[[], Any]], "defer.Deferred[Any]"]
    outbox: Outbox
    before_sending: Callable[[list[Batch]], None] = lambda batches: None
    exact: Callable[[int], bool] = lambda sequence: False


class Publisher:
    """One intake's. ``courier`` is the one that has its batches, and lends them."""

    def __init__(self, courier: Courier, context: PublisherContext) -> None:
        self.trouble: str | None = None
        "Why it waits; None: it does not."
        self.full = False
        self._courier = courier
        self._context = context
        self._queue = context.queue_of(courier.name)
        self._channel: Channel | None = None
        self._opening = False
        self._out: dict[Piece, float] = {}
        "Lent, with the time of their publishing; infinite: not published yet."
        self._bytes = 0
        self._arrived: list[tuple[Piece, list[Batch]]] = []
        "Confirmed, and not yet gone from the disk: with the batches that are settled whole by each."
        self._stale = False
        "This channel has refused a letter: another is to be opened."
        self._proven = False
        "Whether this channel has confirmed anything."
        self._failures = 0
        self._retry: IDelayedCall | None = None
        self._stopped = False

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Batches that are not confirmed."""
        return len(self._out)

    @property
    def stuck(self) -> bool:
        """Whether nothing can be handed over now."""
        return self._failures > 0 or self._context.link.state != "up"

    @property
    def why(self) -> str | None:
        """Why nothing can be handed over now; None: it can."""
        return self.trouble or (None if self._context.link.state == "up" else self._context.link.words)

    @property
    def away_for(self) -> float:
        """Seconds for which nothing of this intake could be handed over, though no queue is full; 0: it can."""
        away = self._context.link.away_for
        now = self._context.clock.seconds()
        return max([away, *(now - since for since in self._out.values() if since < now)])

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        if self._retry is None:
            return None
        return max(0.0, round(self._retry.getTime() - self._context.clock.seconds(), 1))

    # --- what it is told ---------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may be publishable."""
        if self._stopped or self._retry is not None or self._context.link.state != "up" or not self._courier.lends:
            return
        if self._stale and self._channel is not None:
            if any(since < float("inf") for since in self._out.values()):
                # What is published on it may still be confirmed.
                return
            self._channel.close()
            self._channel = None
        if self._channel is None or not self._channel.open:
            self._open()
            return
        # One letter only, after a failure, and on a session that has confirmed nothing yet.
        most = MOST_LETTERS if self._proven and not self._failures else 1
        taken: list[Piece] = []
        outbox = self._context.outbox
        while len(self._out) < most and self._bytes < MOST_BYTES and len(taken) < AT_A_TIME and outbox.has_room(self):
            piece = self._courier.lend()
            if piece is None:
                break
            self._out[piece] = float("inf")
            self._bytes += piece.size
            outbox.bytes += piece.size
            taken.append(piece)
        if taken:
            defer.ensureDeferred(self._give(taken, self._channel)).addErrback(self._defect, taken)

    def look(self) -> None:
        """Called several times a second."""
        now = self._context.clock.seconds()
        if any(now - since > CONFIRM_WITHIN for since in self._out.values()):
            self._context.link.abort(f"it has confirmed nothing of queue {self._queue} for {CONFIRM_WITHIN:g} s")
        else:
            self.wake()

    def came_up(self) -> None:
        """There is another session."""
        self._channel = None
        self._again()
        self.wake()

    def stop(self) -> None:
        """Publish no more; what has no confirm stays in the spool."""
        self._stopped = True
        self._again()
        self._let_go()
        if self._channel is not None:
            self._channel.close()

    # --- the queue ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if not self._opening:
            self._opening = True

            def ended(result: object) -> None:
                self._opening = False

            opened = defer.ensureDeferred(self._prepare()).addBoth(ended)
            opened.addErrback(lambda failure: log.failure("defect while opening a queue", failure))
            opened.addCallback(lambda nothing: self.wake() if self._channel is not None else None)

    async def _prepare(self) -> None:
        """A channel, and the queue."""
        link, alarms, name = self._context.link, self._context.alarms, self._courier.name
        try:
            channel = await link.channel()
            try:
                await channel.declare(self._queue, self._context.terms)
                alarms.off("fleet", f"queue {name}", f"queue {self._queue} is as this node would make it")
            except QueueMismatch as error:
                alarms.on(
                    "fleet", f"queue {name}",
                    f"queue {self._queue} is there, but not as this node would make it ({error}); it is used as it is",
                )  # fmt: skip
                channel = await link.channel()
                await channel.look(self._queue)
        except BrokerError as error:
            self._fail(str(error))
            return
        self._channel, self._proven, self._stale = channel, False, False

    # --- the batches -------------------------------------------------------------------------------------------------

    async def _give(self, pieces: list[Piece], channel: Channel) -> None:
        letters = await self._read(pieces)
        for piece, letter in letters:
            if not channel.open or self._stopped:
                self._back([piece])
                continue
            self._out[piece] = self._context.clock.seconds()
            sent = channel.publish(self._queue, letter)
            sent.addCallbacks(self._confirmed, self._failed, callbackArgs=(piece,), errbackArgs=(piece,))
            sent.addErrback(self._defect, [piece])

    async def _read(self, pieces: list[Piece]) -> list[tuple[Piece, BatchMessage]]:
        """The letters of some pieces, whose batches are marked as begun; what cannot be read is dealt with."""
        context = self._context

        def read() -> tuple[list[tuple[Piece, BatchMessage]], list[tuple[Piece, Exception]]]:
            letters: list[tuple[Piece, BatchMessage]] = []
            wrong: list[tuple[Piece, Exception]] = []
            for piece in pieces:
                try:
                    data = lines_of(piece)
                except (batch_reader.Damaged, OSError) as error:
                    wrong.append((piece, error))
                    continue
                letters.append(
                    (
                        piece,
                        letter_of(piece, data, node=context.node, exact=context.exact(piece.batch.sequence)),
                    )
                )
            return _begun(letters, wrong, context.before_sending), wrong

        letters: list[tuple[Piece, BatchMessage]]
        letters, wrong = await context.in_thread(read)
        for piece, error in wrong:
            self._forget(piece)
            self._courier.cannot_lend(piece, error)
            if not isinstance(error, batch_reader.Damaged):
                self._fail(f"cannot read the spool: {error}")
        return letters

    def _confirmed(self, nothing: None, piece: Piece) -> None:
        if piece not in self._out:
            return
        self._forget(piece)
        self._proven = True
        self._context.ledger.hand_over(self._courier.name, piece.count)
        if not self._arrived:
            # Of those that are confirmed together, the files go together.
            self._context.clock.callLater(0, self._let_go)
        self._arrived.append((piece, self._courier.settle_lent(piece)))
        if self._failures:
            self._failures = 0
            self.trouble = None
            if self.full:
                self.full = False
                text = f"queue {self._queue} takes batches again"
                self._context.alarms.off("fleet", f"full {self._courier.name}", text)
        self._context.outbox.wake_next()
        self.wake()

    def _let_go(self) -> None:
        """Write down what was confirmed, then let its files go."""
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        handed = [(piece.batch.sequence, piece.count, piece.batch.count) for piece, _ in arrived]
        self._context.store.hand_over(self._courier.name, handed, [batch for _, whole in arrived for batch in whole])

    def _failed(self, failure: Failure, piece: Piece) -> None:
        error = failure.value
        if not isinstance(error, BrokerError):
            failure.raiseException()
        if isinstance(error, QueueFull):
            self.full = self._stale = True
            text = f"queue {self._queue} is full: batches of intake {self._courier.name} wait in this node's spool"
            self._context.alarms.on("fleet", f"full {self._courier.name}", text)
        elif isinstance(error, QueueMissing):
            # Somebody has deleted it: it is made again.
            if self._channel is not None:
                self._channel.close()
            self._channel = None
        elif not piece.doubtful:
            piece.doubtful = True
            self._context.ledger.may_be_double(self._courier.name, piece.count)
        self._back([piece])
        self._fail(str(error))

    def _back(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._forget(piece)
        self._courier.take_back(pieces)

    def _forget(self, piece: Piece) -> None:
        if self._out.pop(piece, None) is not None:
            self._bytes -= piece.size
            self._context.outbox.less(piece.size)

    # --- trouble -----------------------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        self.trouble = why
        if self._retry is not None or self._stopped:
            # Letters that were in flight together fail together: one failure.
            return
        self._failures += 1
        wait = doubling(self._failures, first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._retry = self._context.clock.callLater(wait, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.wake()

    def _again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _defect(self, failure: Failure, pieces: list[Piece]) -> None:
        """A defect of ours must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while handing over", failure, intake=self._courier.name)
        self._back([piece for piece in pieces if piece in self._out])
        self._fail(f"defect: {failure.value!r}")


def _begun(
    letters: list[tuple[Piece, BatchMessage]],
    wrong: list[tuple[Piece, Exception]],
    before_sending: Callable[[list[Batch]], None],
) -> list[tuple[Piece, BatchMessage]]:
    """Those whose batches are marked, on disk, as ones that may have been taken; together, as those of one pack are one
    file. In the spool's thread; what cannot be marked goes to ``wrong``."""
    batches = [piece.batch for piece, _ in letters]
    try:
        before_sending(batches)
        batch_reader.begin_all(batches)
    except (batch_reader.Damaged, OSError) as error:
        if len(letters) == 1:
            wrong.append((letters[0][0], error))
            return []
        return [each for letter in letters for each in _begun([letter], wrong, before_sending)]
    return letters
