"""Where couriers leave what they have settled: receipts, quarantine, evidence, then the files themselves.

All of it happens in the spool's one thread, in the order in which it was asked for, so that a receipt is on disk before
its batch is gone and a refused event is in quarantine before its batch is. A process that dies in between leaves the
batch: it is sent again, and its refused events are known by (sequence, position).
"""

from collections.abc import Callable

from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.accounting.journal import Receipt
from bridge.batching.encoding import JSON, from_json_line
from bridge.spool import (
    Batch,
    Loss,
    Pack,
    Piece,
    Spool,
    batch_reader,
    pack_writer,
)
from bridge.spool.quarantine import QuarantineEntry

log = Logger(namespace="spool")


class DeliveryStore:
    """The couriers' store over a spool. ``work`` runs a job in the spool's thread, then its result on the reactor;
    ``receipt``, ``refused`` and ``handed`` write to the ledger's history, in that thread. ``remove`` lets settled
    batches go, there too: from the spool, or from where else they wait."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        *,
        work: Callable[[Callable[[], object], Callable[[object], None]], None],
        receipt: Callable[[Receipt], None],
        refused: Callable[[str, int, int, str, int], None],
        remove: Callable[[list[Batch]], None] | None = None,
        handed: Callable[[str, int, int, int], None] = lambda intake, sequence, count, batch_events: None,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._work = work
        self._receipt = receipt
        self._refused = refused
        self._remove = remove or spool.remove
        self._handed = handed

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """A request was accepted; these batches are settled whole."""

        def settle() -> None:
            if receipt is not None:
                self._receipt(receipt)
            self._remove(batches)

        self._work(settle, lambda nothing: None)

    def hand_over(self, intake: str, handed: list[tuple[int, int, int]], settled: list[Batch]) -> None:
        """Events are in a queue that gateways share; ``settled`` batches go."""

        def settle() -> None:
            for sequence, count, batch_events in handed:
                self._handed(intake, sequence, count, batch_events)
            self._remove(settled)

        self._work(settle, lambda nothing: None)

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Single events go to quarantine, on disk before their batches go."""

        def settle() -> tuple[int, int, int]:
            again = lost = pushed_out = 0
            for piece, words in refused:
                batch = piece.batch
                try:
                    entry = QuarantineEntry(
                        batch.sequence // 1000, "", "", _event(piece), words, intake,
                        key=(batch.identity, piece.start), time_ms=piece.earliest,
                    )  # fmt: skip
                    gone = self._spool.quarantine.add_once("refused", entry)
                except (OSError, batch_reader.Damaged) as error:
                    log.error("quarantine: cannot write: {why}; a refused event is lost", why=str(error))
                    lost += 1
                    continue
                again += gone is None
                pushed_out += gone or 0
                self._refused(intake, batch.sequence, 1, words, batch.count)
            self._remove(settled)
            return again, lost, pushed_out

        def counted(result: object) -> None:
            assert isinstance(result, tuple)
            again, lost, pushed_out = result
            self._ledger.was_quarantined_before(intake, again)
            if lost:
                self._ledger.drop_quarantined(intake, lost, "quarantine_write_failed")
            if pushed_out:
                self._ledger.drop_quarantined(intake, pushed_out, "refused_full")

        self._work(settle, counted)

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        """Keep a copy of a request that was taken in part only."""
        self._work(lambda: self._spool.quarantine.keep_evidence(intake, sequence, body), lambda path: None)

    def set_aside(self, batch: Batch, why: str) -> None:
        """A batch cannot be read: its file goes to quarantine as it is."""
        events = batch.unacknowledged

        def put() -> None:
            if batch.pack is None and batch.held is None:
                self._spool.quarantine.move_aside(batch.path, events)
            else:
                self._spool.quarantine.put_aside(batch.intake, str(batch.name), batch.held or b"", events)
                self._remove([batch])

        self._work(put, lambda moved: None)

    # --- packs: in the spool's thread ---------------------------------------------------------------------------------

    def pack(self, batches: list[Batch]) -> tuple[Pack | None, list[Batch]]:
        """One pack of these, and those that could not be read."""
        return pack_writer.pack(batches, self._spool.cannot_remove)

    def merge(self, packs: list[Pack]) -> Pack:
        """One pack of several."""
        return pack_writer.merge(packs, self._spool.on_error)

    def keep_damaged(self, pack: Pack, loss: Loss) -> None:
        """The bytes of a damaged part of a pack."""
        if loss.data:
            self._spool.quarantine.put_aside(pack.intake, f"{pack.first}.pack-part", loss.data, loss.events)


def _event(piece: Piece) -> bytes:
    """The one event of a piece, as it would have been sent; read from its batch's file where it is all of it.

    Raises Damaged, OSError.
    """
    line = b"\n".join(batch_reader.rows_of(piece)[0])
    if piece.batch.encoding != JSON:
        return line
    try:
        return from_json_line(line)
    except ValueError:
        return line
