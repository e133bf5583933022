"""Remembers for a week which clients presented a certificate, in a small file of the spool.

The file tells ``check`` and ``status`` which clients a listener's ``client_names`` would refuse, before or after a
change of the names. It holds clients that were accepted, and clients that were refused only because ``*`` stands for
one label. Any other refused client could have invented its name, and is not remembered.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge.util.files import read_regular, write_replacing
from bridge.util.jobs import Work

FILE = ".clients.json"
EVERY = 10.0
"Seconds between two checks whether the file must be written."
WEEK_MS = 7 * 86_400_000
PRECISION_MS = 3_600_000
"The time of a client in the file is at most this much older than its latest connection, in milliseconds."
_LATEST_MS = 253_402_300_799_000
"The end of the year 9999, the latest time that can be shown."
LARGEST = 8 << 20
"Bytes of the file, at most. A larger one is not read."
MOST = 5000
"Clients that are remembered, at most. The one that has been silent longest is forgotten first."


class SeenClient(NamedTuple):
    """A client of a listener, by the names of its certificate."""

    listener: str
    names: tuple[str, ...]


class Sighting(NamedTuple):
    """Holds address and time of a client's latest connection."""

    address: str
    seen_ms: int


class SeenClients:
    """The clients of all listeners. ``note`` is called for each handshake and costs next to nothing."""

    def __init__(self) -> None:
        self._fresh: dict[SeenClient, str] = {}
        "Clients that connected since ``update``, with their addresses."
        self.clients: dict[SeenClient, Sighting] = {}
        self.changes = 0
        "Number of changes that are worth writing to the file. ``clients`` is the same while it is."

    def load(self, known: dict[SeenClient, Sighting]) -> None:
        """Adds the clients that an earlier process has seen. Called before any client is read."""
        self.clients = {**known, **self.clients}

    def note(self, listener: str, names: tuple[str, ...], address: str) -> None:
        """Remembers a client. It is the most recent one."""
        if len(self._fresh) < MOST:
            self._fresh[SeenClient(listener, names)] = address

    def update(self, now_ms: int) -> None:
        """Adds the clients that connected since the last call, and forgets old ones."""
        fresh, self._fresh = self._fresh, {}
        for client, address in fresh.items():
            before = self.clients.get(client)
            if before is None or not 0 <= now_ms - before.seen_ms < PRECISION_MS:
                # The dictionary stays in order of the latest time.
                self.clients.pop(client, None)
                self.clients[client] = Sighting(address, now_ms)
                self.changes += 1
        for client in [one for one, found in self.clients.items() if now_ms - found.seen_ms > WEEK_MS]:
            del self.clients[client]
            self.changes += 1
        while len(self.clients) > MOST:
            del self.clients[next(iter(self.clients))]


class SeenClientsFile:
    """Keeps seen clients over restarts of the gateway. ``wall`` returns the time in seconds since the epoch."""

    def __init__(self, folder: Path, seen: SeenClients, *, wall: Callable[[], float], work: Work) -> None:
        self._file = folder / FILE
        self._seen = seen
        self._wall = wall
        self._work = work
        self._saved_changes = seen.changes
        seen.load(read_clients(folder))

    def look(self) -> None:
        """Writes the file if necessary. Called every ``EVERY`` seconds."""
        self._seen.update(int(self._wall() * 1000))
        changes = self._seen.changes
        if changes == self._saved_changes:
            return
        self._work(partial(self._save, list(self._seen.clients.items())), partial(self._saved, changes))

    def _save(self, clients: Sequence[tuple[SeenClient, Sighting]]) -> OSError | None:
        try:
            write_replacing(self._file, _encode(clients))
        except OSError as error:
            return error
        return None

    def _saved(self, changes: int, error: OSError | None) -> None:
        # It is tried again. A disk that cannot be written raises an alarm of its own.
        if error is None:
            self._saved_changes = changes


def _encode(clients: Sequence[tuple[SeenClient, Sighting]]) -> bytes:
    """Returns the contents of the file. Leaves out the earliest clients if it would be larger than ``LARGEST``."""
    head, separator, tail = '{"clients": [', ", ", "]}\n"
    rows: list[str] = []
    size = len(head) + len(tail)
    for client, sighting in reversed(clients):
        row = json.dumps([*client, *sighting])
        size += len(row) + len(separator)
        if size > LARGEST:
            break
        rows.append(row)
    return f"{head}{separator.join(reversed(rows))}{tail}".encode()


def read_clients(folder: Path) -> dict[SeenClient, Sighting]:
    """Reads the file of a spool. Returns nothing if it is missing, too large, a link, or cannot be read.

    ``check`` may read it as root from a folder of another user, so no file of that user may exhaust the memory.
    """
    try:
        rows = json.loads(read_regular(folder / FILE, LARGEST, links=False))["clients"][-MOST:]
        return {
            SeenClient(str(listener), tuple(map(str, names))): Sighting(str(address), int(seen_ms))
            for listener, names, address, seen_ms in rows
            if 0 <= seen_ms <= _LATEST_MS
        }
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return {}
