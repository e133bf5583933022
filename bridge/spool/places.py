"""Frees the fixed places of a spool from files that do not belong there: a folder named ``lock``, a FIFO as quarantine.

Such a file is renamed to ``.foreign-<name>``, beside its place, and nothing ever deletes it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from bridge.spool.pack import PARTIAL
from bridge.spool.quarantine import REASONS
from bridge.util.files import clear_place, is_folder, is_nfs_leftover, shown_path
from bridge.util.os_errors import reason_of

CONTROL_SOCKET, LOCK, FORMAT = "control.sock", "lock", "format"
PROBE = f"0{PARTIAL}"
"A file that shows whether the spool can be written. A killed process may leave it."
_REPLACED = (".quota.json", ".sockets.json", ".clients.json", ".rates.json", ".problems.json", ".confirm.json", ".node")
_FILES = (".reserve", PROBE, *_REPLACED, *(f".{name}.new" for name in (*_REPLACED, FORMAT)), ".quota.json.new")
_FOLDERS = (".quarantine", ".archive", ".ledger", ".transfer")
_IN_QUARANTINE = (*REASONS, "damaged/files", "evidence")
_KNOWN = {CONTROL_SOCKET, LOCK, FORMAT, *_FILES, *_FOLDERS, "lost+found"}


def clear_for_lock(spool: Path) -> list[str]:
    """Frees the places of the lock and of the version of the layout, also from links.

    Returns one line for each file that was renamed, or cannot be.
    """
    return list(_clear(((spool / name, False) for name in (LOCK, FORMAT)), links=False))


def clear(spool: Path) -> list[str]:
    """Frees the places of a locked spool. Returns one line for each file that was renamed, cannot be, or is ignored.

    Raises OSError if the spool's directory cannot be read.
    """
    files = ((spool / name, False) for name in _FILES)
    folders = ((spool / name, True) for name in _FOLDERS)
    reasons = ((spool / ".quarantine" / name, True) for name in _IN_QUARANTINE)
    notes = [*_clear(files), *_clear(folders), *_clear(reasons)]
    control = spool / CONTROL_SOCKET
    if is_folder(control):
        # Anything else in this place is replaced.
        notes += _clear([(control, False)])
    return notes + [
        f"{shown_path(path)}: not a folder of an intake, ignored"
        for path in sorted(spool.iterdir())
        if path.name not in _KNOWN and not is_nfs_leftover(path.name) and not path.name.startswith(".foreign-")
        and not _may_be_folder(path)
    ]  # fmt: skip


def _may_be_folder(path: Path) -> bool:
    """Returns True for a folder, or if the kind of the file cannot be read."""
    try:
        return path.is_dir()
    except OSError:
        return True


def clear_folder(folder: Path) -> str | None:
    """Frees the place of an intake's folder. Returns a line if a file was renamed, or cannot be."""
    return None if folder.name in _KNOWN else next(_clear([(folder, True)]), None)


def _clear(places: Iterable[tuple[Path, bool]], *, links: bool = True) -> Iterator[str]:
    for place, folder in places:
        kind = "folder" if folder else "regular file"
        try:
            renamed = clear_place(place, folder=folder, links=links)
        except OSError as error:
            # What needs the place reports its own failure.
            yield f"{shown_path(place)}: not a {kind}, and cannot be renamed: {reason_of(error)}"
        else:
            if renamed is not None:
                yield f"{shown_path(place)}: not a {kind}, renamed to {renamed.name}"
