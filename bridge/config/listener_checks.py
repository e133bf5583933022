"""Checks listeners: one transport each, keys that fit it, unique names, and addresses that do not conflict."""

from bridge.config.addresses import Address
from bridge.config.faults import FaultReport, Place
from bridge.config.fields import Section
from bridge.config.listener_sections import KINDS, ONLY_FOR, Listener
from bridge.config.yaml_tree import Entries
from bridge.tls import suites
from bridge.tls.pem import PemError, read_identity


def _listed(kinds: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))


def check_listeners(
    listeners: tuple[Listener, ...], nodes: list[Entries], admin: Address, report: FaultReport, *, files: bool
) -> None:
    """Reports every fault of the listeners, including conflicts with the admin endpoint's address.

    With ``files``, the certificate files of the listeners are checked too.
    """
    names: dict[str, Place] = {}
    bound: list[tuple[Listener, Place]] = []
    for listener, node in zip(listeners, nodes, strict=True):
        kinds = [kind for kind in KINDS if node.wrote(kind)]
        if len(kinds) != 1:
            place = node.place_of(kinds[1]) if kinds else node.place
            report.at(place, f"a listener needs exactly one of {_listed(KINDS)}.")
            continue
        _transport_keys(kinds[0], node, report)
        _certificate(listener, node, report, files=files)
        _cipher_suites(listener, node, report)
        if listener.max_connections_per_peer > listener.max_connections and node.wrote("max_connections_per_peer"):
            text = f"must not exceed max_connections, which is {listener.max_connections}."
            node.fault(report, "max_connections_per_peer", text)
        if getattr(listener, kinds[0]) is None:
            continue
        _name(listener, node, names, report)
        place = node.place_of(listener.kind)
        _address(listener, place, bound, report)
        if listener.transport == "tcp" and listener.address.clashes(admin):
            report.at(place, f"{listener.kind}: {admin} is also admin.listen. Choose another port for one of them.")


def _transport_keys(kind: str, node: Entries, report: FaultReport) -> None:
    for key, kinds in ONLY_FOR.items():
        if node.wrote(key) and kind not in kinds:
            report.at(node.key_places[key], f"{key}: applies only to {_listed(kinds)} listeners. Remove it.")
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        # RELP works with or without TLS.
        if not node.wrote(key) and (kind in ("tls", "https") or (kind == "relp" and node.wrote(other))):
            node.fault(report, kind, f"{key} is missing. Write {key}: PATH of a PEM file.")
    if kind == "relp" and not node.wrote("cert_file"):
        for key in ("client_ca_file", "client_names", "client_fingerprints"):
            if node.wrote(key):
                text = "a RELP listener without TLS cannot check clients. Add cert_file and key_file."
                node.fault(report, key, text)
        for key in ("tls_min_version", "cipher_suites"):
            if node.wrote(key):
                node.fault(report, key, "has no effect without TLS. Add cert_file and key_file, or remove it.")


def _certificate(listener: Listener, node: Entries, report: FaultReport, *, files: bool) -> None:
    if listener.client_names and not node.wrote("client_ca_file"):
        node.fault(report, "client_names", "without client_ca_file, a client can claim any name. Add client_ca_file.")
    if files:
        check_identity(listener, "cert_file", "key_file", node, report)


def _cipher_suites(listener: Listener, node: Entries, report: FaultReport) -> None:
    """Reports suites that the other TLS settings of a listener exclude."""
    given = listener.cipher_suites
    of_1_2 = [name for name in given if name not in suites.TLS_1_3]
    if listener.tls_min_version == "1.3":
        excluded = "which tls_min_version: 1.3 excludes"
        if of_1_2:
            node.fault(report, "cipher_suites", f"suites of TLS 1.2, {excluded}: {', '.join(of_1_2)}. Remove them.")
        if listener.legacy_ciphers:
            node.fault(report, "legacy_ciphers", f"is about TLS 1.2, {excluded}. Remove one of the two.")
        return
    if given and not of_1_2:
        node.fault(report, "cipher_suites", "lists no suite of TLS 1.2. Add one, or set tls_min_version: 1.3.")
    if weak := [name for name in of_1_2 if name in suites.LEGACY and not listener.legacy_ciphers]:
        text = f"CBC or static RSA: {', '.join(weak)}. Set legacy_ciphers: true to allow such suites, or remove them."
        node.fault(report, "cipher_suites", text)


def check_identity(section: Section, certificate: str, private_key: str, node: Entries, report: FaultReport) -> None:
    """Reports unusable files of a certificate and its private key, which are values of two keys of a section."""
    files = {key: getattr(section, key) for key in (certificate, private_key)}
    if None in files.values():
        return
    try:
        read_identity(files[certificate], files[private_key])
    except PemError as error:
        node.fault(report, certificate if error.path == files[certificate] else private_key, str(error))


def _name(listener: Listener, node: Entries, names: dict[str, Place], report: FaultReport) -> None:
    if "name" in node.pruned:
        return
    name = listener.full_name
    place = node.place_of("name") if node.wrote("name") else node.place_of(listener.kind)
    if name in names:
        report.at(place, f"name: the listener at {names[name]} has the same name. Choose another name.")
    names.setdefault(name, place)


def _address(listener: Listener, place: Place, bound: list[tuple[Listener, Place]], report: FaultReport) -> None:
    transport = listener.transport
    for other, other_place in bound:
        if transport == other.transport and listener.address.clashes(other.address):
            what = "path" if transport == "unix" else "port"
            text = f"the {what} is used by the listener at {other_place} ({other.address}). Choose another {what}."
            report.at(place, f"{transport}: {text}")
            break
    bound.append((listener, place))
