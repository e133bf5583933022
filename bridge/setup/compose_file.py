"""Reads environment variables, published ports and volumes from a forwarder's compose file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config.faults import FaultReport, Place
from bridge.config.yaml_tree import LARGEST, Entries, Items, Node, Scalar, read
from bridge.util.files import read_regular

NAMES = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")
"Names of the file beside the forwarder's ``intakes.yaml``."

_IMAGE = "sekoiaio-docker-concentrator"
_SHORT = re.compile(
    r"(?:(?P<ip>[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?(?P<host>\d{1,5})(?:-(?P<last>\d{1,5}))?"
    r":(?P<inner>\d{1,5})(?:-(?P<end>\d{1,5}))?(?:/(?P<transport>tcp|udp))?"
)
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?:(:?[-?+])([^}]*))?\}|(\w+))")


@dataclass(frozen=True)
class ComposeFile:
    """What the import needs of a compose file. ``environment`` may hold secrets, so it is never shown as a whole."""

    environment: dict[str, Scalar] = field(default_factory=dict, repr=False)
    published: dict[tuple[str, int], list[tuple[str, int]]] = field(default_factory=dict)
    "The host address (``*`` for all) and port of each (transport, container port)."
    volumes: dict[str, str] = field(default_factory=dict)
    "The path on the host of each path in the container."
    notes: tuple[str, ...] = ()


def parse_compose(data: bytes, file: Path, report: FaultReport) -> ComposeFile:
    """Parses a compose file and the files of its ``env_file``; a file that is not one goes to the report."""
    root, whole = read(data, str(file), report)
    if not whole or not isinstance(root, Entries):
        if whole:
            report.at(Place(str(file), 1, 1), "the file has no services. Is this the forwarder's compose file?")
        return ComposeFile()
    return _ComposeReader(file).read(list(_services(root)))


def _services(root: Entries) -> Iterator[Entries]:
    """Yields the forwarder's services, or all if no image is the forwarder's."""
    services = root.get("services")
    found = [one for one in services.values() if isinstance(one, Entries)] if isinstance(services, Entries) else []
    yield from [one for one in found if _IMAGE in str(one.get("image"))] or found


class _ComposeReader:
    """Reads services; names of files are relative to the compose file."""

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._notes: list[str] = []
        self._variables = self._lines(Scalar(".env", Place(str(file), 1, 1)), required=False)

    def read(self, services: list[Entries]) -> ComposeFile:
        """Returns what all services have together."""
        environment: dict[str, Scalar] = {}
        published: dict[tuple[str, int], list[tuple[str, int]]] = {}
        volumes: dict[str, str] = {}
        for service in services:
            # As in compose: later files replace earlier ones, and environment: replaces them all.
            for name, required in _env_files(service.get("env_file")):
                environment |= self._lines(name, required=required)
            environment |= {name: self._resolved(value) for name, value in _environment(service.get("environment"))}
            for item in _items(service.get("ports")):
                for key, value in self._ports(item):
                    if value not in published.setdefault(key, []):
                        published[key].append(value)
            volumes |= dict(_volumes(service.get("volumes")))
        return ComposeFile(environment, published, volumes, tuple(self._notes))

    def _lines(self, name: Scalar, *, required: bool) -> dict[str, Scalar]:
        """Reads ``NAME=VALUE`` lines."""
        path = self._folder / name
        try:
            text = read_regular(path, LARGEST).decode("utf-8-sig", "replace")
        except OSError as error:
            if required:
                self._notes.append(f"{path} (env_file of the compose file) was not read: {error.strerror}")
            return {}
        found = {}
        for number, line in enumerate(text.splitlines(), start=1):
            key, sign, value = line.strip().removeprefix("export ").partition("=")
            if sign and re.fullmatch(r"\w+", key.strip()):
                quoted = re.fullmatch(r"""\s*(?:"([^"]*)"|'([^']*)')\s*(?:\#.*)?""", value)
                plain = re.split(r"\s#", value, maxsplit=1)[0].strip()
                text = next(group for group in quoted.groups() if group is not None) if quoted else plain
                found[key.strip()] = Scalar(text, Place(str(path), number, 1))
        return found

    def _resolved(self, value: Scalar) -> Scalar:
        """Replaces ``${NAME}`` with the value of the ``.env`` file."""

        def variable(match: re.Match[str]) -> str:
            name = match[1] or match[4]
            if name is None:
                return "$"
            known = self._variables.get(name)
            return match[3] if (match[2] or "").endswith("-") and not known else known or ""

        return Scalar(_VARIABLE.sub(variable, value), value.place, plain=value.plain)

    def _ports(self, item: Node) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
        if isinstance(item, Entries):
            parts = {key: str(item.get(key) or "") for key in ("host_ip", "published", "target", "protocol")}
            host = f"[{parts['host_ip']}]" if ":" in parts["host_ip"] else parts["host_ip"]
            text = f"{host + ':' if host else ''}{parts['published'] or parts['target']}:{parts['target']}"
            text += f"/{parts['protocol']}" if parts["protocol"] else ""
        else:
            text = self._resolved(item) if isinstance(item, Scalar) else ""
        match = _SHORT.fullmatch(text)
        if match is None:
            self._notes.append(f"a port of the compose file was not read: {text[:40] or 'empty'}; add its listener")
            return
        ip = match["ip"] or "*"
        ip = "*" if ip in ("0.0.0.0", "[::]") else ip
        host_port, inner = int(match["host"]), int(match["inner"])
        count = int(match["end"] or inner) - inner
        last = int(match["last"] or host_port)
        if not (0 <= count < 65536 and count == last - host_port):
            self._notes.append(f"a port of the compose file was not read: {text[:40]}; add its listener")
            return
        for step in range(count + 1):
            yield (match["transport"] or "tcp", inner + step), (ip, host_port + step)


def _items(node: Node) -> list[Node]:
    return list(node) if isinstance(node, Items) else [node] if isinstance(node, Scalar) else []


def _environment(given: Node) -> Iterator[tuple[str, Scalar]]:
    if isinstance(given, Entries):
        for name, value in given.items():
            if isinstance(value, Scalar):
                yield name, value
    for item in given if isinstance(given, Items) else ():
        if isinstance(item, Scalar):
            name, sign, text = item.partition("=")
            if sign:
                yield name.strip(), Scalar(text.strip().strip("\"'"), item.place)


def _env_files(given: Node) -> Iterator[tuple[Scalar, bool]]:
    for item in _items(given):
        if isinstance(item, Scalar):
            yield item, True
        elif isinstance(item, Entries) and isinstance(path := item.get("path"), Scalar):
            yield path, str(item.get("required")).lower() != "false"


def _volumes(given: Node) -> Iterator[tuple[str, str]]:
    for item in _items(given):
        if isinstance(item, Scalar):
            host, _, rest = item.partition(":")
            yield rest.partition(":")[0].rstrip("/"), host
        elif isinstance(item, Entries):
            yield str(item.get("target") or "").rstrip("/"), str(item.get("source") or "")
