"""Reports clients that were seen within a week and that the ``client_names`` of a listener would refuse."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bridge.config.faults import Place, printable
from bridge.config.model import Config
from bridge.config.yaml_tree import Entries
from bridge.tls.refused_clients import RefusedClientFinder
from bridge.tls.seen_clients import read_clients


def lint_client_names(config: Config, nodes: Sequence[Entries]) -> Iterator[tuple[Place, str]]:
    """Yields a warning for each such client. The spool of the configuration knows the clients."""
    seen = read_clients(config.spool.directory)
    now_ms = int(time.time() * 1000)
    for listener, node in zip(config.listeners, nodes, strict=True):
        if not listener.client_names:
            continue
        place = node.place_of("client_names")
        if "*" in listener.client_names:
            yield (
                place,
                'client_names: "*" matches names without a dot only. Without client_names any name is accepted.',
            )
        refused = RefusedClientFinder(listener.name, listener.client_names).find(seen.items(), now_ms)
        for found in refused.named:
            when = datetime.fromtimestamp(found.sighting.seen_ms / 1000, UTC)
            names, pattern = printable(", ".join(found.client.names)), printable(found.pattern)
            text = f"client_names: the client {names} ({found.sighting.address}, last seen {when:%Y-%m-%d %H:%M} UTC)"
            yield place, f'{text} is refused. A * stands for one label. Add "{pattern}" to accept it.'
        if refused.more:
            yield place, f"client_names: {refused.more} more clients of the last week are refused."
