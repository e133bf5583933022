"""Tests FIFOs, devices, sockets, folders and huge files in place of the files that a configuration names: each is
refused in words, and none is waited for or read to its end."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.import_forwarder import import_forwarder
from bridge.cli.setup import setup
from bridge.config import ConfigurationError, load
from tests.harness.pki import Authority
from tests.harness.polling import DEADLINE_SECONDS

MAIN = """
include: [conf.d/*.yaml]
collector:
  region: FRA1
  extra_ca_file: parts/extra_ca_file
  client_cert_file: parts/client_cert_file
  client_key_file: parts/client_key_file
  proxy: {url: "http://proxy.test:3128", username: u, password: {file: parts/password}}
listeners:
  - {udp: "*:514", allow: {file: parts/allow}}
  - {tcp: "*:514", trusted_proxies: [{file: parts/trusted_proxies}]}
  - {tls: "*:6514", cert_file: parts/cert_file, key_file: parts/key_file, client_ca_file: parts/client_ca_file}
intakes:
  all: {intake_key: {file: parts/key}}
  other: {intake_key: {credential: credential}, ca_file: parts/ca_file}
sources: [{source: {file: parts/source}}]
routes: [{intake: other, source: {file: parts/route}}]
unrouted: {intake: all}
spool: {directory: spool}
admin: {token: {file: parts/token}}
"""
PARTS = (
    "extra_ca_file", "client_cert_file", "client_key_file", "password", "allow", "trusted_proxies", "cert_file",
    "key_file", "client_ca_file", "key", "credential", "ca_file", "source", "route", "token",
)  # fmt: skip
MOST_MEMORY = 64 << 20
"Bytes by which reading may raise the peak of the process."


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def _make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "a FIFO, not a regular file"),
    "socket": (_make_socket, "a socket, not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device, not a regular file"),
    "folder": (lambda path: path.mkdir(), "Is a directory"),
    "huge": (_make_huge, "larger than"),
}


@pytest.fixture(autouse=True)
def _bounds() -> Iterator[None]:
    """Ends a test that waits for ever, and fails one that reads too much."""

    def give_up(*args: object) -> None:
        raise TimeoutError("the test waits for ever")

    handler = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(DEADLINE_SECONDS))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024 < MOST_MEMORY


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The path of a socket may have 107 bytes.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "parts")
    (tmp_path / "parts").mkdir()
    (tmp_path / "conf.d").mkdir()
    Path("bridge.yaml").write_text(MAIN)
    return tmp_path


def faults_of(file: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load(file)
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_that_the_configuration_names_is_refused(site: Path, kind: str) -> None:
    make, words = KINDS[kind]
    for part in PARTS:
        make(Path("parts") / part)
    faults = faults_of("bridge.yaml")
    for part in PARTS:
        named = [fault for fault in faults if f"parts/{part}" in fault or (part == "credential" and part in fault)]
        if part in ("client_key_file", "key_file"):
            # The certificate of the pair is read first.
            continue
        assert any(words in fault for fault in named), (part, faults)
    assert all(fault.startswith("bridge.yaml:") for fault in faults)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("cert_file", "key_file"), ("client_cert_file", "client_key_file")])
def test_private_key_is_refused(site: Path, identity: bytes, kind: str, names: tuple[str, str]) -> None:
    make, words = KINDS[kind]
    (Path("parts") / names[0]).write_bytes(identity)
    make(Path("parts") / names[1])
    assert any(f"parts/{names[1]}" in fault and words in fault for fault in faults_of("bridge.yaml"))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Authority(tmp_path_factory.mktemp("pki")).issue("gateway.test").certificate.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_included_file_is_refused(site: Path, kind: str) -> None:
    make, words = KINDS[kind]
    make(Path("conf.d/a.yaml"))
    (fault,) = [fault for fault in faults_of("bridge.yaml") if "include" in fault]
    assert fault.startswith("bridge.yaml:2:") and "conf.d/a.yaml" in fault and words in fault


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_file_itself_is_refused(site: Path, kind: str) -> None:
    make, words = KINDS[kind]
    Path("bridge.yaml").unlink()
    make(Path("bridge.yaml"))
    (fault,) = faults_of("bridge.yaml")
    assert fault.startswith("bridge.yaml:1:1: ") and words in fault


@pytest.mark.parametrize("kind", KINDS)
def test_key_file_of_setup_is_refused(site: Path, kind: str) -> None:
    make, words = KINDS[kind]
    make(Path("key.txt"))
    result = CliRunner().invoke(
        setup, ["-c", "etc/bridge.yaml", "--non-interactive", "--no-connect", "--key-file", "key.txt"]
    )
    assert result.exit_code == 2
    # A folder may have a file for each intake.
    expected = ("key.txt has no key of all",) if kind == "folder" else ("key.txt", words, "--key-file -")
    assert all(text in result.output for text in expected)
    assert not Path("etc").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["intakes.yaml", "docker-compose.yml"])
def test_configuration_of_the_forwarder_is_refused(site: Path, kind: str, place: str) -> None:
    make, words = KINDS[kind]
    Path("intakes.yaml").write_text("intakes: []\n")
    Path(place).unlink(missing_ok=True)
    make(Path(place))
    result = CliRunner().invoke(import_forwarder, ["intakes.yaml", "--output", "etc"])
    assert result.exit_code == 2
    assert place in result.output and words in result.output


def test_link_to_a_regular_file_is_read(site: Path) -> None:
    Path("bridge.yaml").write_text(
        'collector: {region: FRA1}\nlisteners: [{udp: "*:514"}]\nintakes: {all: {intake_key: {file: parts/key}}}\n'
        "unrouted: {intake: all}\nspool: {directory: spool}\n"
    )
    Path("parts/real").write_text("k" * 16 + "\n")
    Path("parts/key").symlink_to("real")
    assert load("bridge.yaml").intakes["all"].intake_key.reveal() == "k" * 16
