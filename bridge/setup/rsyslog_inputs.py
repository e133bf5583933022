"""Converts the inputs of ``rsyslog.conf``: ``input()``, ``module()`` and the older ``$...ServerRun`` directives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from bridge.config.faults import Place
from bridge.setup.import_receiver import ReceiverDraft
from bridge.setup.import_result import Port
from bridge.setup.rsyslog_tree import RsyslogStatement

_KINDS = {"imudp": "udp", "imtcp": "tcp", "imptcp": "tcp", "imrelp": "relp"}
_RUN = {"udpserverrun": "udp", "inputtcpserverrun": "tcp", "inputptcpserverrun": "tcp", "inputrelpserverrun": "relp"}
_BIND = {"inputudpserverbindruleset": "udp", "inputtcpserverbindruleset": "tcp", "inputptcpserverbindruleset": "tcp",
         "inputrelpserverbindruleset": "relp"}  # fmt: skip
_HAS_COUNTERPART = ("omfwd", "omrelp", "omhttp", "lmnsd_gtls", "lmnsd_ossl")
_CERTIFICATES = {"defaultnetstreamdrivercertfile": "cert_file", "defaultnetstreamdriverkeyfile": "key_file",
                 "defaultnetstreamdrivercafile": "client_ca_file"}  # fmt: skip
_READ = ("type", "name", "port", "address", "ruleset", "streamdriver.name", "streamdriver.mode",
         "streamdriver.authmode", "streamdriver.certfile", "streamdriver.keyfile", "streamdriver.cafile", "tls",
         "tls.mycert", "tls.myprivkey", "tls.cacert", "tls.authmode", "tls.tlslib", "keepalive", "keepalive.interval",
         "keepalive.time", "keepalive.probes")  # fmt: skip


@dataclass
class _Waiting:
    """An input whose certificate files may be set in a later line."""

    kind: str
    statement: RsyslogStatement
    group: str
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()


class RsyslogInputs:
    """Takes statements of the top level that belong to inputs; ``finish`` adds the listeners to the draft."""

    def __init__(self, draft: ReceiverDraft, certificates: str | None, default_ruleset: str) -> None:
        self._draft = draft
        self._folder = certificates
        self._default = default_ruleset
        self._waiting: list[_Waiting] = []
        self._modules: dict[str, RsyslogStatement] = {}
        self._files: dict[str, str] = {}
        self._bound: dict[str, str] = {}
        self._address = "*"
        self._tls_mode = "0"

    def take(self, statement: RsyslogStatement) -> bool:
        """Reads a statement; returns False if it has nothing to do with inputs."""
        if statement.kind == "module":
            return self._module(statement)
        if statement.kind == "global":
            return self._global(statement)
        if statement.kind == "input":
            return self._input(statement)
        if statement.kind == "directive":
            return self._directive(statement)
        return False

    def origin_of(self, ruleset: str) -> tuple[Place, str]:
        """Returns place and line of an input that is bound to the ruleset."""
        statement = next(one.statement for one in self._waiting if one.group == ruleset)
        return statement.place, statement.line

    def finish(self) -> list[str]:
        """Adds all listeners; returns the rulesets that they lead to."""
        for waiting in self._waiting:
            for port in waiting.ports:
                self._listen(waiting, port)
        return list(dict.fromkeys(waiting.group for waiting in self._waiting))

    def _module(self, statement: RsyslogStatement) -> bool:
        name = statement.one("load").lower().rsplit("/", 1)[-1].removesuffix(".so")
        if name in _KINDS:
            self._modules[name] = statement
            self._unread(statement, ("load", "permittedpeer"))
            self._permitted_peers(statement)
            return True
        return name in _HAS_COUNTERPART

    def _global(self, statement: RsyslogStatement) -> bool:
        for name, key in _CERTIFICATES.items():
            if value := statement.one(name):
                self._files.setdefault(key, value)
        return set(statement.parameters) <= {*_CERTIFICATES, "defaultnetstreamdriver"}

    def _input(self, statement: RsyslogStatement) -> bool:
        kind = statement.one("type").lower()
        ports = statement.parameters.get("port", ())
        if kind not in _KINDS or not ports:
            reason = "only listeners for UDP, TCP, TLS and RELP are imported (for Unix sockets: unix_datagram:)"
            self._draft.skip(statement.place, statement.line, reason)
            return True
        module = self._modules.get(kind)
        settings = {name: values[0] for name, values in (module.parameters if module else {}).items() if values}
        settings |= {name: values[0] for name, values in statement.parameters.items() if values}
        group = statement.one("ruleset") or settings.get("ruleset") or self._default
        self._waiting.append(_Waiting(_KINDS[kind], statement, group, settings, ports))
        self._unread(statement, ("permittedpeer",))
        self._permitted_peers(statement)
        return True

    def _directive(self, statement: RsyslogStatement) -> bool:
        name, value = statement.name, statement.text
        if name == "modload":
            return value.lower().removesuffix(".so") in (*_KINDS, *_HAS_COUNTERPART)
        if name == "udpserveraddress":
            self._address = value
        elif name in _BIND:
            self._bound[_BIND[name]] = value
        elif name == "inputtcpserverstreamdrivermode":
            self._tls_mode = value
        elif name in _CERTIFICATES:
            self._files.setdefault(_CERTIFICATES[name], value)
        elif name in ("defaultnetstreamdriver", "inputtcpserverstreamdriverauthmode"):
            if name.endswith("authmode") and value.lower() != "anon":
                self._files["verified"] = value
        elif name in _RUN:
            self._run(_RUN[name], statement)
        else:
            return False
        return True

    def _run(self, kind: str, statement: RsyslogStatement) -> None:
        settings = {"address": self._address} if kind == "udp" else {}
        if statement.name == "inputtcpserverrun":
            settings |= {"streamdriver.mode": self._tls_mode, "streamdriver.authmode": self._files.get("verified", "")}
        group = self._bound.get(kind, self._default)
        self._waiting.append(_Waiting(kind, statement, group, settings, (statement.text,)))

    def _listen(self, waiting: _Waiting, number: str) -> None:
        statement, settings = waiting.statement, waiting.settings
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
            self._draft.skip(statement.place, statement.line, "the port is not a number from 1 to 65535")
            return
        kind, files = self._security(waiting)
        if kind == "tls" and len(files) < 2:
            self._draft.skip(statement.place, statement.line, "TLS without certificate and key; add both by hand")
            return
        address = settings.get("address", "*").strip() or "*"
        if address in ("0.0.0.0", "::"):
            address = "*"
        address = f"[{address}]" if ":" in address else address
        port = Port(
            f"{kind}-{number}", kind, f"{address}:{number}", None, files.get("cert_file"), files.get("key_file"),
            files.get("client_ca_file"),
        )  # fmt: skip
        self._draft.listen(waiting.group, port, statement.place, statement.line)

    def _security(self, waiting: _Waiting) -> tuple[str, dict[str, str]]:
        """Returns the kind of the listener and its certificate files."""
        settings = waiting.settings
        own = {"cert_file": "streamdriver.certfile", "key_file": "streamdriver.keyfile",
               "client_ca_file": "streamdriver.cafile"}  # fmt: skip
        mode = settings.get("streamdriver.authmode", "").lower()
        if waiting.kind == "relp":
            if settings.get("tls", "off").lower() != "on":
                return "relp", {}
            own = {"cert_file": "tls.mycert", "key_file": "tls.myprivkey", "client_ca_file": "tls.cacert"}
            mode = settings.get("tls.authmode", "").lower()
        elif settings.get("streamdriver.mode", "0") != "1" or waiting.kind != "tcp":
            return waiting.kind, {}
        files = {key: settings.get(name) or self._files.get(key, "") for key, name in own.items()}
        if mode in ("", "anon"):
            files.pop("client_ca_file")
        found = {key: self._moved(name) for key, name in files.items() if name}
        return ("tls" if waiting.kind == "tcp" else "relp"), found

    def _moved(self, file: str) -> str:
        return file if self._folder is None else f"{self._folder}/{PurePath(file).name}"

    def _unread(self, statement: RsyslogStatement, also: tuple[str, ...]) -> None:
        unread = sorted(set(statement.parameters) - {*_READ, *also})
        if unread:
            reason = f"not imported from this line: {', '.join(unread)[:100]}; see max_connections: and receive_buffer:"
            self._draft.skip(statement.place, statement.line, reason)

    def _permitted_peers(self, statement: RsyslogStatement) -> None:
        if "permittedpeer" in statement.parameters:
            reason = "PermittedPeer is not imported; write client_names: or client_fingerprints: of the listener"
            self._draft.skip(statement.place, statement.line, reason)
