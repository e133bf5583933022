"""Gives findings about this machine, such as a port in use, their places in the configuration."""

from typing import NamedTuple

from bridge.config.faults import Fault, Place, printable
from bridge.config.yaml_tree import Entries, Items, Node


class MachineFinding(NamedTuple):
    """A reason why this machine cannot run a valid configuration."""

    path: tuple[str | int, ...]
    "The keys and list positions that lead to the setting, such as listeners, 0, udp; the last may be a default."
    text: str
    "What was found, and what to do."
    error: bool
    "True if nothing but a change of the machine or of the configuration ends it; False if it may end by itself."


def placed(finding: MachineFinding, root: Entries) -> Fault:
    """Returns the fault at the place of the setting, or of the section that has it as a default."""
    node: Node = root
    place: Place = root.place
    for step in finding.path:
        if isinstance(node, Entries) and isinstance(step, str):
            place, node = node.place_of(step), node.get(step)
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node):
            place, node = node.places[step], node[step]
        else:
            break
    return Fault(*place, printable(finding.text))
