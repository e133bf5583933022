"""Finds the sender that the operator means: by address, by name, by host name behind a relay, by DNS or by socket."""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from bridge.config import Config
from bridge.config.faults import shown, suggestion
from bridge.ingest.addresses import address_of
from bridge.operations import control_client
from bridge.util.errors import BridgeError

DNS_SECONDS = 3.0
"Seconds to wait for the addresses of a name, or for the names of addresses."
MAX_REVERSE, REVERSE_THREADS = 200, 16
"Sources whose reverse names are compared with a name that has no address, the busiest; and lookups at a time."
MAX_FOUND = 500
"Sources that are requested to find a name."
MAX_TARGETS = 10
"Senders that are shown for one name, at most."

Row = dict[str, Any]
FindSources = Callable[[str], list[Row]]
"Returns the rows of known sources whose texts contain a lower-case word; of the busiest sources for an empty word."


class UnknownSenderError(BridgeError):
    """Raised when no sender is meant by a text. The text says why and names the nearest senders."""


@dataclass(frozen=True, slots=True)
class Target:
    """A sender to explain: an address or a host name behind a relay, at one listener or at all (None)."""

    address: str
    listener: str | None = None
    note: str = ""
    "How the sender was found, if not by its address."


class Dns:
    """Looks up names and addresses. Waits for at most ``DNS_SECONDS``."""

    def addresses_of(self, name: str) -> list[str]:
        """Returns the addresses of a name; none if there are none, or no answer comes in time."""
        found: list[str] = []

        def look_up() -> None:
            for _, _, _, _, address in socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM):
                found.append(str(address_of(str(address[0])) or address[0]))

        _run([look_up])
        return list(dict.fromkeys(found))

    def with_name(self, name: str, addresses: Iterable[str]) -> list[str]:
        """Returns the addresses whose reverse name is this, with or without its domain."""
        left, found = list(addresses), list[str]()

        def look_up() -> None:
            while left:
                address = left.pop()
                with suppress(OSError, UnicodeError):
                    host, aliases, _ = socket.gethostbyaddr(address)
                    names = {each.casefold() for each in (host, *aliases)}
                    if name.casefold() in names | {each.partition(".")[0] for each in names}:
                        found.append(address)

        _run([look_up] * REVERSE_THREADS)
        return found.copy()


def _run(jobs: Sequence[Callable[[], None]]) -> None:
    """Runs jobs in threads that end with the process. Waits for at most ``DNS_SECONDS``."""

    def run(job: Callable[[], None]) -> None:
        with suppress(OSError, UnicodeError):
            job()

    threads = [Thread(target=run, args=(job,), daemon=True) for job in jobs]
    end = time.monotonic() + DNS_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def request_sources(directory: Path, word: str) -> list[Row]:
    """Asks the running bridge of a spool for sources, as ``FindSources`` does. Raises ControlError."""
    query = urlencode({"limit": MAX_FOUND, "find": word})
    rows: list[Row] = control_client.get(directory, f"/api/sources?{query}")["sources"]
    return rows


def find_targets(
    config: Config, text: str, find_sources: FindSources, *, host: str,
    dns: Dns | None = None,
) -> list[Target]:  # fmt: skip
    """Returns the senders that a text means. ``host`` is the source name of local programs.

    Raises UnknownSenderError.
    """
    if (address := address_of(text)) is not None:
        # A zone (fe80::1%eth0) is not part of the address.
        return [Target(str(address))]
    if text == "unix" or text.startswith("/"):
        return _unix_targets(config, text, host)
    if found := _by_name(config, text, find_sources(text.lower())):
        return found[:MAX_TARGETS]
    if networks := _networks_of(config, text):
        raise UnknownSenderError(
            f"no sender of {shown(text)} ({', '.join(networks)}) has sent anything", "Give one of its addresses"
        )
    if ":" in text or "/" in text or text.rpartition(".")[2].isdigit():
        raise UnknownSenderError(
            f"{shown(text)} is not an IP address", "Write one address, such as 192.0.2.7 or 2001:db8::7, or a name"
        )
    if found := _by_dns(text, find_sources, dns or Dns()):
        return found[:MAX_TARGETS]
    raise UnknownSenderError(_unknown(config, text, find_sources))


def _by_dns(text: str, find_sources: FindSources, dns: Dns) -> list[Target]:
    """Returns the sources with a DNS name, or the addresses of the name if none of them is a source."""
    if found := [Target(each, note=f"DNS: {text} is {each}") for each in dns.addresses_of(text)]:
        known = {row["address"] for target in found for row in find_sources(target.address)}
        return [target for target in found if target.address in known] or found
    addresses = [str(row["address"]) for row in find_sources("")][:MAX_REVERSE]
    reverse = dns.with_name(text, (each for each in addresses if address_of(each) is not None))
    return [Target(each, note=f"DNS: the name of {each} is {text}") for each in reverse]


def _unix_targets(config: Config, text: str, host: str) -> list[Target]:
    sockets = {each.name: each.unix_path for each in config.listeners if each.unix_path is not None}
    found = [Target(host, name, f"Unix socket {path}") for name, path in sockets.items() if text in ("unix", str(path))]
    if not found:
        paths = f"The sockets are {', '.join(map(str, sockets.values()))}" if sockets else "No listener has a socket"
        raise UnknownSenderError(f"no listener has the Unix socket {shown(str(Path(text)))}", paths)
    return found


def _by_name(config: Config, text: str, rows: Iterable[Row]) -> list[Target]:
    """Returns the sources with a name: of ``sources:``, or in the header of messages behind a relay."""
    wanted = text.casefold()
    found: dict[str, Target] = {}
    for row in rows:
        address, name = str(row["address"]), row.get("name")
        if name is not None and str(name).casefold() == wanted:
            found.setdefault(address, Target(address, note=f"name: {name}"))
        elif address_of(address) is None and wanted in (address.casefold(), address.casefold().partition(".")[0]):
            relay = f" behind {row['behind']}" if row.get("behind") else ""
            found.setdefault(address, Target(address, note=f"host name {address}{relay}"))
    for entry in config.sources:
        if entry.name is not None and entry.name.casefold() == wanted and not entry.hostname:
            for network in entry.source:
                if network.prefixlen == network.max_prefixlen:
                    address = str(network.network_address)
                    found.setdefault(address, Target(address, note=f"name: {entry.name}"))
    return list(found.values())


def _networks_of(config: Config, text: str) -> list[str]:
    """Returns the networks, or the host names behind relays, to which ``sources:`` gives a name."""
    return [
        str(place) for entry in config.sources if entry.name is not None and entry.name.casefold() == text.casefold()
        for place in (entry.hostname or entry.source)
    ]  # fmt: skip


def _unknown(config: Config, text: str, find_sources: FindSources) -> str:
    if text in config.intakes:
        return f'{shown(text)} is an intake, not a sender: "syslog-bridge status" shows it'
    names = [entry.name for entry in config.sources if entry.name is not None]
    for row in (*find_sources(text.lower()[:3]), *find_sources("")):
        names += [str(row["name"])] * bool(row.get("name"))
        names += [str(row["address"])] * (address_of(str(row["address"])) is None)
    names = list(dict.fromkeys(names))
    others = f". Known names: {', '.join(names[:5])}" if names else ""
    hint = suggestion(text, names, others)
    return f"no source is called {shown(text)}, and it is neither an address nor a DNS name{hint}"
