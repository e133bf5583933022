"""Defines packs: compressed files with many small batches of one intake, which are sent without unpacking to disk.

Packs keep a long outage from filling the disk with small files: a batch of three events takes a block of 4 KiB for its
400 bytes.

On restart only the name of a pack is read::

    <first>-<last>-<earliest ms>-<latest ms>-<batches>-<events>-<bytes>-<doubtful>[.s<settled>][.b<begun>].pack

``first`` and ``last`` bound the sequences, ``earliest`` and ``latest`` the event times. ``batches`` is the number of
batches that were packed; the *position* of a batch is its index among them. ``events`` and ``bytes`` (of lines, without
compression) count what is not settled yet. ``doubtful`` is the number of these events that may have been accepted
already and that no start has counted yet. ``settled`` lists the positions that are settled, ``begun`` the positions
that a request has carried. Both are ranges such as ``0-41_57``. A position in both is settled. ``doubtful`` also counts
batches that were ``.sending`` when they were packed; their entries in the pack record this.

The contents are independent gzip members (``bridge.spool.pack_blocks``).

One atomic rename records progress. Before a request starts, its batches are added to *begun* and *doubtful*. When they
are settled, they are added to *settled*. When the request fails, *doubtful* no longer counts them. With the last batch
the file is removed. So after a crash only the batches that were in flight may be sent twice. A file name holds at most
255 bytes. If *begun* does not fit, it is widened to one range. If *settled* does not fit, batches stay *begun* until it
does; batches that are then sent twice are still counted as possible duplicates. Renames that record progress are not
synced, so a power cut may undo the last of them.

A pack is complete and synced before any of its loose files is removed (``bridge.spool.pack_writer``): it is named
``.packing`` while it is written, then it is synced and renamed, and its directory is synced. So at start ``.packing``
files are deleted, and a loose file whose sequence is in a pack is an orphan. Recovery looks up the sequence in the pack
itself, and only for files within its range: a file that was sealed late may be in the range but not in the pack.

A pack is used on the spool thread only, except for its identity.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bridge.spool import pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack_name import PackName
from bridge.spool.pack_read import BlockCursor, Fed, Loss
from bridge.util.files import allocated_bytes

PARTIAL = ".packing"
LONGEST_NAME = 250


class Pack:
    """A pack of undelivered batches."""

    def __init__(
        self, intake: str, directory: Path, name: PackName, *, file: str | None = None, disk: int = 0,
        unwritten: Iterable[Batch] = (),
    ) -> None:  # fmt: skip
        """``file``: the name of the file, if it is not exactly ``name``; ``unwritten``: batches that are settled
        although ``name`` counts their events."""
        self.intake = intake
        self.directory = directory
        self.sequence = self.first = name.first
        "The lowest sequence, which orders the pack among batches."
        self.last = name.last
        self.earliest, self.latest = name.earliest, name.latest
        self.batches = name.batches
        self.name = file or str(name)
        "The current name of the file."
        self.disk = disk
        "Allocated bytes of the file when it was made or found."
        self.progress = name
        "The batches of the pack, and which of them are begun and settled, as the file name records it."
        self._uncounted = name.doubtful > 0
        "True if no start has counted the possible duplicates that the file name had when it was made or found."
        self._unwritten = list(unwritten)
        "Settled batches that the file name does not list yet."
        self.count = name.events - sum(batch.count for batch in self._unwritten)
        "Unsettled events when the pack was found or made. Other threads than the spool thread may read it."
        self.size = name.size - sum(batch.size for batch in self._unwritten)
        self._unread, self._unread_size = self.count, self.size
        self._cursor = BlockCursor(name.first)

    @classmethod
    def of_name(cls, intake: str, directory: Path, text: str, *, prefix: str = "", disk: int = 0) -> "Pack | None":
        """Returns the pack that a file name describes, or None if it is not the name of a pack after a prefix."""
        name = PackName.read(text.removeprefix(prefix))
        return None if name is None else cls(intake, directory, name, file=text, disk=disk)

    def rewound(self, intake: str | None = None, directory: Path | None = None) -> "Pack":
        """Returns a copy of the pack that is read from the beginning.

        With ``intake`` and ``directory`` the copy belongs to another intake, whose folder already contains the file.
        """
        settled = self.progress.settled.plus((batch.position, batch.position) for batch in self._unwritten)
        return Pack(
            intake or self.intake, directory or self.directory, replace(self.progress, settled=settled),
            file=self.name, disk=self.disk, unwritten=self._unwritten,
        )  # fmt: skip

    def measure(self) -> None:
        """Reads the allocated bytes of the file."""
        self.disk = allocated_bytes(self.path)

    @property
    def unacknowledged(self) -> int:
        """Returns the number of queued events in a pack that has not been read from."""
        return self.count

    @property
    def path(self) -> Path:
        """Returns the current path of the file."""
        return self.directory / self.name

    def withdrawn(self, unsettled: int) -> None:
        """Records that the pack is given up while this many of its events are unsettled."""
        self.count = unsettled

    @property
    def unread(self) -> tuple[int, int]:
        """Returns the events and bytes of lines that ``read`` has not returned yet. Do not call it during a read."""
        return self._unread, self._unread_size

    @property
    def untouched(self) -> bool:
        """Returns True if no batch of the pack has been read, begun or settled."""
        return not (self._cursor.offset or self.progress.settled or self.progress.begun)

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(
        self, *, most_batches: int, most_bytes: int, sealed: float, keep: Callable[[Loss], None] = lambda loss: None
    ) -> Fed:
        """Reads the next unsettled batches: whole blocks, until one of the limits is reached.

        The batches get ``sealed`` as their sealing time. ``keep`` stores the bytes of a damaged block. A block that
        cannot be read, or whose bytes cannot be kept, is skipped. Once the end is reached, each read tries the skipped
        blocks again. Raises OSError; then the next read starts at the same place.
        """
        if self._unread <= 0:
            # All remaining batches have been returned. They may be settled already and the file removed.
            return Fed(next=self.first, exhausted=True)
        fed, offset = Fed(), self._cursor.offset
        try:
            self._read_blocks(fed, most_batches, most_bytes, sealed, keep)
        except OSError:
            # The blocks before this one must not be lost. The next read raises the error again.
            if not fed.batches and not fed.losses and self._cursor.offset == offset:
                raise
        self._unread -= sum(batch.count for batch in fed.batches)
        self._unread_size -= sum(batch.size for batch in fed.batches)
        fed.next = self._cursor.sequence
        if self._cursor.ended:
            fed.stuck = self._cursor.error if self._cursor.skipped else None
            fed.exhausted = not self._cursor.skipped
        if fed.exhausted and self._unread > 0:
            fed.losses.append(Loss("its end or one of its blocks is missing", self._unread, self._unread_size, b""))
            self._unread = self._unread_size = 0
        return fed

    def _read_blocks(
        self, fed: Fed, most_batches: int, most_bytes: int, sealed: float, keep: Callable[[Loss], None]
    ) -> None:
        """Adds the batches and losses of the next blocks to ``fed``. Raises OSError."""
        size = 0
        for descriptor, found in self._cursor.blocks(self.path):
            if len(fed.batches) >= most_batches or size >= most_bytes:
                return
            if found.header is not None and self.progress.settled.covers(*found.header.positions):
                continue
            try:
                new = self._batches_of(descriptor, found, sealed, keep, fed.losses)
            except OSError as error:
                self._cursor.skip(found, error)
                continue
            size += sum(batch.size for batch in new)
            fed.batches.extend(new)

    def _batches_of(
        self, descriptor: int, found: pack_blocks.FoundBlock, sealed: float, keep: Callable[[Loss], None],
        losses: list[Loss],
    ) -> list[Batch]:  # fmt: skip
        """Returns the unsettled batches of a block. Adds a damaged block to ``losses``. Raises OSError."""
        entries = pack_blocks.decode(descriptor, found)
        if found.header is not None and entries is not None:
            return list(self._batches(found.header.position, entries, sealed))
        loss = self._lost(descriptor, found)
        keep(loss)
        self._unread -= loss.events
        self._unread_size -= loss.size
        losses.append(loss)
        return []

    def read_all(self, *, sealed: float) -> Iterator[Fed]:
        """Reads a copy of the pack from its beginning to its end, block by block.

        Raises OSError, at the end for blocks that were skipped.
        """
        copy, fed = self.rewound(), Fed()
        while not fed.exhausted:
            fed = copy.read(most_batches=1, most_bytes=1, sealed=sealed)
            yield fed
            if fed.stuck is not None:
                raise fed.stuck

    def file_missing(self) -> Fed:
        """Returns the loss of all unread events, for a pack whose file is missing."""
        loss = Loss("the file is missing, and syslog-bridge did not remove it", self._unread, self._unread_size, b"")
        self._unread = self._unread_size = 0
        return Fed(losses=[loss], exhausted=True)

    def _batches(self, position: int, entries: list[pack_blocks.BlockEntry], sealed: float) -> Iterator[Batch]:
        for place, entry in enumerate(entries, position):
            if place in self.progress.settled:
                continue
            carried = entry.sending or place in self.progress.begun
            yield Batch(
                intake=self.intake, sequence=entry.sequence, encoding=entry.encoding, timed=entry.timed,
                earliest=entry.earliest, latest=entry.latest, count=entry.events, size=entry.size,
                directory=self.directory, sealed=sealed, sending=carried and self._uncounted, sent=carried,
                pack=self, position=place, held=entry.lines,
            )  # fmt: skip

    def _lost(self, descriptor: int, found: pack_blocks.FoundBlock) -> Loss:
        """Returns the loss of an unreadable block.

        Its events are counted now if its header is intact and none of its batches is settled. Otherwise they are
        counted at the end of the pack.
        """
        data = os.pread(descriptor, min(found.end - found.offset, pack_blocks.LARGEST), found.offset)
        what = f"bytes {found.offset} to {found.end} are damaged"
        header = found.header
        if header is None:
            return Loss(what, 0, 0, data)
        what += f", batches {header.first} to {header.last}"
        if self.progress.settled.touches(*header.positions):
            return Loss(what, 0, 0, data)
        events, size = min(header.events, self._unread), min(header.size, self._unread_size)
        return Loss(what, events, size, data, header.positions)

    def entries(self) -> Iterator[pack_blocks.BlockEntry]:
        """Yields all readable batches, settled or not. Raises OSError."""
        for descriptor, found in pack_blocks.blocks(self.path):
            yield from pack_blocks.decode(descriptor, found) or ()

    # --- progress ----------------------------------------------------------------------------------------------------

    def begin(self, batches: Iterable[Batch]) -> None:
        """Marks batches in the file name as possibly accepted, before a request carries them. Raises OSError."""
        new = [batch for batch in batches if not batch.sending]
        if not new:
            return
        progress = replace(
            self.progress,
            begun=self.progress.begun.plus((batch.position, batch.position) for batch in new),
            doubtful=self.progress.doubtful + sum(batch.count for batch in new),
        )
        if len(str(progress)) > LONGEST_NAME:
            progress = replace(progress, begun=progress.begun.hull())
        self._rename(str(progress))
        self.progress = progress
        for batch in new:
            batch.sending = True

    def end(self, batches: Iterable[Batch]) -> None:
        """Counts batches no longer as possibly accepted, after a request that settled none of them. Raises OSError."""
        ended = [batch for batch in batches if batch.sending]
        if ended:
            progress = replace(self.progress, doubtful=self._doubtful_without(ended))
            self._rename(str(progress))
            self.progress = progress
            for batch in ended:
                batch.end_sending_in_pack()

    def counted(self) -> None:
        """Records that a start has counted the possible duplicates. Raises OSError."""
        progress = replace(self.progress, doubtful=0)
        self._rename(str(progress))
        self.progress, self._uncounted = progress, False

    def _doubtful_without(self, batches: Iterable[Batch]) -> int:
        return max(0, self.progress.doubtful - sum(batch.count for batch in batches))

    def settle(self, batches: Iterable[Batch]) -> None:
        """Records settled batches in the file name, and removes the file with the last of them. Raises OSError."""
        settled = self._unwritten = [*self._unwritten, *batches]
        progress = replace(
            self.progress,
            settled=self.progress.settled.plus((batch.position, batch.position) for batch in settled),
            events=self.progress.events - sum(batch.count for batch in settled),
            size=self.progress.size - sum(batch.size for batch in settled),
            doubtful=self._doubtful_without(batch for batch in settled if batch.sending),
        )
        name = str(progress)
        if len(name) > LONGEST_NAME:
            name = str(replace(progress, begun=progress.begun.hull()))
        if progress.events <= 0:
            self.path.unlink(missing_ok=True)
        elif len(name) <= LONGEST_NAME:
            self._rename(name)
        else:
            return
        self.progress = progress
        self._unwritten.clear()

    def record_loss(self, loss: Loss) -> None:
        """Records that the events of a damaged part are lost, so that a restart does not find them either.

        Removes the file if it has no other unsettled events. If it cannot be removed or renamed, the next change of
        its name records the loss, or the next start finds the damage again.
        """
        self.progress = replace(
            self.progress,
            events=self.progress.events - loss.events,
            size=self.progress.size - loss.size,
            settled=self.progress.settled.plus([loss.positions] if loss.positions else ()),
        )
        if self.progress.events <= sum(batch.count for batch in self._unwritten):
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            return
        name = str(self.progress)
        if len(name) <= LONGEST_NAME:
            # The batches that were read must not wait for this rename.
            with suppress(OSError):
                self._rename(name)

    def without_unread(self) -> "Pack | None":
        """Returns the pack as a rename makes it that gives up the events that have not been read; None if no other
        events are unsettled. Call on a copy, after ``read`` could read no further. Raises OSError.
        """
        events, size = self.unread
        if self.count <= events:
            return None
        parts = self._cursor.unread_positions(self.path, self.batches)
        rest = replace(
            self.progress, events=self.count - events, size=self.size - size, settled=self.progress.settled.plus(parts)
        )
        if len(str(rest)) > LONGEST_NAME:
            rest = replace(rest, begun=rest.begun.hull())
        if len(str(rest)) > LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(self.path))
        return Pack(self.intake, self.directory, rest, disk=self.disk)

    def _rename(self, name: str) -> None:
        try:
            self.path.rename(self.directory / name)
        except FileNotFoundError:
            # Another program removed the file. Batches that were read are in memory and cannot be sent twice.
            return
        self.name = name
