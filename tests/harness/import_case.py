"""Reads the import cases: the files of another syslog server, and messages with the intake key that each must reach.

A case is one file of sections, each headed by ``=== NAME``. The section ``messages`` has a line for each message:
transport, port (``HOST/CONTAINER`` if they differ), sender, key (``-``: not to be delivered), header, a TAB, text.
So that it runs anywhere, ports become free ports, and addresses in 10.0.0.0/8 become loopback addresses.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import yaml

from bridge.syslog import parse
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.stream_server import counted_message, serving
from tests.peers import syslog_ng
from tests.peers.unpacked import Unpacked

CASES = Path(__file__).parents[1] / "system" / "import_cases"
_FILES = {"forwarder": "intakes.yaml", "rsyslog": "rsyslog.conf", "syslog-ng": "syslog-ng.conf"}
_SYSLOG_PORTS = ("10514", "11514")
_OWN = re.compile(r"\b10\.(\d+\.)")


class CaseMessage(NamedTuple):
    """A message to send, and what must be delivered of it."""

    transport: str
    port: int
    container_port: int
    source: str
    key: str
    header: str
    text: str

    @property
    def frame(self) -> bytes:
        return f"{self.header}{self.text}".encode()


@dataclass
class ImportCase:
    """The files and messages of a case."""

    name: str
    files: Mapping[str, str]
    messages: list[CaseMessage]
    _ports: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> ImportCase:
        parts = re.split(r"(?m)^=== (\S+)\n", path.read_text())
        files = dict(zip(parts[1::2], parts[2::2], strict=True))
        messages = [_message(line) for line in files.pop("messages").splitlines() if line]
        return cls(path.stem, files, messages)

    @property
    def kind(self) -> str:
        return next(kind for kind in _FILES if self.name.startswith(f"{kind}-"))

    def write(self, folder: Path) -> Path:
        """Writes the files as they are; returns the one to import."""
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder / _FILES[self.kind]

    @property
    def expected(self) -> list[tuple[str, str]]:
        """Returns key and text of each message that must be delivered."""
        return sorted((message.key, message.text) for message in self.messages if message.key != "-")

    # --- the bridge -----------------------------------------------------------------------------------------------
    def configuration(self, file: Path, *, collector: str, spool: Path, admin: int) -> dict[str, object]:
        """Returns an imported configuration that runs here: TLS listeners become TCP, because the files are absent."""
        config = yaml.safe_load(_OWN.sub(r"127.\1", file.read_text()))
        for listener in config["listeners"]:
            kind = next(kind for kind in ("udp", "tcp", "tls", "relp") if kind in listener)
            port = int(listener.pop(kind).rpartition(":")[2])
            for key in ("cert_file", "key_file", "client_ca_file"):
                listener.pop(key, None)
            listener["tcp" if kind == "tls" else kind] = f"127.0.0.0:{self.port(port)}".replace("127.0.0.0", "0.0.0.0")
        for name, intake in config["intakes"].items():
            intake["intake_key"] = {"file": str(file.parent / "keys" / name)}
            for key in ("region", "url"):
                intake.pop(key, None)
        config["collector"] = {"url": collector, "max_request_rate": 1000}
        config["spool"] = {"directory": str(spool)}
        return config | {"batch": {"max_age": "200ms"}, "admin": {"listen": f"127.0.0.1:{admin}"}}

    def port(self, number: int) -> int:
        """Returns the free port that stands for a port of the case."""
        return self._ports.setdefault(number, free_port())

    # --- the original ---------------------------------------------------------------------------------------------
    def start_original(self, directory: Path, sink: int) -> Process:
        """Starts the server that the case is written for. Raises PeerMissing."""
        if self.kind == "syslog-ng":
            return syslog_ng.launch(self._syslog_ng(self.files["syslog-ng.conf"], sink, directory), directory=directory)
        unpacked = Unpacked.find("rsyslog")
        for name, text in self.files.items():
            if name.endswith(".conf"):
                (directory / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / "etc" / name).write_text(self._rsyslog(text, sink, directory))
        main = directory / "etc/rsyslog.conf"
        main.parent.mkdir(parents=True, exist_ok=True)
        if self.kind == "forwarder":
            main.write_text(self._rsyslog(self._container(), sink, directory))
        for folder in ("var/log", "var/spool/rsyslog"):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        argv = [unpacked.program("rsyslogd"), "-n", "-f", str(main), "-i", str(directory / "pid")]
        modules = {"RSYSLOG_MODDIR": unpacked.library("*/rsyslog")}
        return Process(argv, directory=directory, name="rsyslogd", env={**unpacked.environment, **modules})

    def _container(self) -> str:
        """Returns a configuration that does what the forwarder's image does for intakes.yaml and extended_conf."""
        lines = [f'module(load="{name}")' for name in ("imudp", "imtcp")]
        for number, entry in enumerate(yaml.safe_load(self.files["intakes.yaml"])["intakes"] or ()):
            if entry.get("stats"):
                continue
            kind = "imudp" if str(entry["protocol"]).lower() == "udp" else "imtcp"
            header = "<%pri%>1 %timegenerated:::date-rfc3339% %hostname% %app-name% %procid% LOG"
            string = f'{header} [SEKOIA@53288 intake_key=\\"{entry["intake_key"]}\\"] %msg%\\n'
            lines += [
                f'input(type="{kind}" port="{entry["port"]}" ruleset="r{number}")',
                f'template(name="t{number}" type="string" string="{string}")',
                f'ruleset(name="r{number}") {{',
                '  action(type="omfwd" target="x" port="10514" protocol="tcp" TCP_Framing="octet-counted"',
                f'         template="t{number}")',
                "}",
            ]
        return "\n".join([*lines, 'include(file="/etc/extended_conf/*.conf" mode="optional")', ""])

    def _rsyslog(self, text: str, sink: int, directory: Path) -> str:
        text = re.sub(r'(?i)\b(streamdriver[\w.]*|tls[\w.]*)\s*=\s*"[^"]*"', "", self._moved(text, directory))
        text = re.sub(
            r'(?i)\btarget\s*=\s*"[^"]*"(\s*)port\s*=\s*"1[01]514"', rf'target="127.0.0.1"\1port="{sink}"', text
        )
        # The vendor's page teaches isequal in expressions; this rsyslog knows it in property filters only.
        text = re.sub(r"\bisequal\b(?!,)", "==", text)
        text = re.sub(r"@@\(o\)[\w.]+:10514", f"@@(o)127.0.0.1:{sink}", text)
        text = re.sub(r"(?m)^.*(imuxsock|imklog|DefaultNetstreamDriver|StreamDriver|PrivDrop).*$", "", text)
        text = re.sub(r'(?<=[\[=, ])"(\d{3,5})"', lambda match: f'"{self._mapped(match[1], sink)}"', text)
        return re.sub(r"ServerRun\s+(\d+)", lambda match: f"ServerRun {self.port(int(match[1]))}", text)

    def _syslog_ng(self, text: str, sink: int, directory: Path) -> str:
        text = re.sub(r"(?m)^@include.*$|\bsystem\(\);|\binternal\(\);", "", self._moved(text, directory))
        text = re.sub(r"\btls\((?:[^()]|\([^()]*\))*\)", "", text).replace('transport("tls")', 'transport("tcp")')
        text = re.sub(r'"[\w.]+\.sekoia\.io"(\s*)port\(10514\)', rf'"127.0.0.1"\1port({sink})', text)
        text = re.sub(r"(?m)(?<=_port )(\d+)$", lambda match: str(self.port(int(match[1]))), text)
        return re.sub(r"\bport\((\d+)\)", lambda match: f"port({self._mapped(match[1], sink)})", text)

    def _moved(self, text: str, directory: Path) -> str:
        return re.sub(r"(?<=[\s\"-])/(var|etc)/", rf"{directory}/\1/", _OWN.sub(r"127.\1", text))

    def _mapped(self, number: str, sink: int) -> int:
        return sink if int(number) == sink or number in _SYSLOG_PORTS else self.port(int(number))

    def hears(self) -> bool:
        """Returns True if the original listens on the ports of all messages."""
        tables = {
            "udp": [Path("/proc/net/udp"), Path("/proc/net/udp6")],
            "tcp": [Path("/proc/net/tcp"), Path("/proc/net/tcp6")],
        }
        return all(
            any(
                f":{self.port(message.container_port):04X} " in table.read_text() for table in tables[message.transport]
            )
            for message in self.messages
        )

    # --- sending --------------------------------------------------------------------------------------------------
    def send(self, *, original: bool) -> None:
        """Sends all messages, to the ports of the original or of the bridge."""
        for message in self.messages:
            port = self.port(message.container_port if original else message.port)
            source = (_OWN.sub(r"127.\1", message.source), 0)
            if message.transport == "udp":
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                    datagrams.bind(source)
                    datagrams.sendto(message.frame, ("127.0.0.1", port))
                continue
            with socket.create_connection(("127.0.0.1", port), timeout=60, source_address=source) as stream:
                stream.sendall(message.frame + b"\n")


def _message(line: str) -> CaseMessage:
    head, _, text = line.partition("\t")
    transport, ports, source, key, header = head.split(" ", 4)
    port, _, container = ports.partition("/")
    return CaseMessage(transport, int(port), int(container or port), source, key, header + " ", text)


class SyslogSink:
    """Receives octet-counted RFC 5424 messages over TCP, as the collector's syslog input does."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self.port = 0

    def take(self, frame: bytes) -> None:
        """Adds key and text of a message."""
        message = parse(frame, received=datetime.now(UTC))
        key = next(
            (value for name, value in message.structured_data.get("SEKOIA@53288", []) if name == "intake_key"), ""
        )
        with self._lock:
            self.arrived.append((key, message.msg.decode().strip()))


@contextmanager
def syslog_sink() -> Iterator[SyslogSink]:
    """Runs a sink for the length of the ``with`` block."""
    sink = SyslogSink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (message := counted_message(self.rfile)) is not None:
                sink.take(message)

    with serving(Handler) as sink.port:
        yield sink
