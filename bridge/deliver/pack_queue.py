"""One intake's packs: what waits too long in too many files is packed, and packs are read as requests need them.

All work on files is done in the spool's thread, one job of an intake at a time: a pack is not read while another is
made, so that no job meets a file that the one before has replaced. What has been read is in the lanes like any other
batch, with its lines in memory: 64 batches, or a share of ``FEED_BYTES``.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.deliver.send_queue import ENOUGH, SendQueue
from bridge.spool import Batch, Loss, Pack
from bridge.spool.pack import Fed
from bridge.spool.pack_writer import mergeable

FEED_BYTES = 16 << 20
"Bytes of lines read from packs that all intakes together hold, about."
LEAST_BYTES = 128 * 1024
TRY_AGAIN = 30.0
"Seconds after a pack could not be made."

log = Logger(namespace="deliver")


class Packer(Protocol):
    """Makes packs. Blocking; called in the spool's thread."""

    def pack(self, batches: list[Batch]) -> tuple[Pack | None, list[Batch]]:
        """One pack of these, and those that could not be read. Raises OSError: all are as they were."""

    def merge(self, packs: list[Pack]) -> Pack:
        """One pack of several. Raises OSError: all are as they were."""

    def keep_damaged(self, pack: Pack, loss: Loss) -> None:
        """A part of a pack cannot be read: keep its bytes. Raises OSError."""


def _sequence(pack: Pack) -> int:
    return pack.sequence


class PackQueue:
    """The packs of one intake. ``fed`` is told which batches go to the lanes, ``lost`` which parts cannot be read;
    ``changed`` when there is more to send; ``failed`` that it cannot go on now."""

    def __init__(
        self,
        name: str,
        send_queue: SendQueue,
        *,
        packer: Packer,
        in_thread: Callable[[Callable[[], Any]], "defer.Deferred[Any]"],
        fed: Callable[[list[Batch]], None],
        lost: Callable[[Pack, Loss], None],
        changed: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._name = name
        self._send_queue = send_queue
        self._packer = packer
        self._in_thread = in_thread
        self._told = fed
        self._lost = lost
        self._changed = changed
        self._failed = failed
        self._packs: list[Pack] = []
        self._next: dict[Pack, int] = {}
        self._busy = False
        self._unmergeable: set[Pack] = set()
        self._unsettled: dict[Pack, int] = {}
        "Events of each pack whose file is there, read or not."
        self._not_before = float("-inf")
        self.disk = 0
        "Allocated bytes of packs whose files are there."

    def __len__(self) -> int:
        return len(self._packs)

    @property
    def busy(self) -> bool:
        """Whether work on packs is under way."""
        return self._busy

    @property
    def oldest(self) -> int | None:
        """The lowest sequence that is still to be read."""
        return min(self._next.values(), default=None)

    def add(self, pack: Pack) -> None:
        """A pack was found, or made."""
        self._packs.append(pack)
        self._packs.sort(key=_sequence)
        self._next[pack] = pack.sequence
        self._unsettled[pack] = pack.count
        self.disk += pack.disk
        self._send_queue.boundary = self.oldest

    def settled(self, batch: Batch) -> None:
        """A batch is done with; the file of a pack goes with its last one."""
        if batch.pack is not None:
            self._less(batch.pack, batch.count)

    def _less(self, pack: Pack, events: int) -> None:
        if pack in self._unsettled:
            self._unsettled[pack] -= events
            if self._unsettled[pack] <= 0:
                self._is_gone(pack)

    def _is_gone(self, pack: Pack) -> None:
        if self._unsettled.pop(pack, None) is not None:
            self.disk -= pack.disk

    @property
    def oldest_idle(self) -> Pack | None:
        """The oldest pack of which nothing is in flight or in parts; None: there is none, or work on packs is under
        way: what is packed or read can be given up a moment later."""
        if self._busy:
            return None
        return next((pack for pack in sorted(self._unsettled, key=_sequence) if self._waiting(pack) is not None), None)

    def give_up(self, pack: Pack) -> tuple[list[Batch], int]:
        """Forget an idle pack. Its ``count`` is what is not settled of it; its batches in the lanes, which forget them,
        and the bytes of lines that waited. The caller sees to its file."""
        here, size = self._waiting(pack) or ([], 0)
        self._send_queue.forget(here)
        pack.count = self.forget(pack)
        return here, size

    def _waiting(self, pack: Pack) -> tuple[list[Batch], int] | None:
        """A pack's batches in the lanes, and the bytes of lines of these and of what is still to be read; None: some of
        it is in flight or in parts. While no work on packs is under way."""
        here = self._send_queue.of_pack(pack) if self._next.get(pack) != pack.sequence else []
        events, size = pack.unread
        if sum(batch.count for batch in here) + events != self._unsettled[pack]:
            return None
        return here, sum(batch.size for batch in here) + size

    def release(self) -> list[tuple[Pack, list[Batch], int]]:
        """The packs of which nothing is in flight or in parts: with their batches in the lanes, which forget them, and
        the bytes of lines that wait. Only while no work on packs is under way; to be followed by ``forget``."""
        found = []
        for pack in self._unsettled:
            if (waiting := self._waiting(pack)) is not None:
                here, size = waiting
                self._send_queue.forget(here)
                found.append((pack, here, size))
        return found

    def forget(self, pack: Pack) -> int:
        """A pack is somebody else's; its events that were not settled."""
        events = self._unsettled.get(pack, 0)
        if pack in self._next:
            self._packs.remove(pack)
            self._unmergeable.discard(pack)
            del self._next[pack]
        self._is_gone(pack)
        self._send_queue.boundary = self.oldest
        return events

    # --- reading -----------------------------------------------------------------------------------------------------

    def feed(self, *, share: int) -> None:
        """Read on, if the lanes need it; ``share``: among so many intakes."""
        if self._busy or not self._send_queue.hungry:
            return
        self._send_queue.enough_bytes = most_bytes = max(LEAST_BYTES, FEED_BYTES // share)
        pack = min(self._packs, key=lambda pack: self._next[pack])
        self._run(lambda: self._read(pack, most_bytes), lambda fed: self._fed(pack, fed), self._cannot_read)

    def _read(self, pack: Pack, most_bytes: int) -> Fed:
        """In the spool's thread."""
        try:
            fed = pack.read(most_batches=ENOUGH, most_bytes=most_bytes, sealed=float("-inf"))
        except FileNotFoundError:
            fed = pack.gone()
        for loss in fed.losses:
            self._packer.keep_damaged(pack, loss)
            pack.lose(loss)
        return fed

    def _fed(self, pack: Pack, fed: Fed) -> None:
        if fed.exhausted:
            self._packs.remove(pack)
            self._unmergeable.discard(pack)
            del self._next[pack]
        else:
            self._next[pack] = max(self._next[pack], fed.next)
        self._told(fed.batches)
        self._send_queue.feed(fed.batches, self.oldest)
        for loss in fed.losses:
            self._less(pack, loss.events)
            self._lost(pack, loss)

    def _cannot_read(self, error: OSError) -> None:
        self._failed(f"cannot read the spool: {error}")

    # --- packing -----------------------------------------------------------------------------------------------------

    def tidy(self, now: float, *, away: bool, packed: Callable[[list[Batch]], None]) -> None:
        """Pack what is worth it, then put small packs together. ``packed`` is told which batches went into one."""
        if self._busy or now < self._not_before:
            return
        if batches := self._send_queue.spare(now, away=away):
            self._pack(batches, now, packed)
        elif run := mergeable([pack for pack in self._packs if pack not in self._unmergeable]):
            self._merge([pack for pack in self._packs if pack not in self._unmergeable][slice(*run)])

    def _pack(self, batches: list[Batch], now: float, packed: Callable[[list[Batch]], None]) -> None:
        def done(result: tuple[Pack | None, list[Batch]]) -> None:
            pack, apart = result
            if pack is not None:
                left_out = set(apart)
                packed([batch for batch in batches if batch not in left_out])
                self.add(pack)
            for batch in apart:
                self._send_queue.add(batch, now)

        def failed(error: OSError) -> None:
            for batch in batches:
                self._send_queue.add(batch, now)
            # A full disk, mostly: what is dropped or delivered makes room, trying at once does not.
            self._not_before = now + TRY_AGAIN
            log.error("intake {intake}: cannot pack its backlog: {why}", intake=self._name, why=str(error))

        self._run(lambda: self._packer.pack(batches), done, failed)

    def _merge(self, packs: list[Pack]) -> None:
        def done(made: Pack) -> None:
            for pack in packs:
                self._packs.remove(pack)
                del self._next[pack]
                self._is_gone(pack)
            self.add(made)

        def failed(error: OSError) -> None:
            # A damaged one, perhaps: it is found when it is read.
            self._unmergeable.update(packs)

        self._run(lambda: self._packer.merge(packs), done, failed)

    def _run(self, job: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[OSError], None]) -> None:
        self._busy = True

        def ended(result: Any) -> Any:
            self._busy = False
            return result

        def trouble(failure: Failure) -> None:
            failure.trap(OSError)
            assert isinstance(failure.value, OSError)
            failed(failure.value)

        def defect(failure: Failure) -> None:
            log.failure("intake {intake}: defect while packing", failure, intake=self._name)
            self._failed(f"defect: {failure.value!r}")

        def go_on(nothing: None) -> None:
            self._changed()

        self._in_thread(job).addBoth(ended).addCallbacks(done, trouble).addErrback(defect).addCallback(go_on)
