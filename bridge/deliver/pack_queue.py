"""Packs the backlog of one intake if it consists of many files, and reads packs as requests need them.

All work on files runs in the spool thread, one job per intake at a time. A pack is never read while another one is
written, so no job finds a file that the previous job has replaced. Batches read from a pack enter the lanes like any
other batch, with their lines in memory: up to 64 batches, or the intake's share of ``FEED_BYTES``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import TypeVar

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver.context import DeliveryContext
from bridge.deliver.send_queue import ENOUGH, SendQueue
from bridge.deliver.unreadable import UnreadableFiles
from bridge.spool import Batch, Loss, Pack
from bridge.spool.pack_read import Fed
from bridge.spool.pack_writer import mergeable
from bridge.util.os_errors import described

FEED_BYTES = 16 << 20
"Approximate limit in bytes of the lines that all intakes together hold in memory after reading packs."
LEAST_BYTES = 128 * 1024
TRY_AGAIN = 30.0
"Seconds to wait after a pack could not be written."

T = TypeVar("T")

log = Logger(namespace="deliver")


def packed_limit(context: DeliveryContext) -> int:
    """Returns the bytes that one intake may hold in memory after reading packs."""
    return max(LEAST_BYTES, context.share_of(FEED_BYTES))


_sequence = attrgetter("sequence")


class PackQueue:
    """Packs of one intake. ``on_read`` receives the batches that enter the lanes, ``on_loss`` the parts that cannot
    be read. ``changed`` is called when there is more to send. ``unreadable`` decides when a pack is tried again."""

    def __init__(
        self, name: str, send_queue: SendQueue, *, context: DeliveryContext, on_read: Callable[[list[Batch]], None],
        on_loss: Callable[[Pack, Loss], None], changed: Callable[[], None], unreadable: UnreadableFiles,
    ) -> None:  # fmt: skip
        self._name = name
        self._send_queue = send_queue
        self._context = context
        self._on_read = on_read
        self._on_loss = on_loss
        self._changed = changed
        self._unreadable = unreadable
        self._next: dict[Pack, int] = {}
        "Lowest sequence that is not read yet, of each pack that is not completely read."
        self._held: dict[Pack, int] = {}
        "The same of each pack whose rest cannot be read at the moment."
        self._unmergeable: set[Pack] = set()
        self._unsettled: dict[Pack, int] = {}
        "Unsettled events of each pack whose file exists, read or not."
        self._not_before = float("-inf")
        self.busy = False
        "True if a job on packs is running."
        self._queued = False
        "True while this intake waits for its turn to pack."
        self.disk = 0
        "Allocated bytes of the packs whose files exist."

    def __len__(self) -> int:
        return len(self._next) + len(self._held)

    @property
    def oldest(self) -> int | None:
        """Returns the lowest sequence that is to be read next; None if all packs are read or held."""
        return min(self._next.values(), default=None)

    @property
    def oldest_waiting(self) -> int | None:
        """Returns the lowest sequence that is not read yet; None if all packs are read."""
        return min((*self._next.values(), *self._held.values()), default=None)

    def add(self, pack: Pack) -> None:
        """Adds a pack that was found or written."""
        self._next[pack] = pack.sequence
        self._unsettled[pack] = pack.count
        self.disk += pack.disk
        self._send_queue.unread_begin_at(self.oldest)

    def settled(self, batch: Batch) -> None:
        """Records that a batch is settled. The file of a pack is removed with its last batch."""
        if batch.pack is not None:
            self._subtract(batch.pack, batch.count)

    def _subtract(self, pack: Pack, events: int) -> None:
        if pack in self._unsettled:
            self._unsettled[pack] -= events
            if self._unsettled[pack] <= 0:
                self._forget_file(pack)

    def _forget_file(self, pack: Pack) -> None:
        if self._unsettled.pop(pack, None) is not None:
            self.disk -= pack.disk

    def idle(self) -> Iterator[Pack]:
        """Returns the packs of which nothing is in flight or split, the oldest first. Empty while a job on packs is
        running."""
        packs = [] if self.busy else sorted(self._unsettled, key=_sequence)
        return (pack for pack in packs if self._waiting(pack) is not None)

    def give_up(self, pack: Pack) -> tuple[list[Batch], int, int]:
        """Forgets an idle pack. Returns its batches in the lanes, which are taken out, its unsettled events, and the
        bytes of its waiting lines. The caller removes the file."""
        in_lanes, size = self._waiting(pack) or ([], 0)
        self._send_queue.forget(in_lanes)
        events = self._unsettled.get(pack, 0)
        self._drop(pack)
        self._forget_file(pack)
        self._send_queue.unread_begin_at(self.oldest)
        return in_lanes, events, size

    def _drop(self, pack: Pack) -> None:
        self._unmergeable.discard(pack)
        self._next.pop(pack, None)
        self._held.pop(pack, None)
        self._unreadable.forget([pack])

    def _waiting(self, pack: Pack) -> tuple[list[Batch], int] | None:
        """Returns the batches of a pack in the lanes, and the bytes of their lines and of the unread lines. Returns
        None if a part of the pack is in flight or split. Requires that no job on packs is running."""
        in_lanes = self._send_queue.batches_of_pack(pack) if self._next.get(pack) != pack.sequence else []
        events, size = pack.unread
        if sum(batch.count for batch in in_lanes) + events != self._unsettled[pack]:
            return None
        return in_lanes, sum(batch.size for batch in in_lanes) + size

    # --- reading -----------------------------------------------------------------------------------------------------

    def read_ahead(self) -> None:
        """Reads more batches if the lanes need them."""
        if self.busy or not self._send_queue.needs_packs:
            return
        pack, most_bytes = min(self._next, key=self._next.__getitem__), packed_limit(self._context)
        self._run(
            lambda: self._read(pack, most_bytes), lambda result: self._add_read(pack, result),
            lambda error: self._hold(pack, error),
        )  # fmt: skip

    def _hold(self, pack: Pack, error: OSError) -> None:
        """Leaves the rest of a pack out until ``resume`` is called."""
        if not self._unreadable.set_pack_aside(pack, error):
            self._unreadable.back_off(f"cannot read the spool: {described(error)}")
        elif pack in self._next:
            self._held[pack] = self._next.pop(pack)
            self._send_queue.unread_begin_at(self.oldest)

    def resume(self, pack: Pack) -> None:
        """Reads a pack again that could not be read."""
        if pack in self._held:
            self._next[pack] = self._held.pop(pack)
            self._send_queue.unread_begin_at(self.oldest)

    def _read(self, pack: Pack, most_bytes: int) -> Fed:
        """Reads batches of a pack and stores damaged parts. Runs in the spool thread."""
        try:
            result = pack.read(
                most_batches=ENOUGH, most_bytes=most_bytes, sealed=float("-inf"),
                keep=lambda loss: self._context.store.keep_damaged(pack, loss),
            )  # fmt: skip
        except FileNotFoundError:
            result = pack.file_missing()
        for loss in result.losses:
            pack.record_loss(loss)
        return result

    def _add_read(self, pack: Pack, result: Fed) -> None:
        if result.exhausted:
            self._drop(pack)
        else:
            self._next[pack] = max(self._next[pack], result.next)
            if result.stuck is None:
                self._unreadable.was_read([pack])
            else:
                self._hold(pack, result.stuck)
        self._on_read(result.batches)
        self._send_queue.unread_begin_at(self.oldest)
        self._send_queue.add(*result.batches, now=self._context.clock.seconds())
        for loss in result.losses:
            self._subtract(pack, loss.events)
            self._on_loss(pack, loss)

    # --- packing -----------------------------------------------------------------------------------------------------

    def tidy(self, blocked: Callable[[], bool | None], packed: Callable[[list[Batch]], None]) -> None:
        """Packs waiting batches if that is worthwhile, otherwise merges small packs, when it is this intake's turn.

        ``blocked`` returns True if the collector accepts nothing at the moment, and None if the intake is paused.
        ``packed`` receives the batches that were packed.
        """
        stuck = blocked()
        if self._queued or self.busy or stuck is None or self._context.clock.seconds() < self._not_before:
            return
        if self._send_queue.has_packable(blocked=stuck) or self._mergeable():
            self._queued = True
            self._context.packing.run(self._tidy_now, blocked, packed).addErrback(self._defect)

    def _tidy_now(
        self, blocked: Callable[[], bool | None], packed: Callable[[list[Batch]], None]
    ) -> "defer.Deferred[None] | None":
        self._queued = False
        now, stuck = self._context.clock.seconds(), blocked()
        if self.busy or stuck is None:
            return None
        if batches := self._send_queue.take_packable(now, blocked=stuck):
            return self._pack(batches, now, packed)
        if packs := self._mergeable():
            return self._merge(packs)
        return None

    def _mergeable(self) -> list[Pack]:
        """Returns neighbouring packs that are worth merging; empty if there are none."""
        packs = sorted((pack for pack in self._next if pack not in self._unmergeable), key=_sequence)
        found = mergeable(packs)
        return packs[slice(*found)] if found else []

    def _pack(self, batches: list[Batch], now: float, packed: Callable[[list[Batch]], None]) -> "defer.Deferred[None]":
        def done(result: tuple[Pack | None, list[Batch]]) -> None:
            pack, unreadable = result
            if pack is not None:
                left_out = set(unreadable)
                packed([batch for batch in batches if batch not in left_out])
                self.add(pack)
            else:
                self._not_before = now + TRY_AGAIN
            self._send_queue.add(*unreadable, now=now)

        def failed(error: OSError) -> None:
            self._send_queue.add(*batches, now=now)
            # The usual cause is a full disk. Dropping and delivering batches frees space; an immediate retry does not.
            self._not_before = now + TRY_AGAIN
            log.error("intake {intake}: cannot pack its backlog: {why}", intake=self._name, why=described(error))

        return self._run(lambda: self._context.store.pack(batches), done, failed)

    def _merge(self, packs: list[Pack]) -> "defer.Deferred[None]":
        def done(merged: Pack) -> None:
            for pack in packs:
                self._drop(pack)
                self._forget_file(pack)
            self.add(merged)

        def failed(error: OSError) -> None:
            # One of the packs may be damaged. Reading it will show that.
            self._unmergeable.update(packs)

        return self._run(lambda: self._context.store.merge(packs), done, failed)

    def _run(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[OSError], None]
    ) -> "defer.Deferred[None]":
        """Runs a job in the spool thread. The result fires when its outcome is applied."""

        async def run() -> None:
            self.busy = True
            try:
                result = await self._context.run(job)
            except OSError as error:
                handle: Callable[[], None] = partial(failed, error)
            else:
                handle = partial(done, result)
            finally:
                self.busy = False
            handle()

        return defer.ensureDeferred(run()).addErrback(self._defect).addCallback(lambda nothing: self._changed())

    def _defect(self, failure: Failure) -> None:
        log.failure("intake {intake}: defect while packing", failure, intake=self._name)
        self._unreadable.back_off(f"defect: {failure.value!r}")
