"""Records the outcomes of deliveries on disk: receipts, quarantine and evidence, then the removal of batch files.

All jobs run in the spool thread, in the order of the calls. So a receipt is on disk before its batch is deleted, and a
refused event is in quarantine before its batch is deleted. If the process dies in between, the batch remains and is
sent again. Its refused events are recognised by (sequence, position).
"""

from collections.abc import Callable
from dataclasses import replace

from twisted.logger import Logger

from bridge.accounting.journal import Receipt
from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import Batch, Loss, Pack, Piece, batch_reader, pack_writer
from bridge.spool.quarantine import QuarantineEntry
from bridge.storage.open import Storage
from bridge.util.jobs import Work

log = Logger(namespace="spool")


class DeliveryStore:
    """Stores the outcomes of the couriers of one spool.

    ``work`` runs a job in the spool thread, then passes its result to a callback on the reactor. ``acknowledge_taken``
    is given for batches that were taken over from the shared queue: it removes settled batches from the queue, while
    others are removed from the spool. It is called in the spool thread.
    """

    def __init__(
        self, storage: Storage, work: Work, *, acknowledge_taken: Callable[[list[Batch]], None] | None = None
    ) -> None:
        self._spool, self._ledger, self._journal = storage.spool, storage.ledger, storage.journal
        self._work = work
        self._taken = acknowledge_taken is not None
        self._remove = acknowledge_taken or storage.spool.remove

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """Records an accepted request and removes the batches that it completes."""

        def settle() -> None:
            if receipt is not None:
                self._journal.receipt(replace(receipt, taken=self._taken))
            self._remove(batches)

        self._work(settle, lambda nothing: None)

    def hand_over(self, intake: str, handed: list[tuple[int, int, int]], settled: list[Batch]) -> None:
        """Records events that were published to a shared queue (per batch its sequence, the events published, and all
        its events), and removes the ``settled`` batches."""

        def settle() -> None:
            for sequence, count, batch_events in handed:
                self._journal.handed(intake, sequence, count, batch_events)
            self._remove(settled)

        self._work(settle, lambda nothing: None)

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Writes refused events to quarantine, then removes the ``settled`` batches."""

        def settle() -> tuple[int, int, int]:
            duplicates = lost = evicted = 0
            for piece, reason in refused:
                batch = piece.batch
                try:
                    entry = QuarantineEntry(
                        batch.sequence // 1000, "", "", _event(piece), reason, intake,
                        key=(batch.identity, piece.start), time_ms=piece.earliest,
                    )  # fmt: skip
                    dropped = self._spool.quarantine.add_once("refused", entry)
                except (OSError, batch_reader.Damaged) as error:
                    log.error("quarantine: cannot write: {why}; a refused event is lost", why=str(error))
                    lost += 1
                    continue
                duplicates += dropped is None
                evicted += dropped or 0
                self._journal.refused(intake, batch.sequence, 1, reason, batch.count, taken=self._taken)
            self._remove(settled)
            return duplicates, lost, evicted

        def counted(result: tuple[int, int, int]) -> None:
            duplicates, lost, evicted = result
            self._ledger.remove_recovered_duplicates(intake, duplicates)
            if lost:
                self._ledger.drop_quarantined(intake, lost, "quarantine_write_failed")
            if evicted:
                self._ledger.drop_quarantined(intake, evicted, "refused_full")

        self._work(settle, counted)

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
        """Moves the file of a batch that cannot be read to quarantine, unchanged."""
        events = batch.unacknowledged

        def move() -> None:
            try:
                if batch.pack is None and batch.held is None:
                    self._spool.quarantine.move_aside(batch.path, events)
                else:
                    self._spool.quarantine.save_damaged(batch.intake, str(batch.name), batch.held or b"", events)
                    self._remove([batch])
            except OSError as error:
                log.error(
                    "quarantine: cannot move {path}: {why}. It stays where it is, and the next start reads it again",
                    path=batch.path, why=error.strerror,
                )  # fmt: skip

        self._work(move, lambda moved: None)

    # --- packs: in the spool thread -----------------------------------------------------------------------------------

    def pack(self, batches: list[Batch]) -> tuple[Pack | None, list[Batch]]:
        """Writes batches to one pack. Returns the pack, and the batches that could not be read. Raises OSError; all
        files are then unchanged."""
        return pack_writer.pack(batches, self._spool.cannot_remove)

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
