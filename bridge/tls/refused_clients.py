"""Finds the seen clients that the ``client_names`` of their listener refuse, and patterns that would accept them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.tls.client_names import ClientNames
from bridge.tls.seen_clients import WEEK_MS, SeenClient, SeenClients, Sighting

T = TypeVar("T")

MOST_NAMED = 20
"Clients of each listener that are named, with a pattern. The others are only counted."


@dataclass(frozen=True, slots=True)
class RefusedClient:
    """A client that was seen within a week, and whose names do not match the listener's ``client_names``."""

    client: SeenClient
    sighting: Sighting
    pattern: str
    "A pattern that would accept it."


@dataclass(frozen=True, slots=True)
class RefusedClients:
    """The clients of one listener that its ``client_names`` refuse."""

    count: int = 0
    named: list[RefusedClient] = field(default_factory=list)
    "The latest ``MOST_NAMED`` clients, the latest first."

    @property
    def more(self) -> int:
        """Returns the number of clients that are not named."""
        return self.count - len(self.named)


class RefusedClientFinder:
    """Finds the refused clients of one listener. Matches each client once for as long as it is remembered."""

    def __init__(self, listener: str, client_names: tuple[str, ...]) -> None:
        self._listener = listener
        self._names = ClientNames(client_names)
        self._matches: dict[tuple[str, ...], bool] = {}
        self._patterns: dict[tuple[str, ...], str] = {}

    def find(self, clients: Iterable[tuple[SeenClient, Sighting]], now_ms: int) -> RefusedClients:
        """Returns the clients of the last week whose names do not match. ``clients``: the latest last."""
        seen = [
            (client, sighting)
            for client, sighting in clients
            if client.listener == self._listener and now_ms - sighting.seen_ms <= WEEK_MS
        ]
        self._matches = _mapped((client.names for client, _ in seen), self._names.match, self._matches)
        refused = [(client, sighting) for client, sighting in seen if not self._matches[client.names]]
        latest = refused[: -MOST_NAMED - 1 : -1]
        self._patterns = _mapped((client.names for client, _ in latest), self._names.pattern_for, self._patterns)
        named = [RefusedClient(client, sighting, self._patterns[client.names]) for client, sighting in latest]
        return RefusedClients(len(refused), named)


def _mapped(
    keys: Iterable[tuple[str, ...]], function: Callable[[tuple[str, ...]], T], known: Mapping[tuple[str, ...], T]
) -> dict[tuple[str, ...], T]:
    """Returns the function's result for each key. Calls it only for those that are not known."""
    return {key: known[key] if key in known else function(key) for key in keys}


@dataclass(slots=True)
class _Found:
    """The result for one listener, and the number of the seen clients' changes that it includes."""

    client_names: tuple[str, ...]
    finder: RefusedClientFinder
    changes: int = -1
    refused: RefusedClients = field(default_factory=RefusedClients)


class RefusedClientsCache:
    """Keeps the refused clients of each listener until the seen clients or ``client_names`` change."""

    def __init__(self, seen: SeenClients) -> None:
        self._seen = seen
        self._found: dict[str, _Found] = {}

    def find(self, listeners: Mapping[str, tuple[str, ...]], now_ms: int) -> dict[str, RefusedClients]:
        """Returns the refused clients by listener, for each that has any. ``listeners``: their ``client_names``."""
        self._seen.update(now_ms)
        before, self._found = self._found, {}
        for listener, client_names in listeners.items():
            if not client_names:
                continue
            found = before.get(listener)
            if found is None or found.client_names != client_names:
                found = _Found(client_names, RefusedClientFinder(listener, client_names))
            if found.changes != self._seen.changes:
                found.refused = found.finder.find(self._seen.clients.items(), now_ms)
                found.changes = self._seen.changes
            self._found[listener] = found
        return {listener: found.refused for listener, found in self._found.items() if found.refused.count}
