"""Packs: many small batches of one intake in one compressed file, sent from there and never unpacked to disk.

A long outage must not drown a disk in small files: one of three events takes a block of 4 KiB for its 400 bytes.

The name, all that a restart reads::

    <first>-<last>-<earliest ms>-<latest ms>-<batches>-<events>-<bytes>-<doubtful>[.s<settled>][.b<begun>].pack

``first`` and ``last`` bound the sequences, ``earliest`` and ``latest`` the event times. ``batches`` is how many were
packed; a batch's *position* is its place among them. ``events`` and ``bytes`` (of lines, without compression) are
what is not settled yet, ``doubtful`` how many of these events may have been accepted already. ``settled`` are the
positions that are done with, ``begun`` those that a request has carried: ranges, ``0-41_57``; what is in both is
settled. ``doubtful`` also counts batches that were ``.sending`` when they were packed, whose own headers say so.

The contents are blocks (``bridge.spool.pack_blocks``): independent gzip members, so ``zcat`` reads a pack and damage
costs one block.

Progress is one rename, which is atomic: before a request goes its batches join *begun*, when they are settled they
join *settled*, and with the last of them the file goes. So after a crash what was in flight, and only that, may come
twice. A name holds 255 bytes: where *begun* does not fit it is widened to one range, and where *settled* does not,
batches stay *begun* until it does; what comes twice then is counted as a possible duplicate all the same. Renames
that record progress are not synced: a power cut may take back the last of them.

A pack is complete, and on disk, before any loose file of it is removed (``bridge.spool.pack_writer``): ``.packing``
while it is written, then fsync, rename, fsync of the directory. So at start ``.packing`` files are deleted, and a loose
file whose sequence a pack holds is a leftover. Membership is looked up in the pack, and only for a file in its range: a
file that was sealed late may lie there without being in the pack.

A pack belongs to the spool's thread, but for its identity.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bridge.spool import pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack_ranges import Ranges

SUFFIX, PARTIAL = ".pack", ".packing"
LONGEST_NAME = 250

_RANGES = r"[0-9]{1,9}(?:-[0-9]{1,9})?(?:_[0-9]{1,9}(?:-[0-9]{1,9})?)*"
_NAME = re.compile(
    r"([0-9]{1,19})-([0-9]{1,19})-(-?[0-9]{1,16})-(-?[0-9]{1,16})-([0-9]{1,9})-([0-9]{1,12})-([0-9]{1,15})-([0-9]{1,12})"
    rf"(?:\.s(?P<settled>{_RANGES}))?(?:\.b(?P<begun>{_RANGES}))?\.pack"
)


def settled_of(name: str) -> Ranges:
    """The positions that are done with, by a pack's file name."""
    match = _NAME.fullmatch(name)
    return Ranges.read(match["settled"] if match else None)


def begun_of(name: str) -> Ranges:
    """The positions that a request has carried, settled or not, by a pack's file name."""
    match = _NAME.fullmatch(name)
    return Ranges.read(match["begun"] if match else None)


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a pack that cannot be read."""

    what: str
    events: int
    "0: not known yet; what is missing in the end is counted then."
    size: int
    data: bytes
    "The damaged bytes, or the first of them."
    positions: tuple[int, int] | None = None
    "First and last, where they are counted here."


@dataclass(slots=True)
class Fed:
    """The next batches of a pack, with their lines in memory."""

    batches: list[Batch] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    exhausted: bool = False
    next: int = 0
    "The sequence at which it goes on, as near as is known."


class Pack:
    """One pack of undelivered batches."""

    def __init__(
        self,
        intake: str,
        directory: Path,
        *,
        first: int,
        last: int,
        earliest: int,
        latest: int,
        batches: int,
        count: int,
        size: int,
        doubtful: int = 0,
        settled: Ranges | None = None,
        begun: Ranges | None = None,
    ) -> None:
        self.intake = intake
        self.directory = directory
        self.first, self.last = first, last
        self.earliest, self.latest = earliest, latest
        self.batches = batches
        self.count = count
        "Events that are not settled; when the pack was found or made, for whoever is not in the spool's thread."
        self.size = size
        self.doubtful = doubtful
        self.disk = 0
        "Allocated bytes of the file, once it was made or found."
        self._settled = settled or Ranges()
        self._begun = begun or Ranges()
        self._unwritten: list[Batch] = []
        "Settled, but not so by the name."
        self._left, self._left_size = count, size
        self._unread, self._unread_size = count, size
        self._offset = 0
        self.name = self._name(self._settled, self._begun)

    @classmethod
    def of_name(cls, intake: str, directory: Path, text: str) -> "Pack | None":
        """The pack of this file name, None where it is not one."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        first, last, earliest, latest, batches, count, size, doubtful = map(int, match.groups()[:8])
        pack = cls(
            intake, directory, first=first, last=last, earliest=earliest, latest=latest, batches=batches, count=count,
            size=size, doubtful=doubtful, settled=Ranges.read(match["settled"]), begun=Ranges.read(match["begun"]),
        )  # fmt: skip
        pack.name = text
        return pack

    def rewound(self, intake: str | None = None, directory: Path | None = None) -> "Pack":
        """The same, to be read from its beginning; of another intake, where one is named, whose folder has the file."""
        unwritten = sum(batch.count for batch in self._unwritten)
        unwritten_size = sum(batch.size for batch in self._unwritten)
        made = Pack(
            intake or self.intake, directory or self.directory, first=self.first, last=self.last,
            earliest=self.earliest, latest=self.latest, batches=self.batches, count=self._left - unwritten,
            size=self._left_size - unwritten_size, doubtful=self.doubtful, settled=self._settled.copy(),
            begun=self._begun.copy(),
        )  # fmt: skip
        for batch in self._unwritten:
            made._settled.add(batch.position, batch.position)
        made._unwritten = list(self._unwritten)
        made._left, made._left_size = self._left, self._left_size
        made.name, made.disk = self.name, self.disk
        return made

    @property
    def sequence(self) -> int:
        """Where it stands among batches."""
        return self.first

    @property
    def unacknowledged(self) -> int:
        """Events that wait in a pack of which nothing has been read."""
        return self.count

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self.directory / self.name

    @property
    def unread(self) -> tuple[int, int]:
        """Events and bytes of lines that have not been handed out; while nobody reads."""
        return self._unread, self._unread_size

    @property
    def untouched(self) -> bool:
        """Whether nothing of it has been read, begun or settled."""
        return not (self._offset or self._settled or self._begun)

    def _name(self, settled: Ranges, begun: Ranges) -> str:
        left, left_size, doubtful = max(0, self._left), max(0, self._left_size), max(0, self.doubtful)
        parts = (self.first, self.last, self.earliest, self.latest, self.batches, left, left_size, doubtful)
        name = "-".join(map(str, parts))
        name += f".s{settled}" if settled else ""
        return name + (f".b{begun}" if begun else "") + SUFFIX

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, *, most_batches: int, most_bytes: int, sealed: float) -> Fed:
        """The batches that come next and are not settled: whole blocks, until one of the bounds is passed. ``sealed``
        becomes theirs. Raises OSError; then it goes on where it stood."""
        fed, size = Fed(next=self.first), 0
        if self._unread <= 0:
            # All that is left of it has been handed out; perhaps it is settled, and the file gone.
            fed.exhausted = True
            return fed
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while not fed.exhausted and len(fed.batches) < most_batches and size < most_bytes:
                found = pack_blocks.find(descriptor, self._offset)
                if found is None:
                    fed.exhausted = True
                    break
                header = found.header
                if header is None or not self._settled.covers(header.position, header.position + header.batches - 1):
                    entries = pack_blocks.decode(descriptor, found)
                    if entries is None:
                        fed.losses.append(self._lost(descriptor, found))
                    else:
                        assert header is not None
                        fresh = list(self._batches(header.position, entries, sealed))
                        size += sum(batch.size for batch in fresh)
                        fed.batches += fresh
                self._offset = found.end
                if header is not None:
                    fed.next = header.last + 1
        finally:
            os.close(descriptor)
        self._unread -= sum(batch.count for batch in fed.batches)
        self._unread_size -= sum(batch.size for batch in fed.batches)
        if fed.exhausted and self._unread > 0:
            fed.losses.append(Loss("its end, or a block of it, is missing", self._unread, self._unread_size, b""))
            self._unread = self._unread_size = 0
        return fed

    def gone(self) -> Fed:
        """What is to be said of a pack whose file is not there any more."""
        loss = Loss("the file is gone, though nobody of ours has removed it", self._unread, self._unread_size, b"")
        self._unread = self._unread_size = 0
        return Fed(losses=[loss], exhausted=True)

    def _batches(self, position: int, entries: list[pack_blocks.BlockEntry], sealed: float) -> Iterator[Batch]:
        for place, entry in enumerate(entries, position):
            if place in self._settled:
                continue
            yield Batch(
                intake=self.intake, sequence=entry.sequence, encoding=entry.encoding, timed=entry.timed,
                earliest=entry.earliest, latest=entry.latest, count=entry.events, size=entry.size,
                directory=self.directory, sealed=sealed, sending=entry.sending or place in self._begun,
                pack=self, position=place, held=entry.lines,
            )  # fmt: skip

    def _lost(self, descriptor: int, found: pack_blocks.FoundBlock) -> Loss:
        """A block that cannot be read. Counted at once where it is known what it held, in the end otherwise."""
        data = os.pread(descriptor, min(found.end - found.offset, pack_blocks.LARGEST), found.offset)
        what = f"bytes {found.offset} to {found.end} are damaged"
        header = found.header
        if header is None:
            return Loss(what, 0, 0, data)
        last = header.position + header.batches - 1
        what += f", batches {header.first} to {header.last}"
        if self._settled.touches(header.position, last):
            return Loss(what, 0, 0, data)
        events, size = min(header.events, self._unread), min(header.size, self._unread_size)
        self._unread -= events
        self._unread_size -= size
        return Loss(what, events, size, data, (header.position, last))

    def entries(self) -> Iterator[pack_blocks.BlockEntry]:
        """All batches that can be read, settled or not. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            offset = 0
            while found := pack_blocks.find(descriptor, offset):
                yield from pack_blocks.decode(descriptor, found) or ()
                offset = found.end
        finally:
            os.close(descriptor)

    def sequences(self) -> set[int]:
        """The sequences of all batches that can be read. Raises OSError."""
        return {entry.sequence for entry in self.entries()}

    # --- progress ----------------------------------------------------------------------------------------------------

    def begin(self, batches: Iterable[Batch]) -> None:
        """Mark batches, on disk, as ones that may have been accepted. Raises OSError."""
        fresh = [batch for batch in batches if not batch.sending]
        if not fresh:
            return
        begun, doubtful = self._begun.copy(), self.doubtful
        for batch in fresh:
            begun.add(batch.position, batch.position)
        self.doubtful += sum(batch.count for batch in fresh)
        try:
            if len(self._name(self._settled, begun)) > LONGEST_NAME:
                begun = begun.hull()
            self._rename(self._name(self._settled, begun))
        except OSError:
            self.doubtful = doubtful
            raise
        self._begun = begun
        for batch in fresh:
            batch.sending = True

    def settle(self, batches: Iterable[Batch]) -> None:
        """These are done with. The file goes with the last of them. Raises OSError."""
        self._unwritten += batches
        before = self._left, self._left_size, self.doubtful
        settled = self._settled.copy()
        for batch in self._unwritten:
            settled.add(batch.position, batch.position)
            self._left -= batch.count
            self._left_size -= batch.size
            self.doubtful -= batch.count if batch.sending else 0
        name = self._name(settled, self._begun)
        if len(name) > LONGEST_NAME:
            name = self._name(settled, self._begun.hull())
        written = False
        try:
            if self._left <= 0:
                self.path.unlink(missing_ok=True)
                written = True
            elif len(name) <= LONGEST_NAME:
                self._rename(name)
                written = True
        finally:
            if written:
                self._settled = settled
                self._unwritten.clear()
            else:
                self._left, self._left_size, self.doubtful = before

    def lose(self, loss: Loss) -> None:
        """Events of a damaged part wait no longer, after a restart neither. The file goes where nothing else waits.
        Raises OSError."""
        self._left -= loss.events
        self._left_size -= loss.size
        if loss.positions is not None:
            self._settled.add(*loss.positions)
        if self._left <= sum(batch.count for batch in self._unwritten):
            self.path.unlink(missing_ok=True)
            return
        name = self._name(self._settled, self._begun)
        if len(name) <= LONGEST_NAME:
            # What cannot be written down now is when a request begins; the batches that were read must not wait for it.
            with suppress(OSError):
                self._rename(name)

    def _rename(self, name: str) -> None:
        try:
            self.path.rename(self.directory / name)
        except FileNotFoundError:
            # Somebody removed it. What was read is in memory, and nothing of it can come twice after a restart.
            return
        self.name = name
