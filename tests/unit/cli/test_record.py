"""Tests that ``test --record`` writes samples that the same version passes, and that show what a change alters."""

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli.test import test as command
from tests.harness.captures import CONFIGURATION, SSH, datagram, linked, packet, pcap, segment

FRAMES = [
    SSH,
    b"<13>no header",
    '<14>Nov 23 07:24:00 h app: é 😀 \u2028 \x85 "quoted" \'x\' \\ end'.encode(),
    b"<14>Nov 23 07:24:00 h app: bytes \xff\x01\x7f, not UTF-8",
    b"<14>Nov 23 07:24:00 h app: two\nlines\tand a tab",
    b"<165>1 2026-11-23T07:24:00Z h app 1 - [x@1 a=\"b\"] ",
    b'<14>Nov 23 07:24:00 h null',
]  # fmt: skip

_HOLD = "routes: [{name: other, intake: all, hostname: other}]\nunrouted: hold"


@pytest.fixture
def run(tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIGURATION)

    def call(*arguments, code=0, **given):
        result = CliRunner().invoke(command, ["-c", str(file), *map(str, arguments)], catch_exceptions=False, **given)
        assert result.exit_code == code, result.output
        return result

    return call


def test_recorded_samples_pass_and_show_a_change(run, tmp_path):
    capture, samples = tmp_path / "c.pcap", tmp_path / "samples.yaml"
    capture.write_bytes(pcap([linked(packet(datagram(each), "192.0.2.44")) for each in FRAMES]))
    result = run("--record", capture)
    samples.write_bytes(result.stdout_bytes)
    assert f"{len(FRAMES)} samples of {len(FRAMES)} frames recorded" in result.stderr
    recorded = yaml.safe_load(result.stdout)
    assert {each["from"] for each in recorded} == {"192.0.2.44"}
    assert recorded[0]["received"] == "2026-11-23T07:24:00+00:00"
    assert recorded[0]["expect"]["event"].startswith("Accepted publickey")
    assert f"{len(FRAMES)} of {len(FRAMES)} samples match" in run(samples).stdout
    (tmp_path / "bridge.yaml").write_text(CONFIGURATION.replace("nowhere}", "nowhere}, payload: content"))
    changed = run(samples, code=1).stdout
    assert "payload is 'content', expected 'message'" in changed
    assert "event is 'sshd[4711]: Accepted" in changed


def test_a_stream_of_tcp_is_recorded_for_the_listener_of_its_port(run, tmp_path):
    capture = tmp_path / "c.pcap"
    capture.write_bytes(pcap([linked(packet(segment(SSH + b"\n", 1, port=5514), protocol=6))]))
    (recorded,) = yaml.safe_load(run("--record", capture).stdout)
    assert recorded["listener"] == "tcp"


def test_a_recording_can_be_recorded_again(run, tmp_path):
    capture, samples = tmp_path / "c.log", tmp_path / "samples.yaml"
    capture.write_bytes(b"".join(each + b"\n" for each in FRAMES))
    first = run("--record", capture).stdout_bytes
    samples.write_bytes(first)
    assert run("--record", samples).stdout_bytes == first


def test_a_sample_without_intake_is_recorded_as_null(run, tmp_path):
    file, capture, samples = tmp_path / "bridge.yaml", tmp_path / "c.log", tmp_path / "samples.yaml"
    file.write_text(CONFIGURATION.replace("unrouted: {intake: all}", _HOLD))
    capture.write_bytes(SSH + b"\n")
    samples.write_bytes(run("--record", capture).stdout_bytes)
    assert yaml.safe_load(samples.read_text())[0]["expect"]["intake"] is None
    run(samples)
    file.write_text(CONFIGURATION)
    assert "intake is 'all', expected none" in run(samples, code=1).stdout


def test_stdin(run):
    assert "Accepted publickey" in run("--record", "-", input=SSH).stdout


def test_usage(run, tmp_path):
    run(code=2)
    run("--record", "-", tmp_path / "samples.yaml", code=2)


def test_an_empty_capture_fails(run):
    assert "0 samples of 0 frames" in run("--record", "-", input=b"", code=1).stderr


def test_one_sample_is_not_several_samples(run):
    assert "test: 1 sample of 1 frame recorded\n" in run("--record", "-", input=b"<13>app: x\n").stderr
