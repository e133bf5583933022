"""Tests commands that root runs on the spool of another user, who may have planted links in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from bridge.batching import Group
from bridge.spool import Batch
from bridge.spool.archive import Archive
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.tls.seen_clients import FILE
from tests.harness.builders import NOON, build_spool, fail
from tests.harness.collector import Collector
from tests.harness.pki import Authority
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE

NO_USER = 54_321
"A user id that no user of the machine has."
NOBODY = 65_534
SECRET = "what only root may read\n"
PERIOD = ("--from", "2026-11-23", "--to", "2026-11-24")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a command on another user's spool")


class Gateway:
    """A stopped gateway whose state folder and spool belong to another user. Its configuration belongs to root."""

    def __init__(self, root: Path, uid: int) -> None:
        self.root, self.uid = root, uid
        self.state, self.etc = root / "state", root / "etc"
        self.spool = self.state / "spool"
        self.planted = self.spool / "fw" / f"{NOON * 1_000_000 - 5}-{NOON * 1000}-1-{len(SECRET)}.lines"
        "The place of a batch of one event, as long as the secret."
        self.secret = root / "secret"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.file = self.etc / "bridge.yaml"
        self.state.mkdir()
        (self.etc / "keys").mkdir(parents=True)
        self.configure(f"http://127.0.0.1:{free_port()}")
        self._fill()
        self.give(self.state)

    def configure(self, url: str) -> None:
        """Writes a configuration and keys that only root may read."""
        for name in ("fw", "linux"):
            (self.etc / "keys" / name).write_text(f"{name * 8:0<16.16}\n")
        intakes = {name: {"intake_key": {"file": f"keys/{name}"}} for name in ("fw", "linux")}
        self.file.write_text(
            yaml.safe_dump(
                {
                    "collector": {"url": url},
                    "listeners": [{"name": "udp", "udp": f"127.0.0.1:{free_port()}"}],
                    "intakes": intakes,
                    "routes": [{"name": "linux", "intake": "linux", "source": "192.0.2.0/24"}],
                    "unrouted": "hold",
                    "spool": {"directory": str(self.spool), "archive": {"max_size": "10MB"}},
                    "admin": {"listen": f"127.0.0.1:{free_port()}"},
                }
            )
        )
        for path in self.etc.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def _fill(self) -> None:
        spool = build_spool(self.spool)
        spool.use_archive(
            Archive(self.spool / ".archive", max_size=10**9, max_age=None, wall=lambda: float(NOON), on_error=fail)
        )
        sealed: list[Batch] = []
        spool.subscribe(sealed.append)
        for second in range(3):
            ms = (NOON + second) * 1000
            spool.append(Group("fw", "lines", NOON + second, ms, ms, 2, b"event %d\nother\n" % second))
            spool.seal_all()
        spool.remove(sealed[:1])
        frames = [
            QuarantineEntry(NOON * 1000, "udp", peer, b"<13>frame", "why") for peer in ("192.0.2.7", "198.51.100.1")
        ]
        spool.quarantine.add("unrouted", frames)
        spool.quarantine.close()
        spool.close()

    def give(self, *paths: Path) -> None:
        """Gives files and folders to the other user."""
        for path in paths:
            for each in (path, *path.rglob("*")):
                os.lchown(each, self.uid, self.uid)

    def link(self, place: Path, target: Path) -> None:
        """Plants a link of the other user."""
        place.unlink(missing_ok=True)
        place.symlink_to(target)
        self.give(place)

    def run(self, *words: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command as root. Asserts its exit code."""
        done = subprocess.run(
            [SYSLOG_BRIDGE, *words, "-c", str(self.file)], input=stdin, capture_output=True, text=True, timeout=120,
            check=False, cwd="/",
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def check_as(self, user: int) -> str:
        """Runs ``check`` as another user and returns its output.

        That user may be unable to read the folder of Python, so root runs it once in the same process before.
        """
        script = (
            "import os, pathlib, sys; from bridge.cli.check import check; from bridge.config import linted;"
            f"linted(pathlib.Path(sys.argv[1])); os.setgroups([]); os.setgid({user}); os.setuid({user});"
            "check.main(['-c', sys.argv[1]])"
        )
        command = [sys.executable, "-c", script, str(self.file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files_of_others(self) -> list[str]:
        """Returns the files in the state folder that do not belong to the user of the spool."""
        return [str(path) for path in self.state.rglob("*") if path.lstat().st_uid != self.uid]


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    # The folder of pytest is open to root only.
    root = Path(tempfile.mkdtemp(prefix="syslog-bridge-root-"))
    root.chmod(0o755)
    yield Gateway(root, getattr(request, "param", NO_USER))
    shutil.rmtree(root)


every_user = pytest.mark.parametrize("gateway", [NO_USER, NOBODY], indirect=True, ids=["unknown user", "nobody"])


@every_user
def test_every_file_that_a_command_makes_belongs_to_the_user_of_the_spool(gateway: Gateway) -> None:
    for words in (
        ("quarantine", "retry"),
        ("unrouted", "reroute"),
        ("spool", "move", "--intake", "fw", "--to", "linux", "--containing", "event 1"),
        ("replay", "--intake", "fw", *PERIOD, "--yes"),
        ("spool", "purge", "--yes", "--containing", "other"),
        ("spool", "purge", "--yes", "--unreadable"),
        ("quarantine", "purge", "--yes"),
        ("spool", "purge", "--yes"),
    ):
        gateway.run(*words)
        assert gateway.files_of_others() == [], words
    assert "2 events deleted" not in gateway.run("spool", "purge", "--yes").stdout


@every_user
def test_check_reads_the_seen_clients_and_changes_nothing_in_the_spool(gateway: Gateway) -> None:
    pki = Authority(gateway.etc / "pki")
    issued = pki.issue("gateway")
    configuration = yaml.safe_load(gateway.file.read_text())
    configuration["listeners"] = [
        {"name": "secure", "tls": f"127.0.0.1:{free_port()}", "cert_file": str(issued.certificate),
         "key_file": str(issued.private_key), "client_ca_file": str(pki.ca), "client_names": ["*.branch.example"]},
    ]  # fmt: skip
    gateway.file.write_text(yaml.safe_dump(configuration))
    rows = [["secure", ["a.b.branch.example"], "192.0.2.1", int(time.time() * 1000)]]
    clients, refused = gateway.spool / FILE, "a.b.branch.example (192.0.2.1"
    clients.write_text(json.dumps({"clients": rows}))
    clients.chmod(0o600)
    gateway.give(clients)
    before = sorted(gateway.state.rglob("*"))
    # What only root may read is of no use to the bridge.
    assert f"{gateway.file}:1:1: cannot read the file: Permission denied. User" in gateway.run("check", code=2).stdout
    gateway.etc.chmod(0o755)
    gateway.file.chmod(0o644)
    done = gateway.run("check", code=2)
    assert f"{gateway.etc / 'keys' / 'fw'}: Permission denied. User " in done.stdout
    group = "nogroup" if gateway.uid == NOBODY else gateway.uid
    assert f"sudo chgrp {group} {gateway.etc / 'keys'} && sudo chmod g+x {gateway.etc / 'keys'}." in done.stdout
    for path in (gateway.etc, *gateway.etc.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert refused in gateway.run("check").stdout
    assert (sorted(gateway.state.rglob("*")), gateway.files_of_others()) == (before, [])
    # A user who may read the configuration but not the spool.
    gateway.spool.chmod(0o700)
    output = gateway.check_as(NO_USER + 1)
    assert refused not in output
    assert "configuration is valid: 1 listener" in output
    # A file that root could read, and one that would take all memory.
    secret = gateway.root / "clients"
    secret.write_bytes(clients.read_bytes())
    gateway.link(clients, secret)
    assert refused not in gateway.run("check").stdout
    clients.unlink()
    clients.touch()
    os.truncate(clients, 1 << 40)
    gateway.give(clients)
    assert refused not in gateway.run("check").stdout
    assert (sorted(gateway.state.rglob("*")), gateway.files_of_others()) == (before, [])


def test_command_that_only_reads_prints_no_file_of_root(gateway: Gateway) -> None:
    gateway.link(gateway.planted, gateway.secret)
    gateway.link(gateway.spool / ".quarantine" / "unrouted" / "5.open.jsonl", gateway.secret)
    for words in (
        ("status", "--json"), ("quarantine", "list"), ("unrouted", "list"), ("spool", "list"), ("spool", "show"),
        ("spool", "show", "--unreadable"), ("spool", "export"),
    ):  # fmt: skip
        done = gateway.run(*words)
        assert SECRET.strip() not in done.stdout + done.stderr, words
    assert str(gateway.planted) in done.stderr


def test_drain_reads_root_keys_and_sends_no_file_of_root(gateway: Gateway) -> None:
    collector = Collector(gateway.root / "collector", keys=("fwfwfwfwfwfwfwfw", "linuxlinuxlinuxl"))
    collector.start()
    try:
        gateway.configure(collector.url)
        gateway.link(gateway.planted, gateway.secret)
        gateway.run("drain", "--timeout", "10s", code=1)
        texts = [event.text for event in collector.wait_for(4)]
    finally:
        collector.stop()
    assert sorted(texts) == ["event 1", "event 2", "other", "other"]
    assert gateway.files_of_others() == []


@pytest.mark.parametrize("name", ["lock", "format", ".format.new"])
@pytest.mark.parametrize("exists", [True, False], ids=["of a file", "to create a file"])
def test_link_in_a_place_of_the_spool_reaches_no_file_of_root(gateway: Gateway, name: str, exists: bool) -> None:
    target = gateway.secret if exists else gateway.root / "created"
    gateway.link(gateway.spool / name, target)
    gateway.run("quarantine", "purge", "--yes")
    assert gateway.secret.read_text() == SECRET
    assert sorted(path.name for path in gateway.root.iterdir()) == ["etc", "secret", "state"]
    assert gateway.files_of_others() == []


def test_link_in_place_of_the_spool_reaches_no_folder_of_root(gateway: Gateway) -> None:
    target = gateway.root / "of root"
    target.mkdir()
    gateway.spool.rename(gateway.state / "before")
    gateway.link(gateway.spool, target)
    done = gateway.run("quarantine", "purge", "--yes", code=1)
    assert "denied" in done.stderr
    assert list(target.iterdir()) == []


@contextmanager
def answering(path: Path, asked: list[bytes]) -> Iterator[None]:
    """Answers each request at a Unix socket as a bridge whose reload has succeeded."""
    result = b'{"result": {"text": "reloaded"}}\n'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as reading:
                    head = list(iter(reading.readline, b"\r\n"))
                    length = next((int(line[15:]) for line in head if line.lower().startswith(b"content-length:")), 0)
                    asked.append(b"".join(head) + reading.read(length))
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + result)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def locked(spool: Path) -> Iterator[None]:
    """Holds the lock of a spool, as a running bridge does."""
    with (spool / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_link_to_a_socket_of_root_gets_no_command(gateway: Gateway) -> None:
    asked: list[bytes] = []
    gateway.link(gateway.spool / "control.sock", gateway.root / "root.sock")
    with answering(gateway.root / "root.sock", asked), locked(gateway.spool):
        for words in (("status",), ("reload",), ("spool", "purge", "--yes")):
            assert "control.sock" in gateway.run(*words, code=1).stderr
    assert asked == []


def test_socket_of_the_user_gets_the_command(gateway: Gateway) -> None:
    asked: list[bytes] = []
    with answering(gateway.spool / "control.sock", asked), locked(gateway.spool):
        gateway.give(gateway.spool)
        assert gateway.run("reload").stdout == "reloaded\n"
    assert len(asked) == 1 and asked[0].startswith(b"POST /control/reload ")


def test_export_writes_a_file_of_root(gateway: Gateway) -> None:
    folder = gateway.root / "private"
    folder.mkdir(mode=0o700)
    gateway.link(gateway.planted, gateway.secret)
    done = gateway.run("spool", "export", "--output", str(folder / "out.jsonl"))
    assert "its 1 event is left out" in done.stderr
    out = folder / "out.jsonl"
    assert (out.stat().st_uid, out.stat().st_mode & 0o777) == (0, 0o600)
    assert len(out.read_text().splitlines()) == 4
    assert SECRET.strip() not in out.read_text()


@every_user
def test_run_as_root_is_refused(gateway: Gateway) -> None:
    before = sorted(map(str, gateway.state.rglob("*")))
    done = gateway.run("run", code=1)
    user = "nobody" if gateway.uid == NOBODY else f"'#{gateway.uid}'"
    assert f"sudo -u {user} syslog-bridge run -c {gateway.file}, or start the container as that user" in done.stderr
    assert sorted(map(str, gateway.state.rglob("*"))) == before


def test_key_is_not_written_through_a_link(gateway: Gateway) -> None:
    gateway.link(gateway.etc / "keys" / "fw", gateway.secret)
    done = gateway.run("key", "set", "fw", "--no-test", stdin="k" * 16, code=1)
    assert "is a link" in done.stderr
    assert gateway.secret.read_text() == SECRET
    gateway.run("key", "set", "linux", "--no-test", stdin="n" * 16)
    assert (gateway.etc / "keys" / "linux").read_text() == "n" * 16 + "\n"


def test_key_is_not_written_to_a_folder_behind_a_link_of_another_user(gateway: Gateway) -> None:
    keys = gateway.etc / "keys"
    keys.rename(gateway.etc / "elsewhere")
    gateway.link(keys, gateway.etc / "elsewhere")
    done = gateway.run("key", "set", "fw", "--no-test", stdin="k" * 16, code=1)
    assert "a link of user" in done.stderr
    assert (gateway.etc / "elsewhere" / "fw").read_text() != "k" * 16 + "\n"


def test_drill_leaves_no_file_of_root_in_a_folder_of_another_user(gateway: Gateway) -> None:
    # The user may not be able to run this Python, which is also an answer.
    done = subprocess.run(
        [SYSLOG_BRIDGE, "drill", "--quick", "--only", "413", "-c", str(gateway.file)], capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert "cannot run the program" in done.stderr if done.returncode else "Passed" in done.stdout, done
    assert gateway.files_of_others() == []


@pytest.mark.parametrize("words", [("status",), ("spool", "list"), ("key", "set", "fw")])
def test_folder_that_the_user_of_the_spool_cannot_enter_is_the_cause(gateway: Gateway, words: tuple[str, ...]) -> None:
    gateway.root.chmod(0o700)
    key = (gateway.etc / "keys" / "fw").read_text()
    done = gateway.run(*words, stdin="k" * 16, code=1)
    assert f"{gateway.spool}: its owner '#{gateway.uid}' cannot enter a folder above it" in done.stderr
    assert f"setfacl -m u:{gateway.uid}:x FOLDER" in done.stderr
    assert (gateway.etc / "keys" / "fw").read_text() == key
