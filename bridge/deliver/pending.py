"""What waits of one intake, loose and packed, and how much of it: settling, dropping, moving aside.

The ledger moves here in the turn in which something is lost or moved aside; files go later, in the spool's thread.
"""

from collections.abc import Callable, Collection

from bridge.deliver.context import DeliveryContext, RequestLimits
from bridge.deliver.pack_queue import PackQueue
from bridge.deliver.send_queue import SendQueue
from bridge.deliver.split_queue import SplitQueue
from bridge.spool import (
    Batch,
    Loss,
    Pack,
    Piece,
    batch_reader,
)


class PendingBatches:
    """One intake's. ``failed`` is told why its spool cannot be read now, ``changed`` when there is more to send."""

    def __init__(
        self,
        name: str,
        turn: RequestLimits,
        *,
        context: DeliveryContext,
        failed: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.events = 0
        "Sealed events that are not settled."
        self.size = 0
        "Their bytes, as lines."
        self.send_queue = SendQueue(live_for=turn.live_for, live_first=turn.live_first, exact=context.exact)
        self.pack_queue = PackQueue(
            name, self.send_queue, packer=context.store, in_thread=context.in_thread,
            fed=lambda batches: self.batches.update(dict.fromkeys(batches)), lost=self._lost_packed,
            changed=changed, failed=failed,
        )  # fmt: skip
        self.split_queue = SplitQueue()
        self.batches: dict[Batch, None] = {}
        "Sealed, in memory, not settled."
        self._name = name
        self._context = context
        self._loose_disk = 0
        "Allocated bytes, without packs."

    def __bool__(self) -> bool:
        return bool(self.batches or len(self.pack_queue))

    @property
    def disk(self) -> int:
        """Allocated bytes of what waits."""
        return self._loose_disk + self.pack_queue.disk

    @property
    def oldest(self) -> Batch | None:
        """The sealed batch that has waited longest."""
        return min(self.batches, key=lambda batch: batch.sequence, default=None)

    @property
    def oldest_sequence(self) -> int | None:
        """The sequence of the sealed batch that has waited longest, in a pack or not."""
        batch, packed = self.oldest, self.pack_queue.oldest
        return packed if batch is None or (packed is not None and packed < batch.sequence) else batch.sequence

    # --- in ----------------------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """A batch was sealed."""
        self.batches[batch] = None
        self.events += batch.count
        self.size += batch.size
        self._loose_disk += batch.disk
        self.send_queue.add(batch, self._context.clock.seconds())

    def add_pack(self, pack: Pack) -> None:
        """A pack was found at start."""
        self.events += pack.count
        self.size += pack.size
        self.pack_queue.add(pack)

    def put_back(self, pieces: list[Piece], *, split: bool) -> None:
        """A request failed: what it carried waits again where it stood."""
        if split:
            self.split_queue.add(pieces)
        else:
            self.send_queue.put_back(pieces, self._context.clock.seconds())

    def tidy(self, *, away: bool) -> None:
        """Pack what waits in too many files; ``away``: the collector takes nothing now."""
        self.pack_queue.tidy(self._context.clock.seconds(), away=away, packed=self._were_packed)

    def _were_packed(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._loose_disk -= batch.disk
            del self.batches[batch]
            self.split_queue.forget(batch)

    # --- out ---------------------------------------------------------------------------------------------------------

    def settle(self, pieces: list[Piece]) -> list[Batch]:
        """These events wait no longer. The batches that they were the last of."""
        whole = []
        for piece in pieces:
            batch = piece.batch
            batch.unacknowledged -= piece.count
            self.events -= piece.count
            if batch.unacknowledged <= 0:
                self._forget(batch)
                self.split_queue.forget(batch)
                whole.append(batch)
        return whole

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch, or pack, of which nothing is in flight, None: there is none.

        The caller sees to file and account: what it is of is not settled yet.
        """
        pack = self.pack_queue.oldest_idle
        batch = self.send_queue.drop_oldest(before=None if pack is None else pack.sequence, parts=True)
        if batch is not None:
            self._forget_loose(batch)
            self.split_queue.forget(batch)
            return batch
        if pack is not None:
            batches, size = self.pack_queue.give_up(pack)
            for batch in batches:
                del self.batches[batch]
            self.events -= pack.count
            self.size -= size
        return pack

    def release(self) -> list[tuple[Batch | Pack, int]]:
        """Forget all that waits whole, with the number of its events that are not settled. Only while nothing is in
        flight or being packed; the caller sees to file and account."""
        released: list[tuple[Batch | Pack, int]] = []
        for pack, batches, size in self.pack_queue.release():
            events = self.pack_queue.forget(pack)
            for batch in batches:
                del self.batches[batch]
            self.events -= events
            self.size -= size
            released.append((pack, events))
        while (loose := self.send_queue.drop_oldest()) is not None:
            self._forget_loose(loose)
            released.append((loose, loose.count))
        return released

    def forget(self, batches: Collection[Batch]) -> None:
        """Forget batches of which nothing is in flight, wherever they wait; the caller sees to file and account."""
        self.send_queue.forget(batches)
        self.split_queue.take_out(batches)
        for batch in batches:
            self._forget_loose(batch)
            self.split_queue.forget(batch)

    def _forget_loose(self, batch: Batch) -> None:
        self.events -= batch.unacknowledged
        self.size -= batch.size
        self._loose_disk -= batch.disk
        del self.batches[batch]

    def set_aside(self, batch: Batch, damage: Exception) -> None:
        """A batch's file is not what its name says."""
        self.events -= batch.unacknowledged
        self._forget(batch)
        if isinstance(damage, batch_reader.Missing):
            text = f"intake {self._name}: {damage}; {batch.unacknowledged} events are lost"
            self._context.ledger.drop_spooled(self._name, batch.unacknowledged, "spool_file_missing")
        else:
            text = f"intake {self._name}: {damage}; moved to quarantine"
            self._context.ledger.quarantine(self._name, batch.unacknowledged)
            self._context.store.set_aside(batch, str(damage))
        self._context.alarms.on("damaged", self._name, text)

    def _forget(self, batch: Batch) -> None:
        self.size -= batch.size
        self._loose_disk -= batch.disk
        self.pack_queue.settled(batch)
        del self.batches[batch]

    def _lost_packed(self, pack: Pack, loss: Loss) -> None:
        """A part of a pack cannot be read."""
        self.events -= loss.events
        self.size -= loss.size
        if loss.data:
            self._context.ledger.quarantine(self._name, loss.events)
            became = "moved to quarantine"
        else:
            self._context.ledger.drop_spooled(self._name, loss.events, "spool_file_damaged")
            became = "lost"
        text = f"intake {self._name}: {pack.path}: {loss.what}; {loss.events or 'some'} events {became}"
        self._context.alarms.on("damaged", self._name, text)
