"""Defines packs: compressed files with many small batches of one intake, which are sent without unpacking to disk.

Packs keep a long outage from filling the disk with small files: a batch of three events takes a block of 4 KiB for its
400 bytes.

On restart only the name of a pack is read::

    <first>-<last>-<earliest ms>-<latest ms>-<batches>-<events>-<bytes>-<doubtful>[.s<settled>][.b<begun>].pack

``first`` and ``last`` bound the sequences, ``earliest`` and ``latest`` the event times. ``batches`` is the number of
batches that were packed; the *position* of a batch is its index among them. ``events`` and ``bytes`` (of lines, without
compression) count what is not settled yet. ``doubtful`` is the number of these events that may have been accepted
already. ``settled`` lists the positions that are settled, ``begun`` the positions that a request has carried. Both are
ranges such as ``0-41_57``. A position in both is settled. ``doubtful`` also counts batches that were ``.sending`` when
they were packed; their entries in the pack record this.

The contents are blocks (``bridge.spool.pack_blocks``): independent gzip members, so ``zcat`` reads a pack and damage
costs one block.

One atomic rename records progress. Before a request starts, its batches are added to *begun*. When they are settled,
they are added to *settled*. With the last batch the file is removed. So after a crash only the batches that were in
flight may be sent twice. A file name holds at most 255 bytes. If *begun* does not fit, it is widened to one range. If
*settled* does not fit, batches stay *begun* until it does; batches that are then sent twice are still counted as
possible duplicates. Renames that record progress are not synced, so a power cut may undo the last of them.

A pack is complete and synced before any of its loose files is removed (``bridge.spool.pack_writer``): it is named
``.packing`` while it is written, then it is synced and renamed, and its directory is synced. So at start ``.packing``
files are deleted, and a loose file whose sequence is in a pack is an orphan. Recovery looks up the sequence in the pack
itself, and only for files within its range: a file that was sealed late may be in the range but not in the pack.

A pack is used on the spool thread only, except for its identity.
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
    """Returns the settled positions that a pack's file name lists."""
    match = _NAME.fullmatch(name)
    return Ranges.read(match["settled"] if match else None)


def begun_of(name: str) -> Ranges:
    """Returns the positions that a request has carried, settled or not, from a pack's file name."""
    match = _NAME.fullmatch(name)
    return Ranges.read(match["begun"] if match else None)


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a pack that cannot be read."""

    what: str
    events: int
    "Number of lost events. 0: not known yet; events that are missing at the end of the pack are counted then."
    size: int
    data: bytes
    "The damaged bytes, or the first part of them."
    positions: tuple[int, int] | None = None
    "First and last lost position, if this loss counts their events."


@dataclass(slots=True)
class Fed:
    """The next batches of a pack, with their lines in memory."""

    batches: list[Batch] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    exhausted: bool = False
    next: int = 0
    "The sequence at which the next read continues, as far as it is known."


class Pack:
    """A pack of undelivered batches."""

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
        "Unsettled events when the pack was found or made. Other threads than the spool thread may read it."
        self.size = size
        self.doubtful = doubtful
        self.disk = 0
        "Allocated bytes of the file when it was made or found."
        self._settled = settled or Ranges()
        self._begun = begun or Ranges()
        self._unwritten: list[Batch] = []
        "Settled batches that the file name does not list yet."
        self._unsettled, self._unsettled_size = count, size
        self._unread, self._unread_size = count, size
        self._offset = 0
        self.name = self._name(self._settled, self._begun)

    @classmethod
    def of_name(cls, intake: str, directory: Path, text: str) -> "Pack | None":
        """Returns the pack that a file name describes, or None if it is not the name of a pack."""
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
        """Returns a copy of the pack that is read from the beginning.

        With ``intake`` and ``directory`` the copy belongs to another intake, whose folder already contains the file.
        """
        unwritten = sum(batch.count for batch in self._unwritten)
        unwritten_size = sum(batch.size for batch in self._unwritten)
        copy = Pack(
            intake or self.intake, directory or self.directory, first=self.first, last=self.last,
            earliest=self.earliest, latest=self.latest, batches=self.batches, count=self._unsettled - unwritten,
            size=self._unsettled_size - unwritten_size, doubtful=self.doubtful, settled=self._settled.copy(),
            begun=self._begun.copy(),
        )  # fmt: skip
        for batch in self._unwritten:
            copy._settled.add(batch.position, batch.position)
        copy._unwritten = list(self._unwritten)
        copy._unsettled, copy._unsettled_size = self._unsettled, self._unsettled_size
        copy.name, copy.disk = self.name, self.disk
        return copy

    @property
    def sequence(self) -> int:
        """Returns the sequence that orders the pack among batches."""
        return self.first

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
        return not (self._offset or self._settled or self._begun)

    def _name(self, settled: Ranges, begun: Ranges) -> str:
        events, size, doubtful = max(0, self._unsettled), max(0, self._unsettled_size), max(0, self.doubtful)
        parts = (self.first, self.last, self.earliest, self.latest, self.batches, events, size, doubtful)
        name = "-".join(map(str, parts))
        name += f".s{settled}" if settled else ""
        return name + (f".b{begun}" if begun else "") + SUFFIX

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, *, most_batches: int, most_bytes: int, sealed: float) -> Fed:
        """Reads the next unsettled batches: whole blocks, until one of the limits is reached.

        The batches get ``sealed`` as their sealing time. Raises OSError; then the next read starts at the same place.
        """
        fed, size = Fed(next=self.first), 0
        if self._unread <= 0:
            # All remaining batches have been returned. They may be settled already and the file removed.
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
                        new = list(self._batches(header.position, entries, sealed))
                        size += sum(batch.size for batch in new)
                        fed.batches += new
                self._offset = found.end
                if header is not None:
                    fed.next = header.last + 1
        finally:
            os.close(descriptor)
        self._unread -= sum(batch.count for batch in fed.batches)
        self._unread_size -= sum(batch.size for batch in fed.batches)
        if fed.exhausted and self._unread > 0:
            fed.losses.append(Loss("its end or one of its blocks is missing", self._unread, self._unread_size, b""))
            self._unread = self._unread_size = 0
        return fed

    def file_missing(self) -> Fed:
        """Returns the loss of all unread events, for a pack whose file is missing."""
        loss = Loss("the file is missing, and syslog-bridge did not remove it", self._unread, self._unread_size, b"")
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
        """Returns the loss of an unreadable block.

        Its events are counted now if its header is intact and none of its batches is settled. Otherwise they are
        counted at the end of the pack.
        """
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
        """Yields all readable batches, settled or not. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            offset = 0
            while found := pack_blocks.find(descriptor, offset):
                yield from pack_blocks.decode(descriptor, found) or ()
                offset = found.end
        finally:
            os.close(descriptor)

    def sequences(self) -> set[int]:
        """Returns the sequences of all readable batches. Raises OSError."""
        return {entry.sequence for entry in self.entries()}

    # --- progress ----------------------------------------------------------------------------------------------------

    def begin(self, batches: Iterable[Batch]) -> None:
        """Marks batches in the file name as possibly accepted, before a request carries them. Raises OSError."""
        new = [batch for batch in batches if not batch.sending]
        if not new:
            return
        begun, doubtful = self._begun.copy(), self.doubtful
        for batch in new:
            begun.add(batch.position, batch.position)
        self.doubtful += sum(batch.count for batch in new)
        try:
            if len(self._name(self._settled, begun)) > LONGEST_NAME:
                begun = begun.hull()
            self._rename(self._name(self._settled, begun))
        except OSError:
            self.doubtful = doubtful
            raise
        self._begun = begun
        for batch in new:
            batch.sending = True

    def settle(self, batches: Iterable[Batch]) -> None:
        """Records settled batches in the file name, and removes the file with the last of them. Raises OSError."""
        self._unwritten += batches
        before = self._unsettled, self._unsettled_size, self.doubtful
        settled = self._settled.copy()
        for batch in self._unwritten:
            settled.add(batch.position, batch.position)
            self._unsettled -= batch.count
            self._unsettled_size -= batch.size
            self.doubtful -= batch.count if batch.sending else 0
        name = self._name(settled, self._begun)
        if len(name) > LONGEST_NAME:
            name = self._name(settled, self._begun.hull())
        recorded = False
        try:
            if self._unsettled <= 0:
                self.path.unlink(missing_ok=True)
                recorded = True
            elif len(name) <= LONGEST_NAME:
                self._rename(name)
                recorded = True
        finally:
            if recorded:
                self._settled = settled
                self._unwritten.clear()
            else:
                self._unsettled, self._unsettled_size, self.doubtful = before

    def record_loss(self, loss: Loss) -> None:
        """Records that the events of a damaged part are lost, so that a restart does not find them either.

        Removes the file if it has no other unsettled events. Raises OSError.
        """
        self._unsettled -= loss.events
        self._unsettled_size -= loss.size
        if loss.positions is not None:
            self._settled.add(*loss.positions)
        if self._unsettled <= sum(batch.count for batch in self._unwritten):
            self.path.unlink(missing_ok=True)
            return
        name = self._name(self._settled, self._begun)
        if len(name) <= LONGEST_NAME:
            # If this rename fails, the next one records the loss. The batches that were read must not wait for it.
            with suppress(OSError):
                self._rename(name)

    def _rename(self, name: str) -> None:
        try:
            self.path.rename(self.directory / name)
        except FileNotFoundError:
            # Another program removed the file. Batches that were read are in memory and cannot be sent twice.
            return
        self.name = name
