"""Recovers a spool at start from file names and sizes.

Recovery reads the contents only of files that were still open, whose size differs from their name, or that may already
be in a pack.

A file that was open when its process died is cut after its last line end and sealed. A file that is shorter than its
name says keeps its whole lines. Damaged and foreign files move to quarantine and are counted, and recovery continues.
A file that must be read and cannot be stays where it is, and so does a folder that cannot be listed. ``recover_again``
tries them again.

A batch that a request already carried before the restart, without a settled outcome, is *unconfirmed*: it may have been
accepted, and the journal may have receipts for it. A loose one is named ``.sending``, or ``.sent`` once a start has
counted its events as possible duplicates. So a further start counts them only if a request has carried them again. The
name of a pack lists the positions that a request carried, and the pack marks batches that were ``.sending`` when they
were packed. So a pack whose name shows possible duplicates is read, except for blocks that are settled as a whole.
Reading a pack of 4,096 batches takes some hundredths of a second.
"""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bridge.spool import batch_names, pack_blocks
from bridge.spool.batch import Batch
from bridge.spool.pack import PARTIAL, Pack
from bridge.spool.transaction import Transaction
from bridge.util.counts import counted
from bridge.util.files import is_foreign, is_nfs_leftover, read_regular, shown_path

_PARTIAL = re.compile(r"[0-9]{1,19}" + re.escape(PARTIAL))


@dataclass(slots=True)
class RecoveredSpool:
    """The batches, packs and faults that recovery found in a spool."""

    batches: list[Batch] = field(default_factory=list)
    "Loose batches in sequence order."
    sending: Counter[str] = field(default_factory=Counter)
    "Possible duplicates by intake: events of requests that had been started."
    damaged: Counter[str] = field(default_factory=Counter)
    "Lost events by intake: named by damaged files, but not in them."
    notes: list[str] = field(default_factory=list)
    "One line for each damaged, foreign or duplicate file."
    packs: list[Pack] = field(default_factory=list)
    "Packs in sequence order; ``batches`` does not contain their batches."
    transactions: list[Transaction] = field(default_factory=list)
    "Finished transactions of operators' commands, whose account the journal may not have."
    unreadable: dict[Path, OSError] = field(default_factory=dict)
    "Batch files that cannot be read, and folders that cannot be listed, so that their events are not counted yet."

    @property
    def stored(self) -> list[Batch | Pack]:
        """All batches and packs."""
        return [*self.batches, *self.packs]

    def sort(self) -> None:
        """Sorts batches and packs by sequence."""
        self.batches.sort(key=lambda batch: batch.sequence)
        self.packs.sort(key=lambda pack: pack.sequence)

    def add_batch(self, batch: Batch) -> None:
        """Adds a loose batch."""
        self.batches.append(batch)
        if batch.sending:
            self.sending[batch.intake] += batch.count

    def add_pack(self, pack: Pack) -> None:
        """Adds a pack."""
        self.packs.append(pack)
        if pack.progress.doubtful:
            self.sending[pack.intake] += pack.progress.doubtful

    def possible_duplicates_counted(self) -> None:
        """Records in the file names that the possible duplicates are counted, so that the next start does not count
        them again."""
        for batch in self.batches:
            if batch.sending:
                with suppress(OSError):
                    batch.sent_before()
        for pack in self.packs:
            if pack.progress.doubtful:
                with suppress(OSError):
                    pack.counted()

    def unconfirmed(self) -> tuple[list[tuple[int, int, str]], int]:
        """Returns the unconfirmed batches as (sequence, events, intake), and the number of unreadable batches."""
        found = [(batch.sequence, batch.count, batch.intake) for batch in self.batches if batch.doubtful]
        unreadable = 0
        for pack in self.packs:
            try:
                unreadable += _add_unconfirmed(pack, found)
            except OSError:
                unreadable += pack.batches
        return sorted(found), unreadable


@dataclass(frozen=True, slots=True)
class RecoveryTerms:
    """The settings of a recovery."""

    resolution_ms: int
    sealed: float
    "Sealing time of the recovered batches in monotonic seconds."
    move_aside: Callable[[Path], Path]
    "Moves a damaged or foreign file to quarantine and returns its new path."


def recover(spool: Path, terms: RecoveryTerms) -> RecoveredSpool:
    """Reads the spool's file names and repairs the files that a killed process left.

    Raises OSError if the spool's directory cannot be read.
    """
    found = RecoveredSpool()
    # Skip other folders: a spool on its own filesystem has a lost+found that only root may read.
    for folder in sorted(entry for entry in spool.iterdir() if batch_names.is_intake(entry.name)):
        try:
            names = _names(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                continue
            found.unreadable[folder] = error
            found.notes.append(f"{folder}: {error.strerror}; its events wait until it can be listed")
            continue
        _recover_folder(folder, names, terms, found)
    found.sort()
    return found


def recover_again(path: Path, terms: RecoveryTerms, before: Callable[[], int]) -> RecoveredSpool:
    """Recovers a batch file that could not be read at start, or a folder that could not be listed. Raises OSError.

    ``before`` returns the lowest sequence of this process. Files of a folder from this sequence on are left alone.
    """
    found = RecoveredSpool()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return found
    if stat.S_ISDIR(mode):
        names = _names(path)
        # Files that this process made are in the list only if the sequence was already in use.
        limit = before()
        _recover_folder(path, [name for name in names if _is_before(path, name, limit)], terms, found)
        found.sort()
    elif (name := batch_names.read(path.name)) is not None:
        _recover_batch(path, name, terms, found)
    return found


def _names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not is_nfs_leftover(name))


def _is_before(folder: Path, text: str, sequence: int) -> bool:
    """Returns True if a file name belongs to a batch or a pack with lower sequences only."""
    if (name := batch_names.read(text)) is not None:
        return name.sequence < sequence
    if (pack := Pack.of_name(folder.name, folder, text)) is not None:
        return pack.last < sequence
    return _PARTIAL.fullmatch(text) is not None and int(text.removesuffix(PARTIAL)) < sequence


def _recover_folder(folder: Path, names: list[str], terms: RecoveryTerms, found: RecoveredSpool) -> None:
    sequences = cache(_sequences)
    packs = _packs(folder, names, found, sequences)
    pack_names = {pack.name for pack in packs}
    for path in (folder / text for text in names if text not in pack_names):
        foreign, name = is_foreign(path), batch_names.read(path.name)
        if foreign or name is None:
            if not foreign and (_PARTIAL.fullmatch(path.name) or Pack.of_name(folder.name, folder, path.name)):
                # A pack that was being written, or was merged: all of its batches exist in other files.
                _remove(path, found)
            else:
                _set_aside(path, "not a batch file", terms, found)
            continue
        around = (pack for pack in packs if pack.first <= name.sequence <= pack.last)
        if any(name.sequence in sequences(pack) for pack in around):
            _remove(path, found)
            continue
        try:
            _recover_batch(path, name, terms, found)
        except OSError as error:
            found.unreadable[path] = error
            found.notes.append(f"{path}: {error.strerror}; its events wait until it can be read")


def _remove(path: Path, found: RecoveredSpool) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        found.notes.append(f"{path}: {error.strerror}; cannot remove this copy, the next start tries again")


def _set_aside(path: Path, why: str, terms: RecoveryTerms, found: RecoveredSpool) -> None:
    """Moves a damaged or foreign file to quarantine, or leaves it where it is if that fails."""
    try:
        result = f"moved to {shown_path(terms.move_aside(path))}"
    except OSError as error:
        result = f"ignored, because it cannot be moved to quarantine: {error.strerror}"
    found.notes.append(f"{shown_path(path)}: {why}, {result}")


def _packs(folder: Path, names: list[str], found: RecoveredSpool, sequences: Callable[[Pack], set[int]]) -> list[Pack]:
    """Returns the packs of an intake, without packs whose batches are all in a larger, merged pack."""
    packs: list[Pack] = []
    for text in names:
        if (pack := Pack.of_name(folder.name, folder, text)) is not None and not is_foreign(pack.path):
            pack.measure()
            packs.append(pack)
    packs.sort(key=lambda pack: (pack.first, -pack.batches))
    for pack in list(packs):
        for larger in packs:
            inside = larger.first <= pack.first and pack.last <= larger.last and larger.batches > pack.batches
            if inside and len(own := sequences(pack)) == pack.batches and own <= sequences(larger):
                packs.remove(pack)
                break
    for pack in packs:
        found.add_pack(pack)
    return packs


def _sequences(pack: Pack) -> set[int]:
    try:
        return {entry.sequence for entry in pack.entries()}
    except OSError:
        # Sending a batch twice is better than losing it.
        return set()


def _recover_batch(path: Path, name: batch_names.BatchName, terms: RecoveryTerms, found: RecoveredSpool) -> None:
    """Adds the batch of a file, after repairing the file. Raises OSError."""
    folder = path.parent
    try:
        status = path.stat()
    except OSError:
        if name.state == "open":
            raise
        # The name tells what the file holds. The courier holds the batch until the file can be read.
        size, disk = name.size, 0
    else:
        size, disk = status.st_size, status.st_blocks * 512
    if name.state == "open" or size != name.size:
        lines, whole = _cut_torn_tail(path)
        if name.state != "open":
            lost = max(0, name.events - lines)
            found.notes.append(f"{path}: has {size} bytes, its name says {name.size}; {counted(lost, 'event')} lost")
            found.damaged[folder.name] += lost
            if lines > name.events:
                _set_aside(path, f"has {counted(lines, 'event')}, its name says {name.events}", terms, found)
                return
        if not lines:
            path.unlink()
            return
        repaired = name._replace(state="sealed" if name.state == "open" else name.state, events=lines, size=whole)
        target = folder / str(repaired)
        if target.exists():
            _set_aside(path, f"{target.name} already exists", terms, found)
            return
        path.rename(target)
        name = repaired
    latest = name.earliest if name.timed else (name.earliest // terms.resolution_ms + 1) * terms.resolution_ms - 1
    found.add_batch(Batch.of_name(folder.name, folder, name, latest=latest, sealed=terms.sealed, disk=disk))


def _cut_torn_tail(path: Path) -> tuple[int, int]:
    """Cuts a file after its last line end. Returns its remaining lines and bytes. Raises OSError."""
    data = read_regular(path)
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        os.truncate(path, whole)
    return data.count(b"\n", 0, whole), whole


def _add_unconfirmed(pack: Pack, found: list[tuple[int, int, str]]) -> int:
    """Adds the unconfirmed batches of a pack. Returns the number of batches in damaged blocks. Raises OSError."""
    settled, begun = pack.progress.settled, pack.progress.begun
    if not pack.progress.doubtful and begun.within(settled):
        return 0
    unreadable = 0
    for descriptor, block in pack_blocks.blocks(pack.path):
        header = block.header
        if header is not None and settled.covers(*header.positions):
            continue
        entries = pack_blocks.decode(descriptor, block)
        if header is None or entries is None:
            unreadable += 1 if header is None else header.batches
            continue
        for place, entry in enumerate(entries, header.position):
            if (entry.sending or place in begun) and place not in settled:
                found.append((entry.sequence, entry.events, pack.intake))
    return unreadable
