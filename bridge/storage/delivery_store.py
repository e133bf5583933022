"""Records the outcomes of deliveries on disk: receipts, quarantine and evidence, then the removal of batch files.

All jobs run in the spool thread, in the order of the calls. So a receipt is on disk before its batch is deleted, and a
refused event is in quarantine before its batch is deleted. If the process dies in between, the batch remains and is
sent again. Its refused events are recognised by (sequence, position). While the quarantine cannot be written, batches
remain, and the writing is tried again every ``TRY_AGAIN`` seconds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bridge.accounting.receipt import Receipt
from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import Batch, Loss, Pack, Piece, batch_reader, pack_writer
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.storage.open import Storage
from bridge.storage.unwritten import Move, Tally, UnwrittenMoves
from bridge.util.alarms import AlarmSink
from bridge.util.jobs import Work

TRY_AGAIN = 10.0
"Seconds between two attempts to write the quarantine."

log = Logger(namespace="spool")


class _Written(NamedTuple):
    """The result of an attempt to write the quarantine."""

    tally: Tally
    failed: OSError | None
    waiting: Counter[str]
    "Events that wait, by intake."
    full: bool
    "No more refused events can wait."

    @classmethod
    def of(cls, unwritten: UnwrittenMoves, tally: Tally) -> "_Written":
        """Returns the state after an attempt."""
        return cls(tally, unwritten.error, unwritten.events.copy(), unwritten.is_full)


class DeliveryStore:
    """Stores the outcomes of the couriers of one spool.

    ``work`` runs a job in the spool thread, then passes its result to a callback on the reactor. ``acknowledge_taken``
    is given for batches that were taken over from the shared queue: it removes settled batches from the queue, while
    others are removed from the spool. It is called in the spool thread.
    """

    def __init__(
        self, storage: Storage, work: Work, *, clock: IReactorTime, alarms: AlarmSink,
        acknowledge_taken: Callable[[list[Batch]], None] | None = None,
    ) -> None:  # fmt: skip
        self._spool, self._ledger, self._journal = storage.spool, storage.ledger, storage.journal
        self._work = work
        self._clock = clock
        self._alarms = alarms
        self._taken = acknowledge_taken is not None
        self._about = "shared" if self._taken else "spool"
        self._unwritten = UnwrittenMoves(acknowledge_taken or storage.spool.remove)
        self._waiting: Counter[str] = Counter()
        "Events by intake that are counted as spooled until the quarantine can be written."
        self._retrying = False
        self._losing = False
        "True if so many refused events wait that further ones are lost."

    @property
    def kept_disk(self) -> Mapping[str, int]:
        """Returns the allocated bytes, by intake, of settled batches that stay until the quarantine can be written."""
        return self._unwritten.kept_disk

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """Records an accepted request and removes the batches that it completes."""

        def settle() -> None:
            if receipt is not None:
                self._journal.receipt(replace(receipt, taken=self._taken))
            self._unwritten.remove(batches)

        self._work(settle, lambda nothing: None)

    def hand_over(self, intake: str, handed: list[tuple[int, int, int]], settled: list[Batch]) -> None:
        """Records events that were published to a shared queue (per batch its sequence, the events published, and all
        its events), and removes the ``settled`` batches."""

        def settle() -> None:
            for sequence, count, batch_events in handed:
                self._journal.handed(intake, sequence, count, batch_events)
            self._unwritten.remove(settled)

        self._work(settle, lambda nothing: None)

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Writes refused events to quarantine, then removes the ``settled`` batches."""
        self._move(
            [Move(piece.batch, 1, partial(self._refuse, intake, piece, why), piece.size) for piece, why in refused],
            settled,
        )

    def _refuse(self, intake: str, piece: Piece, reason: str, tally: Tally) -> None:
        """Writes one refused event to quarantine. Raises OSError."""
        batch = piece.batch
        try:
            event = _event(piece)
        except batch_reader.Damaged as error:
            log.error("quarantine: {why}; a refused event is lost", why=str(error))
            tally[intake, "lost"] += 1
            return
        entry = QuarantineEntry(
            batch.sequence // 1000, "", "", event, reason, intake, key=(batch.identity, piece.start),
            time_ms=piece.earliest,
        )  # fmt: skip
        dropped = self._spool.quarantine.add_once("refused", entry)
        tally[intake, "duplicates"] += dropped is None
        tally[intake, "evicted"] += dropped or 0
        self._journal.refused(intake, batch.sequence, 1, reason, batch.count, taken=self._taken)

    def _move(self, moves: Sequence[Move], settled: Sequence[Batch] = ()) -> None:
        """Writes moves to quarantine, then removes batches."""

        def write() -> _Written:
            tally: Tally = Tally()
            self._unwritten.write(moves, tally)
            self._unwritten.remove(settled)
            return _Written.of(self._unwritten, tally)

        self._work(write, self._written)

    def _written(self, result: _Written) -> None:
        tally, failed, waiting, full = result
        if not self._taken:
            # The couriers counted them as quarantined.
            for intake in waiting | self._waiting:
                if (change := waiting[intake] - self._waiting[intake]) > 0:
                    self._ledger.release(intake, intake, change)
                else:
                    self._ledger.quarantine(intake, -change)
            self._waiting = waiting
        for (intake, what), count in tally.items():
            if what == "duplicates":
                self._ledger.remove_recovered_duplicates(intake, count)
            elif count:
                reason = "quarantine_write_failed" if what == "lost" else "refused_full"
                self._ledger.drop_quarantined(intake, count, reason)
        losing, self._losing = self._losing, full
        folder = self._spool.quarantine.directory
        if failed is None:
            self._alarms.off("quarantine", self._about, f"quarantine {folder} can be written again")
            return
        if full > losing or ("quarantine", self._about) not in self._alarms.active:
            more = " No more can wait: further refused events are lost." if full else ""
            text = (
                f"quarantine: cannot write {failed.filename or folder}: {failed.strerror}. Refused and damaged events"
                f" ({waiting.total()} now) stay in the spool until it can be written.{more} Free disk space, or make"
                f" {folder} writable for the bridge; it tries again by itself."
            )
            self._alarms.on("quarantine", self._about, text)
        if not self._retrying:
            self._retrying = True
            self._clock.callLater(TRY_AGAIN, self._retry)

    def _retry(self) -> None:
        self._retrying = False

        def retry() -> _Written:
            tally: Tally = Tally()
            self._unwritten.retry(tally)
            return _Written.of(self._unwritten, tally)

        self._work(retry, self._written)

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        """Keeps a copy of a request body that the collector accepted only in part."""

        def keep() -> None:
            try:
                self._spool.quarantine.keep_evidence(intake, sequence, body)
            except OSError as error:
                log.warn(
                    "quarantine: cannot keep the body of a request of intake {intake}: {why}",
                    intake=intake, why=error.strerror,
                )  # fmt: skip

        self._work(keep, lambda nothing: None)

    def quarantine_batch(self, batch: Batch, why: str) -> None:
        """Moves the file of a batch that does not match its name to quarantine, unchanged."""
        events = batch.unacknowledged

        def move(tally: Tally) -> None:
            if batch.pack is None and batch.held is None:
                try:
                    self._spool.quarantine.move_aside(batch.path, events)
                except FileNotFoundError:
                    if batch.path.exists():
                        raise
            else:
                self._spool.quarantine.save_damaged(batch.intake, str(batch.name), batch.held or b"", events)
                self._unwritten.remove([batch])

        self._move([Move(batch, events, move)])

    # --- packs: in the spool thread -----------------------------------------------------------------------------------

    def pack(self, batches: list[Batch]) -> tuple[Pack | None, list[Batch]]:
        """Writes batches to one pack. Returns the pack, and the batches that could not be read. Raises OSError; all
        files are then unchanged."""
        return pack_writer.pack(batches, self._spool.removals.failed)

    def merge(self, packs: list[Pack]) -> Pack:
        """Merges several packs into one. Raises OSError; all files are then unchanged."""
        return pack_writer.merge(packs, self._spool.on_error)

    def keep_damaged(self, pack: Pack, loss: Loss) -> None:
        """Writes the bytes of a damaged part of a pack to quarantine. Raises OSError."""
        if loss.data:
            self._spool.quarantine.save_damaged(pack.intake, f"{pack.first}.pack-part", loss.data, loss.events)


def _event(piece: Piece) -> bytes:
    """Returns the single event of a piece as it is sent; reads it from the batch file if the piece is the whole batch.

    Raises Damaged, OSError.
    """
    line = b"\n".join(batch_reader.rows_of(piece)[0])
    if piece.batch.encoding != JSON:
        return line
    try:
        return from_json_line(line)
    except ValueError:
        return line
