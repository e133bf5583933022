"""Converts the source drivers of ``syslog-ng.conf`` into listeners."""

from bridge.setup.import_result import Port
from bridge.setup.syslog_ng_tree import SyslogNgNode

NETWORK = ("network", "syslog", "tcp", "tcp6", "udp", "udp6")
"The drivers that receive from, or send to, the network."
_KINDS = {"udp": "udp", "udp6": "udp", "tcp": "tcp", "tcp6": "tcp", "tls": "tls"}
_LOCAL = "only sources for UDP, TCP and TLS are imported (for local programs: unix_datagram:)"


def source_port(driver: SyslogNgNode) -> Port | str:
    """Returns the listener of a source driver, or the reason why it has none."""
    name = driver.name
    if name in ("network", "syslog"):
        transport = driver.one("transport", "tcp").lower()
        if transport.startswith("proxied"):
            return "the source expects a PROXY header; write the listener with trusted_proxies and the balancers"
    elif name in _KINDS:
        transport = _KINDS[name]
    else:
        return _LOCAL
    tls = driver.find("tls")
    kind = "tls" if tls is not None and transport == "tcp" else _KINDS.get(transport)
    if kind is None:
        return _LOCAL
    number = driver.one("port") or driver.one("localport") or _default_port(name, kind)
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        return "the port is not a number from 1 to 65535"
    address = driver.one("ip") or driver.one("localip") or "*"
    address = "*" if address in ("0.0.0.0", "::") else address
    where = f"[{address}]:{number}" if ":" in address else f"{address}:{number}"
    modern = name == "syslog" or "syslog-protocol" in (flag.lower() for flag in driver.values("flags"))
    if kind != "tls":
        return Port(f"{kind}-{number}", kind, where, reads_rfc5424=modern)
    if tls is None or not (tls.one("cert-file") and tls.one("key-file")):
        return "TLS without cert-file and key-file; add both by hand"
    verify = tls.one("peer-verify", "required-trusted").lower()
    authority = tls.one("ca-file") if verify in ("required-trusted", "yes") else ""
    if not authority and verify in ("required-trusted", "yes"):
        return "clients are verified with ca-dir; write the listener with client_ca_file and a file of the authorities"
    files = tls.one("cert-file"), tls.one("key-file"), authority or None
    return Port(f"tls-{number}", "tls", where, None, *files, reads_rfc5424=modern)


def _default_port(name: str, kind: str) -> str:
    return {"tls": "6514", "tcp": "601"}.get(kind, "514") if name == "syslog" else "514"
