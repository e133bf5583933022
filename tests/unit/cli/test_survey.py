"""Tests that ``explain --survey`` counts every frame of a capture, says what it skipped, and anonymises samples."""

import errno
import json
import os
import stat
import sys

import pytest
from click.testing import CliRunner

from bridge.cli.explain import explain
from bridge.explain import capture as captures_module
from tests.harness.captures import (
    CONFIGURATION,
    ETHERNET,
    NULL,
    RAW,
    SLL,
    SLL2,
    SSH,
    datagram,
    linked,
    packet,
    pcap,
    pcapng,
)


@pytest.fixture
def survey(tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIGURATION)

    def run(data, *options, code=0, name="capture", stdin=None):
        path = "-"
        if data is not None:
            path = tmp_path / name
            path.write_bytes(data)
        given = ["-c", str(file), "--survey", str(path), *options]
        result = CliRunner().invoke(explain, given, input=stdin, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


def report(result):
    return json.loads(result.stdout)


def test_text_is_grouped_by_host_and_shape(survey):
    found = report(survey((SSH + b"\n") * 9 + b"<13>no header\n\n", "--output", "json"))
    assert found["frames"] == 10
    first, second = found["groups"]
    assert (first["source"], first["shape"], first["frames"]) == ("web-paris-7", "rfc3164", 9)
    assert (first["format"], first["fitting"], first["examined"]) == ("openssh", 9, 9)
    assert first["hosts"] == {"web-paris-7": 9}
    assert first["apps"] == {"sshd": 9}
    assert first["product"] == "OpenSSH"
    assert first["offset_seconds"] is None
    assert second["untimed"] == second["frames"] == 1
    assert "no header" in second["odd"][0]


def test_text_output_names_the_same(survey):
    text = survey((SSH + b"\n") * 9).stdout
    assert "web-paris-7, shape rfc3164: 9 frames" in text
    assert "openssh: 100% of 9 examined events look like it" in text
    assert "9 frames read, 0 skipped" in text


def test_octet_counted_text(survey):
    counted = b"".join(b"%d %b" % (len(SSH), SSH) for _ in range(3))
    found = report(survey(counted, "--stream", "--json"))
    assert (found["frames"], found["groups"][0]["frames"]) == (3, 3)


def test_stdin(survey):
    assert report(survey(None, "--json", stdin=SSH + b"\n"))["frames"] == 1


@pytest.mark.parametrize("build", [pcap, pcapng])
@pytest.mark.parametrize("link", [ETHERNET, RAW, SLL, SLL2, NULL])
@pytest.mark.parametrize("source", ["192.0.2.7", "2001:db8::7"])
def test_links_and_addresses(survey, build, link, source):
    found = report(survey(build([linked(packet(datagram(SSH), source), link)], link), "--json"))
    assert found["skipped"] == {}
    (group,) = found["groups"]
    assert (group["source"], group["frames"], group["hosts"]) == (source, 1, {"web-paris-7": 1})
    assert group["offset_seconds"] == 0


@pytest.mark.parametrize("link", [ETHERNET, SLL, SLL2])
@pytest.mark.parametrize("vlans", [1, 2])
@pytest.mark.parametrize("source", ["192.0.2.7", "2001:db8::7"])
def test_vlan_tags(survey, link, vlans, source):
    data = linked(packet(datagram(SSH), source), link, vlans=vlans)
    assert report(survey(pcap([data], link), "--json"))["groups"][0]["source"] == source


def test_time_offset_of_a_clock_in_another_zone(survey):
    late = SSH.replace(b"07:24", b"08:24")
    text = survey(pcap([linked(packet(datagram(late)))] * 3)).stdout
    assert "offset +1h00m (a time zone?)" in text


def test_skipped_packets_are_counted_with_their_reason(survey):
    ip6_fragment = bytes([17, 0, 0, 1, 0, 0, 0, 1]) + datagram(SSH)
    packets = [
        linked(packet(datagram(SSH))),
        linked(packet(datagram(SSH), fragment=0x2000)),
        linked(packet(datagram(SSH)[8:], fragment=0x0040)),
        linked(packet(ip6_fragment, "2001:db8::7", protocol=44)),
        linked(packet(bytes(20), protocol=6)),
        linked(packet(bytes(8), protocol=1)),
        linked(packet(datagram(b"\x12\x34 a query", port=53))),
        linked(packet(datagram(SSH)))[:-9],
        linked(packet(datagram(SSH)))[:30],
        linked(packet(datagram(b"\n"))),
        bytes(12) + b"\x08\x06" + bytes(28),
        b"\1",
    ]
    found = report(survey(pcap(packets), "--json"))
    assert found["frames"] == 1
    assert sum(found["skipped"].values()) == len(packets) - 1
    assert found["skipped"]["IP fragments, which are not reassembled"] == 3
    assert found["skipped"]["UDP datagrams to other ports that do not begin with a PRI"] == 1
    assert found["skipped"]["packets that are damaged or cut short"] >= 2
    assert found["skipped"]["no IP packets"] == 1


def test_syslog_on_a_listener_of_the_configuration_needs_no_pri(survey):
    packets = [linked(packet(datagram(b"no pri", port=port))) for port in (514, 5514, 9999)]
    assert report(survey(pcap(packets), "--json"))["frames"] == 2


@pytest.mark.parametrize("build", [pcap, pcapng])
def test_every_cut_of_a_capture_is_reported(survey, build):
    whole = build([linked(packet(datagram(SSH)))] * 2)
    start = len(build([]))
    for end in range(start + 1, len(whole), 7):
        found = report(survey(whole[:end], "--json", code=0 if end >= (start + len(whole)) / 2 else 1))
        assert found["frames"] <= 2
        assert found["frames"] == 2 or found["notes"] or found["skipped"] or end == (start + len(whole)) / 2


def test_a_damaged_length_does_not_fill_the_memory(survey):
    whole = pcap([linked(packet(datagram(SSH)))])
    result = survey(whole + b"\xff" * 16 + bytes(100), "--json")
    assert report(result)["notes"] == ["the file is damaged or cut short: nothing behind the last packet could be read"]


@pytest.mark.parametrize("link", [ETHERNET, SLL, SLL2, NULL, RAW])
def test_mutated_packets_never_end_the_survey(survey, link):
    good = linked(packet(datagram(SSH), "2001:db8::7"), link, vlans=1 if link in (ETHERNET, SLL, SLL2) else 0)
    mutants = [good[:at] + bytes([value]) + good[at + 1 :] for at in range(70) for value in (0, 0x2C, 0x81, 0xFF)]
    mutants += [good[:end] for end in range(len(good))]
    found = report(survey(pcap([*mutants, good], link), "--json"))
    assert found["frames"] + sum(found["skipped"].values()) == len(mutants) + 1
    assert not found["notes"]


def test_missing_library_names_the_command(survey, monkeypatch):
    monkeypatch.setitem(sys.modules, "dpkt", None)
    result = survey(pcap([]), code=1)
    assert "pip install 'syslog-bridge[pcap]'" in result.stderr


def test_text_needs_no_library(survey, monkeypatch):
    monkeypatch.setitem(sys.modules, "dpkt", None)
    assert "1 frame" in survey(SSH).stdout


@pytest.mark.parametrize("kind", ["missing", "fifo", "device", "folder"])
def test_refuses_what_is_not_a_file(survey, tmp_path, kind):
    path = tmp_path / "special"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = "/dev/null"
    result = CliRunner().invoke(explain, ["--survey", str(path)], catch_exceptions=False)
    assert result.exit_code == 1
    expected = {
        "missing": os.strerror(errno.ENOENT), "fifo": "a FIFO", "device": "a device", "folder": "directory",
    }[kind]  # fmt: skip
    assert expected in result.stderr
    assert "- for stdin" in result.stderr


def test_compressed_capture_names_the_tool(survey):
    assert "gzip -d" in survey(b"\x1f\x8b\x08\0\0\0", code=1).stderr


def test_a_line_without_end_is_skipped_with_bounded_memory(survey):
    found = report(survey(b"x" * (3 << 20) + b"\n" + SSH + b"\n", "--json"))
    assert (found["frames"], found["skipped"]) == (1, {"lines longer than 1 MiB": 1})


def test_interrupt_prints_what_was_read(survey, monkeypatch):
    def interrupted(self):
        yield captures_module.CapturedFrame(SSH)
        raise KeyboardInterrupt

    monkeypatch.setattr(captures_module.Capture, "__iter__", interrupted)
    result = survey(SSH, code=1)
    assert "1 frame read" in result.stdout
    assert "interrupted: the numbers are of what was read until then" in result.stdout


def test_anonymise_writes_a_private_new_file(survey, tmp_path):
    out = tmp_path / "out.yaml"
    data = pcap([linked(packet(datagram(SSH), "10.20.30.40"))] * 2)
    result = survey(data, "--anonymise", str(out))
    assert "2 anonymised samples of 2 frames" in result.stdout
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    text = out.read_text()
    for secret in ("web-paris-7", "paris", "jdupont", "203.0.113.9", "10.20.30.40"):
        assert secret not in text
    assert report(survey(out.read_bytes(), "--json"))["groups"][0]["product"] == "OpenSSH"
    assert "the file exists" in survey(data, "--anonymise", str(out), code=1).stderr
    assert out.read_text() == text


def test_anonymise_alone_is_wrong_usage(tmp_path):
    result = CliRunner().invoke(explain, ["--anonymise", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()
