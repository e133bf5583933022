"""Tests the drill's checks of disk, receive buffers and clock, and their texts."""

import os
import socket
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bridge.config import Share, parse_text
from bridge.trial.drill import machine_checks
from bridge.trial.drill.machine_checks import Need

NOW = 1_800_000_000.0


def test_a_disk_with_room(tmp_path):
    found = machine_checks.disk(tmp_path / "spool", 10 << 20, 1 << 10, Need(1, 3600, 300))
    assert found.ok
    assert "this holds an outage of" in found.text


def test_a_spool_that_is_too_small_is_named_with_what_is_needed(tmp_path):
    found = machine_checks.disk(tmp_path / "not" / "yet" / "there", 50 << 20, 1 << 10, Need(5000, 8 * 3600, 300))
    assert not found.ok
    assert "the spool's disk is too small: the spool may use 50 MiB" in found.text
    assert "At 5,000 events/s this holds an outage of 117 seconds" in found.text
    assert "8 hours need 12.1 GiB" in found.text


def test_min_free_reduces_the_budget(tmp_path):
    found = machine_checks.disk(tmp_path, Share(100), Share(100), Need(1, 60, 300))
    assert not found.ok
    assert "an outage of 0 seconds" in found.text


def test_a_receive_buffer_that_is_granted_and_one_that_is_capped():
    most = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert machine_checks.receive_buffer(most).ok
    capped = machine_checks.receive_buffer(most * 4)
    assert not capped.ok
    assert f"Run sysctl -w net.core.rmem_max={most * 4}" in capped.text


@pytest.mark.parametrize(
    ("offset", "synchronised", "ok", "words"),
    [
        (0, True, True, "agrees with the collector's"),
        (2, False, True, "the kernel reports it as not synchronised"),
        (3600, True, False, "60 minutes ahead of the collector's"),
        (-86400 * 3, True, False, "3 days behind the collector's"),
    ],
)
def test_a_clock_against_the_collectors(offset, synchronised, ok, words):
    found = machine_checks.clock(formatdate(NOW, usegmt=True), NOW + offset, synchronised=synchronised)
    assert (found.ok, words in found.text) == (ok, True), found


@pytest.mark.parametrize(("synchronised", "ok"), [(True, True), (False, False)])
@pytest.mark.parametrize("date", [None, "yesterday"])
def test_the_clock_without_the_collectors_time(date, synchronised, ok):
    assert machine_checks.clock(date, NOW, synchronised=synchronised).ok is ok


def test_the_kernel_answers_whether_its_clock_is_synchronised():
    assert machine_checks.clock(None, NOW).ok in (True, False)


class _Dated(BaseHTTPRequestHandler):
    def do_HEAD(self):
        assert "X-SEKOIAIO-INTAKE-KEY" not in self.headers
        self.send_response_only(405)
        self.send_header("Date", formatdate(NOW, usegmt=True))
        self.end_headers()


def destination(port):
    text = f"""
collector: {{url: "http://127.0.0.1:{port}"}}
listeners: [{{udp: "127.0.0.1:514"}}]
intakes: {{all: {{intake_key: abcdefgh12345678}}}}
unrouted: {{intake: all}}
spool: {{directory: /nowhere}}
"""
    return parse_text(text).intakes["all"].destination


def test_the_collector_is_asked_for_its_time_without_a_key():
    server = HTTPServer(("127.0.0.1", 0), _Dated)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    date, _ = machine_checks.fetch_date(destination(server.server_port))
    thread.join()
    server.server_close()
    assert date == formatdate(NOW, usegmt=True)


def test_no_date_if_the_collector_does_not_answer():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert machine_checks.fetch_date(destination(closed.getsockname()[1]))[0] is None


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(100_000))
    assert machine_checks._size_of(tmp_path) >= 100_000
