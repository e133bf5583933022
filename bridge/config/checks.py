"""Checks keys against each other: references, names, pairs of keys, and that some event can reach an intake.

The checks run on the valid part of a document. The tree tells which keys were written: a key with an invalid value is
already reported and counts as given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from bridge.config import addresses
from bridge.config.collector_section import DeliverySettings, IntakeSection
from bridge.config.document import Document
from bridge.config.faults import FaultReport, Place, shown_word, suggestion
from bridge.config.fields import Section
from bridge.config.gateway_sections import ClusterSection
from bridge.config.listener_checks import check_identity, check_listeners
from bridge.config.listener_sections import KINDS, SourceFacts
from bridge.config.routes import Route, RouteConditions
from bridge.config.yaml_tree import Entries, Items, Node


@dataclass(frozen=True)
class Checked:
    """A document with its tree; an absent section is read as an empty one at the place of the file."""

    document: Document
    root: Entries
    report: FaultReport

    def section(self, name: str) -> Entries:
        """Returns the node of a top-level section."""
        node = self.root.get(name)
        return node if isinstance(node, Entries) else Entries(self.root.key_places.get(name, self.root.place))


def check(document: Document, root: Entries, report: FaultReport, *, files: bool) -> None:
    """Reports every conflict between the keys of a document; with ``files``, also every unusable certificate file."""
    checked = Checked(document, root, report)
    _required(checked)
    _collector(checked, files=files)
    _intakes(checked, files=files)
    check_listeners(document.listeners, checked.root.items_of("listeners"), document.admin.listen, report, files=files)
    _redact(checked)
    _routes(checked)
    _unique_names(checked)
    _references(checked)
    _client_names(checked)
    _any_delivery(checked)
    _batch(checked)
    _cluster(checked, files=files)
    _admin(checked, files=files)


def _required(checked: Checked) -> None:
    root, report = checked.root, checked.report
    cluster = checked.document.cluster
    examples = {"listeners": '[{udp: "*:514"}, {tcp: "*:514"}]', "intakes": "{NAME: {intake_key: {file: PATH}}}"}
    if cluster is not None and cluster.role == "courier":
        # A courier needs no listeners: it may deliver only what other gateways receive.
        del examples["listeners"]
    for key, example in examples.items():
        node = root.get(key)
        if key not in root.pruned and not node and not (isinstance(node, Entries | Items) and node.pruned):
            root.fault(report, key, f"at least one is required. Write {key}: {example}.")
    for item in checked.root.items_of("sources"):
        if not item.wrote("source"):
            report.at(item.place, "source is missing. Name the senders of this entry, for example source: 192.0.2.7.")


def _collector(checked: Checked, *, files: bool) -> None:
    node, collector, report = checked.section("collector"), checked.document.collector, checked.report
    _delivery_settings(collector, node, report, files=files)
    if node.wrote("connections_per_intake") and collector.connections_per_intake > collector.connections:
        node.fault(report, "connections_per_intake", f"must not exceed connections, which is {collector.connections}.")


def _delivery_settings(settings: DeliverySettings, node: Entries, report: FaultReport, *, files: bool) -> None:
    """Checks the keys that the collector and an intake have in common."""
    if settings.url is not None and len(set(settings.url)) < len(settings.url):
        node.fault(report, "url", "the same URL is given twice. Remove one.")
    if node.wrote("region") and node.wrote("url"):
        node.fault(report, "url", "region and url exclude each other. Remove one.")
    _client(settings, node, report, files=files)
    proxy = node.get("proxy")
    if isinstance(proxy, Entries):
        if not proxy.wrote("url"):
            report.at(proxy.place, "proxy: url is missing. Write url: http://HOST:PORT.")
        _pair(proxy, "username", "password", report)


def _client(section: DeliverySettings | ClusterSection, node: Entries, report: FaultReport, *, files: bool) -> None:
    """Checks the trusted authorities and the client certificate of outgoing TLS connections."""
    if node.wrote("ca_file") and node.wrote("extra_ca_file"):
        text = "ca_file replaces the system's authorities, extra_ca_file adds to them. Remove one of the two."
        node.fault(report, "ca_file", text)
    _pair(node, "client_cert_file", "client_key_file", report)
    if files:
        check_identity(section, "client_cert_file", "client_key_file", node, report)


def _pair(node: Entries, first: str, second: str, report: FaultReport) -> None:
    for one, other in ((first, second), (second, first)):
        if node.wrote(one) and not node.wrote(other):
            node.fault(report, one, f"{other} is missing. Give both keys, or none.")


def _intakes(checked: Checked, *, files: bool) -> None:
    intakes = checked.section("intakes")
    collector = checked.section("collector")
    common_url = _has_url(collector) or "collector" in checked.root.pruned
    nodes = [node for node in intakes.values() if isinstance(node, Entries)]
    own_urls = any(_has_url(node) for node in nodes)
    if nodes and not common_url and not own_urls:
        place = checked.root.place_of("collector")
        text = "the collector has neither region nor url. Write collector: {region: FRA1} or collector: {url: https://HOST}."
        checked.report.at(place, text)
    for name, written in checked.document.intakes.items():
        node = intakes[name]
        assert isinstance(node, Entries)
        if not node.wrote("intake_key"):
            place = node.key_places.get("intake_key", intakes.key_places[name])
            checked.report.at(place, "the intake has no intake_key. Write intake_key: {file: PATH}.")
        _delivery_settings(written, node, checked.report, files=files)
        _scattered_endpoint(written, checked.document.collector.endpoint, node, checked.report)
        if own_urls and not common_url and not _has_url(node):
            text = "the intake has neither region nor url. Add one of them, or write collector: {region: FRA1}."
            checked.report.at(intakes.key_places[name], text)


def _scattered_endpoint(intake: IntakeSection, common: str, node: Entries, report: FaultReport) -> None:
    """Checks that the scattered endpoint carries many events with a time each, and that the endpoint does not."""
    path, endpoint = intake.scattered_endpoint, intake.endpoint or common
    if path is None:
        return
    if path not in addresses.TIME_PER_EVENT:
        known = " or ".join(addresses.TIME_PER_EVENT)
        text = f"{path} does not carry many events with a time each. Write {known}, or remove the key."
        node.fault(report, "scattered_endpoint", text)
    elif endpoint in addresses.TIME_PER_EVENT:
        text = f"has no effect, because the endpoint {endpoint} carries a time for each event already. Remove it."
        node.fault(report, "scattered_endpoint", text)


def _has_url(node: Entries) -> bool:
    return node.wrote("region") or node.wrote("url")


def _routes(checked: Checked) -> None:
    report = checked.report
    for route, node in zip(checked.document.routes, checked.root.items_of("routes"), strict=True):
        if node.wrote("intake") and route.drop:
            node.fault(report, "drop", "intake and drop exclude each other. Remove one.")
        elif not node.wrote("intake") and not route.drop and "drop" not in node.pruned:
            report.at(node.place, "the route has neither intake nor drop. Write intake: NAME or drop: true.")
        if route.drop:
            for key in ("payload", "timestamp", "timezone"):
                if node.wrote(key):
                    node.fault(report, key, "has no effect in a route that drops messages. Remove it.")
        if route.except_ is not None:
            except_node = node["except"]
            assert isinstance(except_node, Entries)
            if not except_node and not except_node.pruned:
                text = "has no condition, so the route would never match. Add a condition, or remove except."
                node.fault(report, "except", text)
    for conditions, node in _all_conditions(checked):
        _message_condition(conditions, node, report)
        _severities(conditions, node, report)


def _message_condition(conditions: RouteConditions, node: Entries, report: FaultReport) -> None:
    message = node.get("message")
    if conditions.message is not None and isinstance(message, Entries) and not message and not message.pruned:
        text = "has no condition. Write {contains: [TEXT]}, {starts_with: [TEXT]} or {matches: [REGEX]}."
        node.fault(report, "message", text)


def _severities(conditions: RouteConditions, node: Entries, report: FaultReport) -> None:
    low, high = conditions.min_severity, conditions.max_severity
    if low is not None and high is not None and high > low:
        text = "is milder than min_severity, so no severity meets both. Exchange the two values, or remove one."
        node.fault(report, "max_severity", text)


def _redact(checked: Checked) -> None:
    for node in checked.root.items_of("redact"):
        given = [key for key in ("pattern", "regex") if node.wrote(key)]
        if len(given) == 2:
            node.fault(checked.report, "regex", "pattern and regex exclude each other. Write an entry for each.")
        elif not given:
            checked.report.at(
                node.place, "the entry has neither pattern nor regex. Write pattern: NAME or regex: EXPRESSION."
            )


def _unique_names(checked: Checked) -> None:
    """Reports names that occur twice in one list. Default names count; their place is that of their entry."""
    document = checked.document
    lists: dict[str, tuple[Route | SourceFacts, ...]] = {"route": document.routes, "source": document.sources}
    for what, sections in lists.items():
        seen: dict[str, Place] = {}
        nodes = checked.root.items_of(f"{what}s")
        for position, (section, node) in enumerate(zip(sections, nodes, strict=True), start=1):
            default = f"route-{position}" if what == "route" and not node.wrote("name") else None
            name = section.name or default
            if not name:
                continue
            place = node.place_of("name")
            if name in seen:
                checked.report.at(place, f"name: the {what} at {seen[name]} has the same name. Choose another name.")
            seen.setdefault(name, place)


def _references(checked: Checked) -> None:
    for node, section in _all_intake_references(checked):
        _intake_exists(checked, node, "intake", getattr(section, "intake", None))
    admin, written = checked.document.admin, checked.section("admin")
    _intake_exists(checked, written, "alerts_intake", admin.alerts_intake)
    if admin.heartbeat is not None and isinstance(heartbeat := written.get("heartbeat"), Entries):
        _intake_exists(checked, heartbeat, "intake", admin.heartbeat.intake)
        if not heartbeat.wrote("intake"):
            checked.report.at(heartbeat.place, "heartbeat: intake is missing. Write heartbeat: {intake: NAME}.")
    _listener_references(checked)


def _listener_references(checked: Checked) -> None:
    listeners = {listener.name for listener in checked.document.listeners if listener.name}
    written = checked.root.get("listeners")
    if "listeners" in checked.root.pruned or (isinstance(written, Items) and written.pruned):
        return
    nodes = checked.root.items_of("listeners")
    for listener, node in zip(checked.document.listeners, nodes, strict=True):
        if not listener.name and any(getattr(listener, kind) is not None for kind in KINDS):
            listeners.add(listener.full_name)
        elif not listener.name and any(node.wrote(key) for key in ("name", *KINDS)):
            return  # The name of an invalid listener is unknown; the routes may refer to it.
    for conditions, node in _all_conditions(checked):
        for index, name in enumerate(conditions.listener):
            if name not in listeners:
                hint = suggestion(name, listeners, f". Known listeners: {_listed(listeners)}.")
                checked.report.at(_item_place(node, "listener", index), f"listener: no listener has this name{hint}")


def _client_names(checked: Checked) -> None:
    listeners = checked.root.items_of("listeners")
    verified = any(node.wrote("client_ca_file") or node.wrote("client_fingerprints") for node in listeners)
    for conditions, node in _all_conditions(checked):
        if conditions.client_name and not verified:
            text = "no listener requires client certificates. Add client_ca_file to a tls listener."
            node.fault(checked.report, "client_name", text)


def _intake_exists(checked: Checked, node: Entries, key: str, name: str | None) -> None:
    intakes = checked.section("intakes")
    known = [*intakes, *intakes.pruned]
    if name is None or name in known or "intakes" in checked.root.pruned:
        return
    hint = suggestion(name, known, f". Known intakes: {_listed(known)}.")
    node.fault(checked.report, key, f"unknown intake{shown_word(name)}{hint}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _all_intake_references(checked: Checked) -> Iterator[tuple[Entries, Section]]:
    yield from zip(checked.root.items_of("listeners"), checked.document.listeners, strict=True)
    yield from zip(checked.root.items_of("routes"), checked.document.routes, strict=True)
    yield checked.section("unrouted"), checked.document.unrouted


def _all_conditions(checked: Checked) -> Iterator[tuple[RouteConditions, Entries]]:
    for route, node in zip(checked.document.routes, checked.root.items_of("routes"), strict=True):
        yield route, node
        excepted = node.get("except")
        if route.except_ is not None and isinstance(excepted, Entries):
            yield route.except_, excepted


def _item_place(node: Entries, key: str, index: int) -> Place:
    value: Node = node.get(key)
    return value.places[index] if isinstance(value, Items) else node.place_of(key)


def _any_delivery(checked: Checked) -> None:
    """Reports a configuration in which no listener, route or `unrouted` names an intake; an invalid one counts."""
    nodes = [*checked.root.items_of("listeners"), *checked.root.items_of("routes"), checked.section("unrouted")]
    lists = [checked.root.get(key) for key in ("listeners", "intakes")]
    if any(node.wrote("intake") for node in nodes) or not all(lists):
        return
    if any(key in checked.root.pruned for key in ("listeners", "routes", "unrouted")):
        return
    text = "no event would reach an intake. Add a route, intake: NAME to a listener, or unrouted: {intake: NAME}."
    checked.report.at(checked.root.key_places["intakes"], text)


def _batch(checked: Checked) -> None:
    node, batch = checked.section("batch"), checked.document.batch
    if node.wrote("backlog_timestamp_resolution") and batch.backlog_timestamp_resolution < batch.timestamp_resolution:
        text = "must not be less than timestamp_resolution, or no batches are joined to catch up."
        node.fault(checked.report, "backlog_timestamp_resolution", text)


def _cluster(checked: Checked, *, files: bool) -> None:
    cluster, node = checked.document.cluster, checked.section("cluster")
    if cluster is None:
        return
    report = checked.report
    if not node.wrote("amqp"):
        report.at(node.place, "cluster: amqp is missing. Write amqp: [amqps://HOST, amqps://HOST].")
    elif len(set(cluster.amqp)) < len(cluster.amqp):
        node.fault(report, "amqp", "the same URL is given twice. Remove one.")
    _pair(node, "username", "password", report)
    _client(cluster, node, report, files=files)
    if files and find_spec("pika") is None:
        text = "cluster: the Python package pika is not installed. Run pip install 'syslog-bridge[fleet]'."
        report.at(checked.root.place_of("cluster"), text)


def _admin(checked: Checked, *, files: bool) -> None:
    node, admin = checked.section("admin"), checked.document.admin
    _pair(node, "cert_file", "key_file", checked.report)
    if not admin.listen.is_loopback:
        missing = [key for key in ("cert_file", "key_file", "token") if not node.wrote(key)]
        if missing:
            text = f"an address other than loopback requires {', '.join(missing)}. Add the missing keys."
            node.fault(checked.report, "listen", text)
    if files:
        check_identity(admin, "cert_file", "key_file", node, checked.report)
