"""Tests that ``setup`` takes intakes and routes from discovered devices: at a terminal, and without questions."""

import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.setup import setup
from bridge.config import load
from bridge.setup.check_result import StepResult
from tests.harness.captures import datagram, linked, packet, pcap
from tests.harness.discovering import ASA, FORTIGATE, UNKNOWN, stamped
from tests.harness.ports import free_port

ASA_KEY, FORTIGATE_KEY = "asaasaasa0000001", "fortifort0000002"
KEYS = {"cisco-secure-firewall": ASA_KEY, "fortinet-fortigate": FORTIGATE_KEY}
PATIENCE = 60.0
"Seconds after which a process that does not go on fails the test."
FRAMES = [
    *((ASA % (stamped(number), b"asa-1"), "192.0.2.1") for number in range(5)),
    *((FORTIGATE % b"fw-1", "192.0.2.2") for _ in range(5)),
    *((UNKNOWN, "192.0.2.3") for _ in range(5)),
]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "site.pcap"
    file.write_bytes(pcap(linked(packet(datagram(frame), source)) for frame, source in FRAMES))
    return file


def keys_in(folder: Path, **keys: str) -> Path:
    folder.mkdir()
    for name, key in (keys or KEYS).items():
        (folder / name).write_text(f"{key}\n")
    return folder


def run(tmp_path, *options, lines=None, code=0):
    argv = ["-c", str(tmp_path / "etc" / "bridge.yaml"), "--no-connect", *options]
    if lines is None:
        argv.append("--non-interactive")
    result = CliRunner().invoke(setup, argv, input=None if lines is None else "\n".join(lines) + "\n")
    assert result.exit_code == code, result.output
    return result


def routes(file: Path) -> dict[str, str]:
    return {route.intake: str(route.source[0]).removesuffix("/32") for route in load(file).routes}


def test_a_capture_gives_intakes_and_routes_without_questions(tmp_path, capture):
    result = run(tmp_path, "--discover", str(capture), "--key-file", str(keys_in(tmp_path / "keys")))
    config = load(tmp_path / "etc" / "bridge.yaml")
    assert routes(tmp_path / "etc" / "bridge.yaml") == {
        "cisco-secure-firewall": "192.0.2.1", "fortinet-fortigate": "192.0.2.2"
    }  # fmt: skip
    assert {name: intake.intake_key.reveal() for name, intake in config.intakes.items()} == KEYS
    assert config.unrouted.kind == "hold"
    assert [str(one.address) for one in config.listeners] == ["*:514", "*:514"]
    assert "192.0.2.3 pump-7: unknown, held" in result.output
    assert (tmp_path / "etc" / "bridge.yaml").read_text().startswith("# Written by `syslog-bridge setup`.")
    assert not any(key in result.output for key in KEYS.values())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--format", "fortigate"), "--discover and the options of one intake (--format, --intake, --source) exclude"),
        (("--key-file", "ONE"), "there are several intakes: cisco-secure-firewall, fortinet-fortigate. Name a folder"),
        (("--key-file", "SOME"), "has no key of fortinet-fortigate. Write each key to a file with the name of its"),
    ],
)
def test_wrong_options_write_nothing(tmp_path, capture, options, text):
    one = keys_in(tmp_path / "SOME", **{"cisco-secure-firewall": ASA_KEY}) / "cisco-secure-firewall"
    given = {"ONE": str(one), "SOME": str(tmp_path / "SOME")}
    argv = ["--discover", str(capture), "--key-file", str(one), *(given.get(option, option) for option in options)]
    assert text in " ".join(run(tmp_path, *argv, code=2).stderr.split())
    assert not (tmp_path / "etc").exists()


def test_without_an_identified_device_nothing_is_written(tmp_path):
    file = tmp_path / "site.pcap"
    file.write_bytes(pcap([linked(packet(datagram(UNKNOWN)))] * 5))
    result = run(tmp_path, "--discover", str(file), "--key-file", str(keys_in(tmp_path / "keys")), code=1)
    assert "setup: no device was identified, so nothing was written" in result.stderr
    assert not (tmp_path / "etc").exists()


def test_an_intake_whose_key_is_left_out_is_held(tmp_path, capture):
    lines = ["", "udp://127.0.0.1:0", "", "nowhere.pcap", str(capture), "y", "", "", "", FORTIGATE_KEY]
    result = run(tmp_path, lines=lines)
    file = tmp_path / "etc" / "bridge.yaml"
    assert routes(file) == {"fortinet-fortigate": "192.0.2.2"}
    assert "# 192.0.2.1: 5 messages; no key of its intake was given to setup." in file.read_text()
    assert "'nowhere.pcap' is no file, and no time such as 10m" in result.output
    assert "Enter the key of at least one intake." in result.output


@pytest.mark.parametrize("answer", ["no", "capture"])
def test_without_the_findings_setup_asks_for_one_intake(tmp_path, capture, answer):
    offered = [answer] if answer == "no" else [str(capture), "n"]
    run(tmp_path, lines=["", "udp://127.0.0.1:0", "", *offered, "fortigate", "fw", "10.1.0.0/16", FORTIGATE_KEY])
    config = load(tmp_path / "etc" / "bridge.yaml")
    assert list(config.intakes) == ["fw"]
    assert str(config.routes[0].source[0]) == "10.1.0.0/16"


def test_without_a_port_to_listen_on_it_asks_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        result = run(tmp_path, lines=["", taken, "y", "", "10m", "no", "", "", "", ASA_KEY])
    assert f"Error: {taken}: another program listens there." in result.output


def test_changed_answers_may_discover_another_site(tmp_path, capture):
    bad = StepResult("http://127.0.0.1/plain/batch", ("fw",), "tcp", False, "no connection")
    results = [[bad], []]
    first = ["", "udp://127.0.0.1:0", "", "no", "fortigate", "fw", "", FORTIGATE_KEY, "n", "change"]
    again = ["", "", "", str(capture), "y", ASA_KEY, FORTIGATE_KEY]
    argv = ["-c", str(tmp_path / "etc" / "bridge.yaml")]
    result = CliRunner().invoke(
        setup, argv, input="\n".join([*first, *again]) + "\n", obj=lambda *_arguments: results.pop(0)
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    intakes = load(tmp_path / "etc" / "bridge.yaml").intakes
    assert {name: intake.intake_key.reveal() for name, intake in intakes.items()} == KEYS


class Terminal:
    """Runs ``setup`` at a terminal of its own."""

    def __init__(self, *options: str) -> None:
        self._fd, other = pty.openpty()
        self.shown = ""

        def become_foreground() -> None:
            os.close(os.open(os.ttyname(other), os.O_RDWR))
            # A background job, as the tests may be, ignores Ctrl-C.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "setup", "--no-connect", *options], stdin=other, stdout=other,
            stderr=other, start_new_session=True, preexec_fn=become_foreground,  # noqa: PLW1509 - the test has no threads here
        )  # fmt: skip
        os.close(other)

    def wait_for(self, text: str) -> None:
        """Reads until a text is shown. Progress is shown all the time, so the wait as a whole is bounded."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown and time.monotonic() < deadline and self._read():
            pass
        if text not in self.shown:
            self._process.kill()
        assert text in self.shown, self.shown
        self.shown = self.shown.partition(text)[2]

    def answer(self, question: str, text: str) -> None:
        """Types a line, once a question is asked."""
        self.wait_for(question)
        os.write(self._fd, f"{text}\n".encode())

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Presses Ctrl-C until the process ends. One that is pressed just before the prompt waits may be missed."""
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            self.type("\x03")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)

    def end(self) -> int:
        """Reads the rest; returns the exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        """Reads what is shown next; returns False at the end of the process."""
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        if not ready:
            self._process.kill()
            pytest.fail(f"nothing is shown any more: {self.shown}")
        try:
            self.shown += os.read(self._fd, 4096).decode()
        except OSError:
            return False
        return True


def test_at_a_terminal_ctrl_c_ends_listening_and_keeps_what_was_found(tmp_path):
    port, file = free_port(), tmp_path / "etc" / "bridge.yaml"
    terminal = Terminal("-c", str(file), "--spool", str(tmp_path / "spool"))
    terminal.answer("URL of the collector", "")
    terminal.answer("Listeners", f"udp://127.0.0.1:{port}")
    terminal.answer("Time zone", "")
    terminal.answer("Discover your devices", "1h")
    terminal.wait_for("listening on")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", port))
        for _ in range(5):
            datagrams.send(FORTIGATE % b"fw-1")
    terminal.wait_for("discover: 5 messages of 1 sender")
    terminal.type("\x03")
    terminal.wait_for("Fortinet FortiGate")
    terminal.answer("Use the 1 intake and 1 route of these findings? [Y/n]", "")
    terminal.answer("Intake key of fortinet-fortigate (not shown)", FORTIGATE_KEY)
    assert terminal.end() == 0, terminal.shown
    assert FORTIGATE_KEY not in terminal.shown
    assert routes(file) == {"fortinet-fortigate": "127.0.0.1"}


def test_at_a_terminal_ctrl_c_at_the_question_cancels_as_before(tmp_path):
    terminal = Terminal("-c", str(tmp_path / "etc" / "bridge.yaml"))
    terminal.answer("URL of the collector", "")
    terminal.answer("Listeners", "udp://127.0.0.1:0")
    terminal.answer("Time zone", "")
    terminal.wait_for("Discover your devices")
    terminal.interrupt()
    # A second Ctrl-C may meet the end of the interpreter.
    assert terminal.end() in (1, -signal.SIGINT)
    assert "Aborted!" in terminal.shown
    assert not (tmp_path / "etc").exists()
