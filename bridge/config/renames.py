"""Lists the renamed keys, and replaces old names in the tree of a configuration.

RENAMES is the only list of renamed keys. An old name is accepted with a warning until ACCEPTED_UNTIL, so that sites can
upgrade in steps and go back. The old and the new name of a key together are an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.config.faults import FaultReport
from bridge.config.yaml_tree import Entries, Items, Node

ACCEPTED_UNTIL = "0.3.0"
"The first version that rejects the old names. Before its release, RENAMES is emptied."


@dataclass(frozen=True)
class Rename:
    """A renamed key. `old` and `new` are paths of keys, in which `*` is each item of a list and each intake."""

    old: str
    new: str

    @property
    def section(self) -> tuple[str, ...]:
        """Returns the path of the section that has the old key; its own keys have their current names."""
        return tuple(self.old.split(".")[:-1])

    @property
    def old_key(self) -> str:
        """Returns the old key."""
        return self.old.rpartition(".")[2]

    @property
    def new_key(self) -> str:
        """Returns the new key."""
        return self.new.rpartition(".")[2]

    @property
    def is_moved(self) -> bool:
        """Returns True if the new key is at the top level and not in the section of the old one."""
        return "." not in self.new

    def written(self, key: str) -> str:
        """Returns an old key with its new name, in the quotes that it was written with."""
        return key.replace(self.old_key, self.new_key)

    @property
    def warning(self) -> str:
        """Returns the text for the operator, without the place."""
        old, moved = (self.old, " at the top level") if self.is_moved else (self.old_key, "")
        return f"{old} is now {self.new_key}{moved}. The old name is accepted until version {ACCEPTED_UNTIL}."


# A section that has moved stands before the keys in it, which have their paths in the new section.
RENAMES = (
    Rename("spool.share", "cluster"),
    Rename("cluster.exit", "cluster.egress_group"),
    Rename("cluster.alone_after", "cluster.fallback_after"),
    Rename("cluster.client_certificate", "cluster.client_cert_file"),
    Rename("cluster.client_key", "cluster.client_key_file"),
    Rename("collector.client_certificate", "collector.client_cert_file"),
    Rename("collector.client_key", "collector.client_key_file"),
    Rename("intakes.*.client_certificate", "intakes.*.client_cert_file"),
    Rename("intakes.*.client_key", "intakes.*.client_key_file"),
    Rename("listeners.*.certificate", "listeners.*.cert_file"),
    Rename("listeners.*.private_key", "listeners.*.key_file"),
    Rename("listeners.*.client_ca", "listeners.*.client_ca_file"),
    Rename("listeners.*.proxy_protocol", "listeners.*.trusted_proxies"),
    Rename("sources.*.expect", "sources.*.alert_if_silent_for"),
    Rename("sources.*.limit", "sources.*.rate_limit"),
    Rename("sources.*.sequence", "sources.*.detect_gaps"),
    Rename("routes.*.copy_to", "routes.*.mirror_to"),
    Rename("batch.catch_up_resolution", "batch.backlog_timestamp_resolution"),
    Rename("admin.certificate", "admin.cert_file"),
    Rename("admin.private_key", "admin.key_file"),
    Rename("admin.self_events", "admin.alerts_intake"),
    Rename("admin.self_events_format", "admin.alerts_format"),
    Rename("admin.self_events_every", "admin.alerts_statistics_every"),
)


def rename_keys(root: Entries, report: FaultReport) -> None:
    """Replaces the old names in a tree, each with a warning, or with an error if the new name is given as well."""
    for rename in RENAMES:
        for section in _sections(root, rename.section):
            if rename.old_key in section:
                _replace(rename, section, root if rename.is_moved else section, report)


def _replace(rename: Rename, section: Entries, target: Entries, report: FaultReport) -> None:
    old, new = rename.old_key, rename.new_key
    place = section.key_places[old]
    if new in target:
        text = f"{old} is the old name of {new}, which is given too, at {target.key_places[new]}. Remove {old}."
        report.at(place, text)
        section.prune(old)
        return
    report.warn(place, rename.warning)
    if target is section:
        section.rename(old, new)
    else:
        target.put(new, section[old], place, section.value_places[old])
        section.remove(old)


def _sections(node: Node, path: tuple[str, ...]) -> Iterator[Entries]:
    """Yields the sections at a path of the tree, in the order of the file."""
    if not path:
        if isinstance(node, Entries):
            yield node
        return
    step, rest = path[0], path[1:]
    found: list[Node] = []
    if step == "*":
        found = list(node.values()) if isinstance(node, Entries) else list(node) if isinstance(node, Items) else []
    elif isinstance(node, Entries):
        found = [node.get(step)]
    for each in found:
        yield from _sections(each, rest)
