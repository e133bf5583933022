"""Keeps the waiting batches of one intake, loose and packed, and their totals: settles, drops and quarantines them.

The ledger changes in the turn in which events are lost or quarantined. The files are removed later, in the spool
thread.
"""

from collections.abc import Callable, Collection, Iterator

from twisted.internet import task

from bridge.deliver.context import DeliveryContext, RequestLimits
from bridge.deliver.pack_queue import PackQueue, packed_limit
from bridge.deliver.send_queue import SendQueue
from bridge.deliver.split_queue import SplitQueue, halves
from bridge.deliver.unreadable import UnreadableFiles
from bridge.spool import Batch, Loss, Pack, Piece, batch_reader
from bridge.util.alarms import A_DAY, ENDS_IN_A_DAY
from bridge.util.counts import counted
from bridge.util.os_errors import described

PUT_BACK_AT_ONCE = 5000
"Pieces of cut batches that enter the lanes in one turn of the reactor."


class PendingBatches:
    """Waiting batches of one intake. ``failed`` receives the reason why the spool cannot be read. ``changed`` is
    called when there is more to send, ``emptied`` when the last events were taken away without being sent."""

    def __init__(
        self, name: str, limits: RequestLimits,
        *, context: DeliveryContext, failed: Callable[[str], None], changed: Callable[[], None],
        emptied: Callable[[], None],
    ) -> None:  # fmt: skip
        self.events = 0
        "Sealed events that are not settled."
        self.size = 0
        "Bytes of these events, as lines."
        self.send_queue = SendQueue(
            live_for=limits.live_for, live_first=limits.live_first, exact=context.exact,
            packed_limit=lambda: packed_limit(context),
        )  # fmt: skip
        self.unreadable = UnreadableFiles(name, context=context, back_off=failed)
        self.pack_queue = PackQueue(
            name, self.send_queue, context=context, on_read=lambda batches: self.batches.update(dict.fromkeys(batches)),
            on_loss=self._lost_packed, changed=changed, unreadable=self.unreadable,
        )  # fmt: skip
        self.split_queue = SplitQueue()
        self.batches: dict[Batch, None] = {}
        "Sealed batches in memory that are not settled, in order of arrival."
        self._name = name
        self._context = context
        self._changed = changed
        self._emptied = emptied
        self._loose_disk = 0
        "Allocated bytes of the batches outside packs."

    def __bool__(self) -> bool:
        return bool(self.batches or len(self.pack_queue))

    @property
    def disk(self) -> int:
        """Returns the allocated bytes of the waiting batches."""
        return self._loose_disk + self.pack_queue.disk

    @property
    def oldest_sequence(self) -> int | None:
        """Returns the sequence of the sealed batch that has waited longest, in a pack or not."""
        sequences = [batch.sequence for batch in self.batches]
        if (packed := self.pack_queue.oldest_waiting) is not None:
            sequences.append(packed)
        return min(sequences, default=None)

    def add(self, batch: Batch) -> None:
        """Adds a sealed batch."""
        self.batches[batch] = None
        self.events += batch.count
        self.size += batch.size
        self._loose_disk += batch.disk
        self.send_queue.add(batch, now=self._context.clock.seconds())

    def add_pack(self, pack: Pack) -> None:
        """Adds a pack that was found at start."""
        self.events += pack.count
        self.size += pack.size
        self.pack_queue.add(pack)

    def waiting_pieces(self) -> Iterator[Piece]:
        """Returns the pieces in all queues."""
        yield from self.send_queue.pieces()
        yield from self.split_queue.pieces()
        yield from self.unreadable.pieces()

    def put_back(self, pieces: list[Piece], *, split: bool) -> None:
        """Puts the pieces of a failed request back, in their old order."""
        if split:
            self.split_queue.add(pieces)
        else:
            self.send_queue.put_back(pieces, self._context.clock.seconds())

    def tidy(self, blocked: Callable[[], bool | None]) -> None:
        """Packs the backlog if it consists of many files, tries unreadable files again, and sends timed batches that
        have waited for others. ``blocked`` returns True if the collector accepts nothing at the moment, and None if the
        intake is paused."""
        self._try_unreadable()
        if self.send_queue.ends_collecting(self._context.clock.seconds()):
            self._changed()
        self.pack_queue.tidy(blocked, packed=self._remove)

    def _try_unreadable(self) -> None:
        if not self.unreadable and self.unreadable.text is None:
            return
        pieces, packs = self.unreadable.take_due()
        for piece, split in pieces:
            self.put_back([piece], split=split)
        for pack in packs:
            self.pack_queue.resume(pack)
        if pieces or packs:
            self._changed()

    def was_read(self, pieces: list[Piece]) -> None:
        """Records that the files of these pieces could be read."""
        if self.unreadable:
            self.unreadable.was_read({piece.batch for piece in pieces})

    def _remove(self, batches: list[Batch]) -> None:
        """Removes batches that are settled, dropped or packed from memory."""
        self.unreadable.forget(batches)
        for batch in batches:
            self._loose_disk -= batch.disk
            del self.batches[batch]
            self.split_queue.forget(batch)

    def settle(self, pieces: list[Piece]) -> list[Batch]:
        """Settles the events of these pieces. Returns the batches that are completely settled by it."""
        settled = []
        for piece in pieces:
            batch = piece.batch
            batch.unacknowledged -= piece.count
            self.events -= piece.count
            if batch.unacknowledged <= 0:
                self._forget(batch)
                settled.append(batch)
        return settled

    def drop_oldest(self) -> Batch | Pack | None:
        """Forgets the oldest batch or pack of which nothing is in flight. Returns it; None if none qualifies.

        The caller removes the file and updates the ledger for the unsettled events.
        """
        pack, unreadable = next(self.pack_queue.idle(), None), self.unreadable.oldest()
        before = min((each.sequence for each in (pack, unreadable) if each is not None), default=None)
        batch = self.send_queue.drop_oldest(before=before, parts=True)
        if batch is None and unreadable is not None and unreadable.sequence == before:
            batch = unreadable
        if batch is not None:
            self._forget_loose(batch)
            return batch
        if pack is not None:
            pack.withdrawn(self._give_up(pack))
        return pack

    def release(self) -> list[tuple[Batch | Pack, int]]:
        """Forgets all batches and packs that wait whole. Returns each with the number of its unsettled events.
        Requires that nothing is in flight or being packed. The caller removes the files and updates the ledger."""
        released: list[tuple[Batch | Pack, int]] = [(pack, self._give_up(pack)) for pack in self.pack_queue.idle()]
        while (loose := self.send_queue.drop_oldest()) is not None:
            self._forget_loose(loose)
            released.append((loose, loose.count))
        for batch in (*self.send_queue.release_cut(), *self.unreadable.whole_batches()):
            self._forget_loose(batch)
            released.append((batch, batch.count))
        return released

    def _give_up(self, pack: Pack) -> int:
        """Forgets an idle pack. Returns the number of its unsettled events."""
        batches, events, size = self.pack_queue.give_up(pack)
        for batch in batches:
            del self.batches[batch]
        self.events -= events
        self.size -= size
        if not self:
            self._emptied()
        return events

    def forget(self, batches: Collection[Batch]) -> None:
        """Forgets batches of which nothing is in flight, wherever they wait. The caller removes the files and
        updates the ledger."""
        self.send_queue.forget(batches)
        self.split_queue.remove(batches)
        for batch in batches:
            self._forget_loose(batch)

    def _forget_loose(self, batch: Batch) -> None:
        self.events -= batch.unacknowledged
        self.size -= batch.size
        self._remove([batch])
        if not self:
            self._emptied()

    async def cut(self, pieces: list[Piece], width_ms: int, max_events: int, max_bytes: int) -> None:
        """Cuts pieces that cannot share one request into pieces that can be sent."""
        try:
            cut = await self._context.run(lambda: batch_reader.cut_together(pieces, width_ms, max_events, max_bytes))
        except (batch_reader.Damaged, OSError) as error:
            self.cannot_read(pieces, error, split=False)
        else:
            self.was_read(pieces)
            # Random clocks make a piece of nearly every event, so the reactor handles other events between parts. The
            # last part comes first: each part then belongs at the front of the lane.
            for end in range(len(cut), 0, -PUT_BACK_AT_ONCE):
                self.put_back(cut[max(0, end - PUT_BACK_AT_ONCE) : end], split=False)
                if end > PUT_BACK_AT_ONCE:
                    await task.deferLater(self._context.clock, 0)

    async def halve(self, pieces: list[Piece]) -> None:
        """Splits the pieces of one request into two requests."""
        try:
            both = await self._context.run(lambda: halves(pieces))
        except (batch_reader.Damaged, OSError) as error:
            self.cannot_read(pieces, error, split=True)
        else:
            self.was_read(pieces)
            self.split_queue.add(*both)

    def cannot_read(self, pieces: list[Piece], error: Exception, *, split: bool) -> None:
        """Handles a spool file that cannot be read. All pieces wait again, except those of a batch whose file does
        not match its name, which is removed from the queue, or cannot be read, which is tried again later."""
        bad = error.batch if isinstance(error, batch_reader.Damaged | batch_reader.Unreadable) else None
        own = [piece for piece in pieces if piece.batch is bad]
        self.put_back([piece for piece in pieces if piece.batch is not bad], split=split)
        if isinstance(error, batch_reader.Unreadable) and own:
            self.unreadable.set_aside(own, error, split=split)
        elif isinstance(error, batch_reader.Damaged):
            if error.batch in self.batches:
                self._quarantine_batch(error.batch, error)
        else:
            self.unreadable.back_off(f"cannot read the spool: {described(error)}")

    def _quarantine_batch(self, batch: Batch, damage: Exception) -> None:
        """Quarantines a batch whose file does not match its name. If the file is missing, its events are counted as
        lost."""
        self.events -= batch.unacknowledged
        self._forget(batch)
        if isinstance(damage, batch_reader.Missing):
            text = f"intake {self._name}: {damage}; {counted(batch.unacknowledged, 'event')} lost"
            self._context.ledger.drop_spooled(self._name, batch.unacknowledged, "spool_file_missing")
        else:
            text = f"intake {self._name}: {damage}; moved to quarantine"
            self._context.ledger.quarantine(self._name, batch.unacknowledged)
            self._context.store.quarantine_batch(batch, str(damage))
        self._context.alarms.on("damaged", self._name, f"{text}. {ENDS_IN_A_DAY}", lasts=A_DAY)

    def _forget(self, batch: Batch) -> None:
        self.size -= batch.size
        self.pack_queue.settled(batch)
        self._remove([batch])

    def _lost_packed(self, pack: Pack, loss: Loss) -> None:
        self.events -= loss.events
        self.size -= loss.size
        if loss.data:
            self._context.ledger.quarantine(self._name, loss.events)
            result = "moved to quarantine"
        else:
            self._context.ledger.drop_spooled(self._name, loss.events, "spool_file_damaged")
            result = "lost"
        events = counted(loss.events, "event") if loss.events else "some events"
        text = f"intake {self._name}: {pack.path}: {loss.what}; {events} {result}"
        self._context.alarms.on("damaged", self._name, f"{text}. {ENDS_IN_A_DAY}", lasts=A_DAY)
