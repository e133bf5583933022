"""Reads environment variables and published ports from a forwarder's ``docker-compose.yml``."""

import re
from collections.abc import Iterator

from bridge.config.faults import FaultReport
from bridge.config.yaml_tree import Entries, Items, Scalar, read


def parse(data: bytes, file: str) -> Entries | None:
    """Parses a ``docker-compose.yml``; returns None if it cannot be read, because the file is optional."""
    root, whole = read(data, file, FaultReport())
    return root if whole and isinstance(root, Entries) else None


def _services(compose: Entries | None) -> Iterator[Entries]:
    services = compose.get("services") if compose is not None else None
    for service in services.values() if isinstance(services, Entries) else ():
        if isinstance(service, Entries):
            yield service


def environment(compose: Entries | None) -> dict[str, str]:
    """Returns the environment variables of all services together."""
    found: dict[str, str] = {}
    for service in _services(compose):
        given = service.get("environment")
        if isinstance(given, Entries):
            found |= {name: str(value) for name, value in given.items() if isinstance(value, Scalar)}
        elif isinstance(given, Items):
            pairs = (item.partition("=") for item in given if isinstance(item, Scalar))
            found |= {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
    return found


def published(compose: Entries | None) -> dict[tuple[str, int], int]:
    """Returns the host port of each (transport, container port).

    Reads entries of the form ``[ADDRESS:]HOST[-HOST]:PORT[-PORT][/udp]``; other entries are ignored.
    """
    ports: dict[tuple[str, int], int] = {}
    pattern = re.compile(r"(?:.*:)?(\d{1,5})(?:-(\d{1,5}))?:(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp))?")
    for service in _services(compose):
        given = service.get("ports")
        for item in given if isinstance(given, Items) else ():
            match = pattern.fullmatch(str(item)) if isinstance(item, Scalar) else None
            if match is None:
                continue
            host, last_host, inner, last = (int(part) if part else None for part in match.groups()[:4])
            assert host is not None and inner is not None
            count = (last or inner) - inner
            if 0 <= count < 65536 and count == (last_host or host) - host:
                ports |= {(match[5] or "tcp", inner + step): host + step for step in range(count + 1)}
    return ports
