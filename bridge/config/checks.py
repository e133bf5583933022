"""What no single key can get wrong: references, names, pairs of keys, and whether events arrive anywhere at all.

The checks run over what is right of a document, and ask the tree what was written: a key whose value is faulty has had
its fault, and counts as given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from bridge.config.collector_section import DeliverySettings
from bridge.config.document import Document
from bridge.config.faults import (
    FaultReport,
    Place,
    nearest,
    shown_word,
)
from bridge.config.gateway_sections import SharedBacklog
from bridge.config.listener_checks import check_listeners
from bridge.config.listener_sections import KINDS, SourceFacts
from bridge.config.routes import Route, RouteConditions
from bridge.config.section import Section
from bridge.config.yaml_tree import Entries, Items, Node
from bridge.tls.pem import PemError, read_identity


@dataclass(frozen=True)
class Checked:
    """A document with its tree, in which an absent section is an empty one at the place of the file."""

    document: Document
    root: Entries
    report: FaultReport

    def section(self, name: str) -> Entries:
        """The node of a top-level section."""
        node = self.root.get(name)
        return node if isinstance(node, Entries) else Entries(self.root.key_places.get(name, self.root.place))

    def items(self, name: str) -> list[Entries]:
        """The nodes of a top-level list, one for each of the document's."""
        node = self.root.get(name)
        return [item for item in node if isinstance(item, Entries)] if isinstance(node, Items) else []


def check(document: Document, root: Entries, report: FaultReport, *, files: bool) -> None:
    """Report everything that is wrong between the keys of a document; ``files``: and in the certificates it names."""
    checked = Checked(document, root, report)
    _required(checked)
    _collector(checked, files=files)
    _intakes(checked, files=files)
    check_listeners(document.listeners, checked.items("listeners"), document.admin.listen, report, files=files)
    _routes(checked)
    _unique_names(checked)
    _references(checked)
    _client_names(checked)
    _arrives(checked)
    _batch(checked)
    _share(checked, files=files)
    _admin(checked, files=files)


def _required(checked: Checked) -> None:
    root, report = checked.root, checked.report
    share = checked.document.spool.share
    for key, example in (
        ("listeners", '[{udp: "*:514"}, {tcp: "*:514"}]'),
        ("intakes", "{NAME: {intake_key: {file: PATH}}}"),
    ):
        node = root.get(key)
        if key == "listeners" and share is not None and share.role == "courier":
            # It may deliver what others receive, and nothing else.
            continue
        if key not in root.pruned and not node and not (isinstance(node, Entries | Items) and node.pruned):
            report.at(root.place_of(key), f"{key}: at least one is needed: {key}: {example}")
    if not checked.section("spool").wrote("directory") and "spool" not in root.pruned:
        place = checked.section("spool").place_of("directory") if "spool" in root else root.place
        report.at(place, "spool: a directory is needed: spool: {directory: /var/lib/syslog-bridge/spool}")
    for item in checked.items("sources"):
        if not item.wrote("source"):
            report.at(item.place, "source is missing: say whom this entry is about, source: 192.0.2.7")


def _collector(checked: Checked, *, files: bool) -> None:
    node, collector, report = checked.section("collector"), checked.document.collector, checked.report
    _pipeline(collector, node, report, files=files)
    if node.wrote("connections_per_intake") and collector.connections_per_intake > collector.connections:
        report.at(
            node.place_of("connections_per_intake"),
            f"connections_per_intake: more than connections, which is {collector.connections}",
        )


def _pipeline(pipeline: DeliverySettings, node: Entries, report: FaultReport, *, files: bool) -> None:
    """Keys that the collector and an intake have in common."""
    if pipeline.url is not None and len(set(pipeline.url)) < len(pipeline.url):
        report.at(node.place_of("url"), "url: an address is given twice: leave one off")
    if node.wrote("region") and node.wrote("url"):
        report.at(node.place_of("url"), "url: either region or url, not both")
    _client(pipeline, node, report, files=files)
    proxy = node.get("proxy")
    if isinstance(proxy, Entries):
        if not proxy.wrote("url"):
            report.at(proxy.place, "proxy: url is missing: write url: http://HOST:PORT")
        _pair(proxy, "username", "password", report)


def _client(section: DeliverySettings | SharedBacklog, node: Entries, report: FaultReport, *, files: bool) -> None:
    """Whom we trust and who we are, in TLS that we begin."""
    if node.wrote("ca_file") and node.wrote("extra_ca_file"):
        text = "ca_file: it is instead of the system's authorities, extra_ca_file beside them: give one"
        report.at(node.place_of("ca_file"), text)
    _pair(node, "client_certificate", "client_key", report)
    if files and section.client_certificate is not None and section.client_key is not None:
        try:
            read_identity(section.client_certificate, section.client_key)
        except PemError as error:
            key = "client_certificate" if error.path == section.client_certificate else "client_key"
            report.at(node.place_of(key), f"{key}: {error}")


def _pair(node: Entries, first: str, second: str, report: FaultReport) -> None:
    for one, other in ((first, second), (second, first)):
        if node.wrote(one) and not node.wrote(other):
            report.at(node.place_of(one), f"{one}: {other} is missing beside it")


def _intakes(checked: Checked, *, files: bool) -> None:
    intakes = checked.section("intakes")
    collector = checked.section("collector")
    addressed = _addressed(collector) or "collector" in checked.root.pruned
    nodes = [node for node in intakes.values() if isinstance(node, Entries)]
    addressed_itself = any(_addressed(node) for node in nodes)
    if nodes and not addressed and not addressed_itself:
        place = checked.root.place_of("collector")
        checked.report.at(place, "where is the collector? Write collector: {region: FRA1}, or url:")
    for name, written in checked.document.intakes.items():
        node = intakes[name]
        assert isinstance(node, Entries)
        if not node.wrote("intake_key"):
            place = node.key_places.get("intake_key", intakes.key_places[name])
            checked.report.at(place, "the intake has no intake_key: write intake_key: {file: PATH}")
        _pipeline(written, node, checked.report, files=files)
        if addressed_itself and not addressed and not _addressed(node):
            text = "where is this intake? Give it region or url, or write collector: {region: FRA1}"
            checked.report.at(intakes.key_places[name], text)


def _addressed(node: Entries) -> bool:
    return node.wrote("region") or node.wrote("url")


def _routes(checked: Checked) -> None:
    report = checked.report
    for route, node in zip(checked.document.routes, checked.items("routes"), strict=True):
        if node.wrote("intake") and route.drop:
            report.at(node.place_of("drop"), "drop: either intake or drop, not both")
        elif not node.wrote("intake") and not route.drop and "drop" not in node.pruned:
            report.at(node.place, "the route leads nowhere: write intake: NAME, or drop: true")
        if route.drop:
            for key in ("payload", "timestamp", "timezone"):
                if node.wrote(key):
                    report.at(node.place_of(key), f"{key}: has no use where messages are dropped: remove it")
        _asks_something(route, node, report)
        if route.except_ is not None:
            except_node = node["except"]
            assert isinstance(except_node, Entries)
            if not except_node and not except_node.pruned:
                report.at(
                    node.place_of("except"), "except: a condition is needed, or nothing would ever match the route"
                )
            _asks_something(route.except_, except_node, report)


def _asks_something(conditions: RouteConditions, node: Entries, report: FaultReport) -> None:
    message = node.get("message")
    if conditions.message is not None and isinstance(message, Entries) and not message and not message.pruned:
        report.at(node.place_of("message"), "message: write {contains: [TEXT]} or {starts_with: [TEXT]}")


def _unique_names(checked: Checked) -> None:
    """A name given twice in one list; a default name counts, and stands where its entry does."""
    document = checked.document
    lists: tuple[tuple[str, tuple[Route | SourceFacts, ...]], ...] = (
        ("route", document.routes),
        ("source", document.sources),
    )
    for what, sections in lists:
        seen: dict[str, Place] = {}
        for position, (section, node) in enumerate(zip(sections, checked.items(f"{what}s"), strict=True), start=1):
            default = f"route-{position}" if what == "route" and not node.wrote("name") else None
            name = section.name or default
            if not name:
                continue
            place = node.place_of("name")
            if name in seen:
                checked.report.at(place, f"name: this {what} is called as the one at {seen[name]}: choose another name")
            seen.setdefault(name, place)


def _references(checked: Checked) -> None:
    for node, section in _all_intake_references(checked):
        _intake_exists(checked, node, "intake", getattr(section, "intake", None))
    _intake_exists(checked, checked.section("admin"), "self_events", checked.document.admin.self_events)
    listeners = {listener.name for listener in checked.document.listeners if listener.name}
    written = checked.root.get("listeners")
    if "listeners" in checked.root.pruned or (isinstance(written, Items) and written.pruned):
        return
    nodes = checked.items("listeners")
    for listener, node in zip(checked.document.listeners, nodes, strict=True):
        if not listener.name and any(getattr(listener, kind) is not None for kind in KINDS):
            listeners.add(f"{listener.kind}:{listener.address}")
        elif not listener.name and any(node.wrote(key) for key in ("name", *KINDS)):
            return  # a listener whose name cannot be known may be the one that is meant
    for conditions, node in _all_conditions(checked):
        for index, name in enumerate(conditions.listener):
            if name not in listeners:
                meant = nearest(name, listeners)
                known = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(listeners)) or 'none'}"
                checked.report.at(_item_place(node, "listener", index), f"listener: no listener has this name: {known}")


def _client_names(checked: Checked) -> None:
    asked = any(node.wrote("client_ca") or node.wrote("client_fingerprints") for node in checked.items("listeners"))
    for conditions, node in _all_conditions(checked):
        if conditions.client_name and not asked:
            text = "client_name: no listener asks its clients for a certificate: give a tls listener a client_ca"
            checked.report.at(node.place_of("client_name"), text)


def _intake_exists(checked: Checked, node: Entries, key: str, name: str | None) -> None:
    intakes = checked.section("intakes")
    known = [*intakes, *intakes.pruned]
    if name is None or name in known or "intakes" in checked.root.pruned:
        return
    meant = nearest(name, known)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(known)) or 'none'}"
    checked.report.at(node.place_of(key), f"{key}: no intake is called{shown_word(name) or ' so'}: {hint}")


def _all_intake_references(checked: Checked) -> Iterator[tuple[Entries, Section]]:
    yield from zip(checked.items("listeners"), checked.document.listeners, strict=True)
    yield from zip(checked.items("routes"), checked.document.routes, strict=True)
    yield checked.section("unrouted"), checked.document.unrouted


def _all_conditions(checked: Checked) -> Iterator[tuple[RouteConditions, Entries]]:
    for route, node in zip(checked.document.routes, checked.items("routes"), strict=True):
        yield route, node
        excepted = node.get("except")
        if route.except_ is not None and isinstance(excepted, Entries):
            yield route.except_, excepted


def _item_place(node: Entries, key: str, index: int) -> Place:
    value: Node = node.get(key)
    return value.places[index] if isinstance(value, Items) else node.place_of(key)


def _arrives(checked: Checked) -> None:
    """Some road must lead to an intake; a faulty one counts."""
    nodes = [*checked.items("listeners"), *checked.items("routes"), checked.section("unrouted")]
    lists = [checked.root.get(key) for key in ("listeners", "intakes")]
    if any(node.wrote("intake") for node in nodes) or not all(lists):
        return
    if any(key in checked.root.pruned for key in ("listeners", "routes", "unrouted")):
        return
    text = "no event would reach an intake: add routes, intake: NAME to a listener, or unrouted: {intake: NAME}"
    checked.report.at(checked.root.key_places["intakes"], text)


def _batch(checked: Checked) -> None:
    node, batch = checked.section("batch"), checked.document.batch
    if node.wrote("catch_up_resolution") and batch.catch_up_resolution < batch.timestamp_resolution:
        text = "catch_up_resolution: less than timestamp_resolution: catching up would join nothing"
        checked.report.at(node.place_of("catch_up_resolution"), text)


def _share(checked: Checked, *, files: bool) -> None:
    share, node = checked.document.spool.share, checked.section("spool").get("share")
    if share is None or not isinstance(node, Entries):
        return
    report = checked.report
    if not node.wrote("amqp"):
        report.at(node.place, "share: where are the brokers? Write amqp: [amqps://HOST, amqps://HOST]")
    elif len(set(share.amqp)) < len(share.amqp):
        report.at(node.place_of("amqp"), "amqp: an address is given twice: leave one off")
    _pair(node, "username", "password", report)
    _client(share, node, report, files=files)
    if files and find_spec("pika") is None:
        text = "share: the package pika is missing, which speaks with brokers: pip install 'syslog-bridge[fleet]'"
        report.at(checked.section("spool").place_of("share"), text)


def _admin(checked: Checked, *, files: bool) -> None:
    node, admin = checked.section("admin"), checked.document.admin
    _pair(node, "certificate", "private_key", checked.report)
    if not admin.listen.is_loopback:
        missing = [key for key in ("certificate", "private_key", "token") if not node.wrote(key)]
        if missing:
            text = f"listen: reachable from elsewhere, it needs {', '.join(missing)}"
            checked.report.at(node.place_of("listen"), text)
    if files and admin.certificate is not None and admin.private_key is not None:
        try:
            read_identity(admin.certificate, admin.private_key)
        except PemError as error:
            key = "certificate" if error.path == admin.certificate else "private_key"
            checked.report.at(node.place_of(key), f"{key}: {error}")
