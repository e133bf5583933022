"""Reports sources whose structured data is not sent, because neither ``format`` nor ``payload`` is set.

The running bridge has seen the sources. The checked configuration may be newer than the one that it uses.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.config.faults import Place, printable
from bridge.config.model import Config
from bridge.config.yaml_tree import Entries
from bridge.util.counts import counted

MOST = 20
"Sources of an intake that are named."


class SourceWithUnsentData(NamedTuple):
    """A source of the running bridge, with the SD-IDs that its events do not have."""

    source: str
    route: str | None
    intake: str | None
    ids: Sequence[str]
    format: str | None
    "The format that fits, or None if none is known."

    @property
    def settings(self) -> str:
        """Returns the settings that send the data."""
        if self.format is None:
            return "payload: auto"
        return f"format: {self.format} if the intake is of that product, else payload: auto"


def lint_unsent_data(
    config: Config, root: Entries, seen: Sequence[SourceWithUnsentData]
) -> Iterator[tuple[Place, str]]:
    """Yields a warning for each source whose intake the configuration leaves to the default."""
    chosen_by_route = {route.name for route in config.routes if route.payload is not None}
    section = root.get("intakes")
    for name, intake in config.intakes.items():
        if intake.format is not None or intake.payload is not None:
            continue
        found = [one for one in seen if one.intake == name and one.route not in chosen_by_route]
        place = section.key_places.get(name, section.place) if isinstance(section, Entries) else root.place
        for one in found[:MOST]:
            text = f"intake {name}: the events of {one.source} lack its structured data ({', '.join(one.ids)})."
            yield place, printable(f"{text} Set {one.settings}. To keep the events as they are, set payload: message.")
        if len(found) > MOST:
            yield (
                place,
                f"intake {name}: the structured data of {counted(len(found) - MOST, 'more source')} is not sent.",
            )
