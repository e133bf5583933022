"""Publishes one intake's sealed batches from the spool to the intake's queue.

==========  =============================================================================================
idle        no batch waits
publishing  up to ``MAX_BATCHES`` or ``MAX_BYTES`` are published without a confirm
waiting     the queue is full or cannot be reached: one batch is published after a wait that doubles
==========  =============================================================================================

A queue that has rejected one message may reject all later messages of the same channel. RabbitMQ (3.10 at least) does
so if the first message of a channel arrives during a leader election. So the publisher opens a new channel after each
rejection.

A batch leaves the spool's ledger in the reactor turn in which its confirm is read. Its file is deleted later, in the
spool thread. A batch whose channel is lost before the confirm waits again at its old place, and its events count as
possible duplicates. Its file is named ``.sending`` from before it is published until then, so that a restart counts
them if no confirm or loss was seen.
"""

from collections.abc import Callable

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.cluster.broker import BrokerError, Channel, QueueFull, QueueMissing
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.message import read_messages
from bridge.cluster.single_job import SingleJob
from bridge.cluster.terms import ClusterTerms
from bridge.deliver.backoff import doubling
from bridge.deliver.context import DeliveryContext
from bridge.deliver.courier import Courier
from bridge.spool import Batch, Piece, batch_reader
from bridge.util.os_errors import described

MAX_BATCHES = 64
MAX_BYTES = 8 << 20
"Limits of the batches of one intake that are published and not confirmed."
MAX_NODE_BYTES = 32 << 20
"Limit of the unconfirmed bytes of all intakes. They are in memory."
MAX_READ_BATCHES = 16
"Batches that one job of the spool thread reads."
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"Seconds between two attempts after a failure: the first wait, and the longest."
CONFIRM_TIMEOUT = 30.0
"Seconds without a confirm after which the connection to the broker is closed."

log = Logger(namespace="fleet")


class Outbox:
    """Counts the unconfirmed bytes of all publishers of a node, and wakes publishers that wait for room."""

    def __init__(self) -> None:
        self.bytes = 0
        self._waiting: dict[Publisher, None] = {}

    def has_room(self, publisher: "Publisher") -> bool:
        """Returns True if a publisher may publish one more batch. Otherwise it is woken when it may."""
        if self.bytes >= MAX_NODE_BYTES:
            self._waiting.setdefault(publisher)
            return False
        self._waiting.pop(publisher, None)
        return True

    def add(self, size: int) -> None:
        """Adds the bytes of a batch that is about to be published."""
        self.bytes += size

    def release(self, size: int) -> None:
        """Subtracts the bytes of a batch that is confirmed or back in the spool."""
        self.bytes -= size

    def wake_next(self) -> None:
        """Wakes the publisher that has waited longest, if there is room."""
        if self._waiting and self.bytes < MAX_NODE_BYTES:
            publisher = next(iter(self._waiting))
            del self._waiting[publisher]
            publisher.wake()


class Publisher:
    """Publishes the batches of one intake. ``courier`` owns the batches and lends them to this publisher. ``on_change``
    is called when a batch was confirmed or returned, or when there may be no batch left to publish."""

    def __init__(
        self, courier: Courier, context: DeliveryContext, terms: ClusterTerms, *,
        connection: BrokerConnection, outbox: Outbox, on_change: Callable[[], None],
    ) -> None:  # fmt: skip
        self.last_error: str | None = None
        "Error of the last attempt; None after a confirm."
        self.full = False
        "True while the queue rejects batches because it is full."
        self._courier = courier
        self._context = context
        self._connection = connection
        self._outbox = outbox
        self._on_change = on_change
        self._node = terms.node
        self._queue = terms.queue_of(courier.name)
        self._max_bytes = terms.max_bytes
        self._channel: Channel | None = None
        self._opening = SingleJob("opening a queue")
        self._lent: dict[Piece, float] = {}
        "Pieces lent by the courier, with the time of their publishing; infinite: not published yet."
        self._lent_bytes = 0
        self._confirmed_pieces: list[tuple[Piece, list[Batch]]] = []
        "Confirmed pieces whose files are still on disk, each with the batches that it completes."
        self._must_reopen = False
        "True if the channel has rejected a message, so that a new one must be opened."
        self._has_confirmed = False
        "True if the channel has confirmed a message."
        self._failures = 0
        self._retry: IDelayedCall | None = None
        self._stopped = False

    # --- status ------------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Number of batches that are not confirmed."""
        return len(self._lent)

    @property
    def stuck(self) -> bool:
        """True if no batch can be published now."""
        return self._failures > 0 or self._connection.state != "up"

    @property
    def unavailable_reason(self) -> str | None:
        """Reason why no batch can be published now; None if batches can be published."""
        return self.last_error or (None if self._connection.state == "up" else self._connection.description)

    @property
    def unavailable_for(self) -> float:
        """Seconds for which the broker has been unavailable, or a batch of this intake has waited for its confirm. A
        full queue does not count."""
        unavailable = self._connection.unavailable_for
        now = self._context.clock.seconds()
        return max([unavailable, *(now - since for since in self._lent.values() if since < now)])

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None if no attempt is scheduled."""
        if self._retry is None:
            return None
        return max(0.0, round(self._retry.getTime() - self._context.clock.seconds(), 1))

    # --- inputs ------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Publishes waiting batches up to the limits. Called whenever there may be something to publish."""
        if self._retry is None and not self._stopped and self._connection.state == "up" and self._courier.can_hand_over:
            self._publish_waiting()
        self._on_change()

    def _publish_waiting(self) -> None:
        if self._must_reopen and self._channel is not None:
            if any(since < float("inf") for since in self._lent.values()):
                # Messages published on the old channel may still be confirmed.
                return
            self._channel.close()
            self._channel = None
        if self._channel is None or not self._channel.open:
            if not self._opening.busy:
                self._opening.start(self._prepare(), lambda: self.wake() if self._channel is not None else None)
            return
        # Only one batch after a failure, and on a channel that has not confirmed anything yet.
        limit = MAX_BATCHES if self._has_confirmed and not self._failures else 1
        pieces: list[Piece] = []
        while len(self._lent) < limit and self._lent_bytes < MAX_BYTES and len(pieces) < MAX_READ_BATCHES:
            if not self._outbox.has_room(self) or (piece := self._courier.take_for_handover()) is None:
                break
            self._lent[piece] = float("inf")
            piece.batch.request_started()
            self._lent_bytes += piece.size
            self._outbox.add(piece.size)
            pieces.append(piece)
        if pieces:
            defer.ensureDeferred(self._publish(pieces, self._channel)).addErrback(self._defect, pieces)

    def look(self) -> None:
        """Publishes waiting batches, and closes a connection without confirms. Called several times a second."""
        now = self._context.clock.seconds()
        if any(now - since > CONFIRM_TIMEOUT for since in self._lent.values()):
            self._connection.abort(f"no confirm for queue {self._queue} within {CONFIRM_TIMEOUT:g} s")
        else:
            self.wake()

    def session_opened(self) -> None:
        """Publishes on a new channel, as the connection has a new session."""
        self._channel = None
        self._cancel_retry()
        self.wake()

    def stop(self) -> None:
        """Stops publishing. Batches without a confirm stay in the spool."""
        self._stopped = True
        self._cancel_retry()
        self._remove_confirmed()
        if self._channel is not None:
            self._channel.close()

    # --- the queue ---------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Opens a channel and declares the queue."""
        try:
            channel, mismatch = await self._connection.open_queue(self._queue, self._max_bytes)
        except BrokerError as error:
            self._fail(str(error))
            return
        alarms, about = self._context.alarms, f"queue {self._courier.name}"
        if mismatch is None:
            alarms.off("fleet", about, f"queue {self._queue} has the arguments that this node declares")
        else:
            text = f"queue {self._queue} has other arguments than this node declares ({mismatch}); it is used as it is"
            alarms.on("fleet", about, text)
        self._channel, self._has_confirmed, self._must_reopen = channel, False, False

    # --- the batches -------------------------------------------------------------------------------------------------

    async def _publish(self, pieces: list[Piece], channel: Channel) -> None:
        context = self._context
        try:
            await context.before_sending([piece.batch for piece in pieces])
        except OSError as unsynced:
            # The broker stores the batches, too.
            context.on_error(
                f"spool: cannot sync files of intake {self._courier.name} before they are published:"
                f" {unsynced.strerror}. They are published nevertheless"
            )
        messages, failed = await context.run(lambda: read_messages(pieces, node=self._node, exact=context.exact))
        for piece, error in failed:
            self._forget(piece)
            self._courier.fail_handover(piece, error)
            if not isinstance(error, batch_reader.Damaged | batch_reader.Unreadable):
                self._fail(f"cannot read the spool: {described(error)}")
        for piece, message in messages:
            if not channel.open or self._stopped:
                self._take_back([piece])
                continue
            self._lent[piece] = self._context.clock.seconds()
            sent = channel.publish(self._queue, message)
            sent.addCallbacks(self._confirmed, self._failed, callbackArgs=(piece,), errbackArgs=(piece,))
            sent.addErrback(self._defect, [piece])
        self._on_change()

    def _confirmed(self, nothing: None, piece: Piece) -> None:
        if piece not in self._lent:
            return
        self._forget(piece)
        self._has_confirmed = True
        self._context.ledger.hand_over(self._courier.name, piece.count)
        if not self._confirmed_pieces:
            # The files of batches that are confirmed together are deleted together.
            self._context.clock.callLater(0, self._remove_confirmed)
        self._confirmed_pieces.append((piece, self._courier.settle_handover(piece)))
        if self._failures:
            self._failures = 0
            self.last_error = None
            if self.full:
                self.full = False
                text = f"queue {self._queue} accepts batches again"
                self._context.alarms.off("fleet", f"full {self._courier.name}", text)
        self._outbox.wake_next()
        self.wake()

    def _remove_confirmed(self) -> None:
        """Records the confirmed batches in the journal, then deletes their files."""
        confirmed, self._confirmed_pieces = self._confirmed_pieces, []
        if not confirmed:
            return
        handed = [(piece.batch.sequence, piece.count, piece.batch.count) for piece, _ in confirmed]
        completed = [batch for _, batches in confirmed for batch in batches]
        self._context.store.hand_over(self._courier.name, handed, completed)

    def _failed(self, failure: Failure, piece: Piece) -> None:
        error = failure.value
        if not isinstance(error, BrokerError):
            failure.raiseException()
        if isinstance(error, QueueFull):
            self.full = self._must_reopen = True
            text = f"queue {self._queue} is full: batches of intake {self._courier.name} wait in this node's spool"
            self._context.alarms.on("fleet", f"full {self._courier.name}", text)
        elif isinstance(error, QueueMissing):
            # The queue was deleted: a new channel declares it again.
            if self._channel is not None:
                self._channel.close()
            self._channel = None
        else:
            self._context.ledger.add_possible_duplicates(self._courier.name, piece.count)
        self._take_back([piece])
        self._fail(str(error))

    def _take_back(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._forget(piece)
        # Possible duplicates are counted by now. A restart must not count them again.
        waiting = [batch for batch in dict.fromkeys(piece.batch for piece in pieces) if batch.all_waits]
        self._context.run(lambda: batch_reader.end_all(waiting))
        self._courier.put_back_handover(pieces)

    def _forget(self, piece: Piece) -> None:
        if self._lent.pop(piece, None) is not None:
            piece.batch.request_ended()
            self._lent_bytes -= piece.size
            self._outbox.release(piece.size)

    # --- failures ----------------------------------------------------------------------------------------------------

    def _fail(self, why: str) -> None:
        self.last_error = why
        # Messages that were in flight together fail together: count one failure.
        if self._retry is None and not self._stopped:
            self._failures += 1
            wait = doubling(self._failures, first=FIRST_WAIT, longest=LONGEST_WAIT)
            self._retry = self._context.clock.callLater(wait, self._try_again)
        self._on_change()

    def _try_again(self) -> None:
        self._retry = None
        self.wake()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _defect(self, failure: Failure, pieces: list[Piece]) -> None:
        """Takes batches back after a defect, so that it neither loses a batch nor stops the intake."""
        log.failure("intake {intake}: defect while publishing to the shared queue", failure, intake=self._courier.name)
        self._take_back([piece for piece in pieces if piece in self._lent])
        self._fail(f"defect: {failure.value!r}")
