"""Tests ``check``: faults in both output formats, the verdict, and the check of ``bridge.setup.connection_check``."""

import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
import trustme
from click.testing import CliRunner

from bridge.cli.check import check
from bridge.setup.check_result import StepResult

COLLECTOR = "from bridge.cli.collector import collector; collector()"
CHECK = "from bridge.cli.check import check; check()"
KEY = "verysecretkey000"
DEADLINE = 60


def configuration(tmp_path, intakes):
    (tmp_path / "key").write_text(KEY)
    file = tmp_path / "bridge.yaml"
    rows = "".join(f"  {name}: {{intake_key: {{file: key}}, {more}}}\n" for name, more in intakes.items())
    first = next(iter(intakes))
    file.write_text(
        "collector: {region: FRA1, timeout: 5s}\nlisteners: [{udp: '127.0.0.1:5514'}, {tcp: '127.0.0.1:5514'}]\n"
        f"intakes:\n{rows}routes: [{{intake: {first}, source: 10.0.0.0/8}}]\nspool: {{directory: spool}}\n"
    )
    return file


def run(*options, results=()):
    calls = []

    def connect(config, connecting, sending):
        calls.append((connecting, sending))
        return list(results)

    return CliRunner().invoke(check, options, obj=connect), calls


# --- the configuration ------------------------------------------------------------------------------------------------


def test_valid_configuration_prints_its_verdict(tmp_path):
    file = configuration(tmp_path, {"a": "", "b": ""})
    result, calls = run("-c", str(file))
    assert result.exit_code == 0
    *warnings, verdict = result.stdout.splitlines()
    assert verdict == "configuration is valid: 2 listeners, 2 intakes, 1 route, 0 source entries; unrouted: hold"
    assert all(f"{file}:" in line and ": warning: " in line for line in warnings)
    assert calls == []
    found = json.loads(run("-c", str(file), "--format", "json")[0].stdout)
    assert [row["severity"] for row in found] == ["warning"] * len(warnings)
    assert any("b has the same key as intake a" in row["message"] for row in found)


def test_settings_that_examine_each_message_are_noted(tmp_path):
    file = configuration(tmp_path, {"a": ""})
    text = file.read_text().replace("routes:", "redact: [{name: badge, regex: a+}, {pattern: email}]\nroutes:", 1)
    conditions = ("matches: [x]", "contains: [x]", "starts_with: [y]")
    routes = "".join(f"{{name: r{n}, drop: true, message: {{{each}}}}}, " for n, each in enumerate(conditions))
    routes += "{name: r3, drop: true, except: {message: {matches: z}}}, "
    file.write_text(text.replace("routes: [", f"routes: [{routes}", 1))
    notes = [line for line in run("-c", str(file))[0].stdout.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: routes r0, r3: message: matches examines each message of these senders, about 3 µs each",
        "note: routes r1, r2: message: examines each message of these senders, about 2 µs each",
        "note: redact rule badge: regex examines each message of these senders, about 3 µs each",
    ]


def test_every_fault_is_listed_as_text_and_as_json(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("collector: {region: FRA9}\nlisteners: [{udp: 514}]\nwhat: 1\n")
    text, calls = run("-c", str(file), "--connect")
    assert (text.exit_code, calls, text.stderr) == (2, [], "")
    lines = text.stdout.splitlines()
    assert len(lines) >= 3
    for line in lines:
        assert re.match(rf"{re.escape(str(file))}:\d+:\d+: .", line)
    found, _ = run("-c", str(file), "--format", "json")
    assert found.exit_code == 2
    faults = json.loads(found.stdout)
    assert ["{file}:{line}:{column}: {message}".format(**fault) for fault in faults] == lines
    assert {key for fault in faults for key in fault} == {"file", "line", "column", "message", "severity"}
    assert {fault["severity"] for fault in faults} == {"error"}


def test_no_secrets_reads_no_secret(tmp_path):
    file = configuration(tmp_path, {"a": ""})
    (tmp_path / "key").unlink()
    assert run("-c", str(file))[0].exit_code == 2
    assert run("-c", str(file), "--no-secrets")[0].exit_code == 0
    result, _ = run("-c", str(file), "--no-secrets", "--send-test")
    assert result.exit_code == 2
    assert "--send-test needs the intake keys" in result.stderr


@pytest.mark.parametrize("good", [True, False])
def test_exit_code_is_that_of_the_connection_check(tmp_path, good):
    file = configuration(tmp_path, {"a": ""})
    rows = [StepResult("http://h/plain/batch", ("a",), "tcp", good, "words")]
    result, calls = run("-c", str(file), "--connect", "--send-test", results=rows)
    assert (result.exit_code, calls) == (0 if good else 1, [(True, True)])
    assert result.stdout.endswith(f"http://h/plain/batch (intake a)\n  {'ok' if good else 'NO'}  tcp   words\n")
    rows_json = json.loads(run("-c", str(file), "--connect", "--format", "json", results=rows)[0].stdout)
    assert rows_json == [
        {
            "target": "http://h/plain/batch",
            "intakes": ["a"],
            "step": "tcp",
            "ok": good,
            "text": "words",
            "event_ids": [],
            "key_refused": False,
        }
    ]


# --- the connection to the collector ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("localhost", "elsewhere.example"):
        made.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    return folder


@contextmanager
def collector(*options):
    """Runs the collector as a process; yields its port and a list, which contains its events after the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR, "--listen", "127.0.0.1:0", *map(str, options)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    events = []
    try:
        port = int(re.search(rb":(\d+)/", process.stderr.readline())[1])
        yield port, events
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=DEADLINE)
        events.extend(map(json.loads, out.splitlines()))


@contextmanager
def answering(data):
    """Runs a server that answers every request with the same bytes and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(ConnectionError):
                    if connection.recv(65536):
                        connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def run_check(file, *options):
    """Runs ``check``; returns the exit code, (step, ok, text) of each result by intake, and all result rows."""
    ran = subprocess.run(
        [sys.executable, "-c", CHECK, "-c", str(file), "--format", "json", *options], capture_output=True, check=False,
        timeout=DEADLINE,
    )  # fmt: skip
    assert KEY not in ran.stdout.decode() + ran.stderr.decode()
    results = {}
    for row in json.loads(ran.stdout):
        for intake in row["intakes"]:
            results.setdefault(intake, []).append((row["step"], row["ok"], row["text"]))
    assert ran.stderr == b""
    return ran.returncode, results, json.loads(ran.stdout)


def test_successful_check_lists_all_steps(tmp_path, ca_folder):
    with collector("--key", KEY, "--certificate", ca_folder / "localhost.pem") as (port, events):
        url = f'url: "https://localhost:{port}", ca_file: {ca_folder / "ca.pem"}'
        file = configuration(tmp_path, {"a": url, "b": url})
        code, results, rows = run_check(file, "--connect")
        assert code == 0, rows
        assert [(step, ok) for step, ok, _ in results["a"]] == [
            ("name", True), ("tcp", True), ("tls", True), ("http", True)
        ]  # fmt: skip
        assert results["a"] == results["b"]
        assert len(rows) == 4
        assert "is valid until" in results["a"][2][2]
        assert "answers 401" in results["a"][3][2]
    assert events == []


def test_scattered_endpoint_is_tried_too(tmp_path):
    with collector("--key", KEY) as (port, events):
        url = f'url: "http://127.0.0.1:{port}"'
        file = configuration(tmp_path, {"a": url, "b": f"{url}, scattered_endpoint: /array"})
        code, results, rows = run_check(file, "--connect")
    assert code == 0, rows
    assert len(results["a"]) == 3 and len(results["b"]) == 6
    assert {row["target"] for row in rows} == {f"http://127.0.0.1:{port}{path}" for path in ("/plain/batch", "/array")}
    assert [row["intakes"] for row in rows if row["target"].endswith("/array")] == [["b"]] * 3
    assert events == []


def test_send_test_sends_one_event_for_each_intake(tmp_path):
    with collector("--key", KEY) as (port, events):
        url = f'url: "http://127.0.0.1:{port}"'
        code, _, rows = run_check(configuration(tmp_path, {"a": url, "b": url}), "--send-test")
        assert code == 0, rows
    assert [row["intakes"] for row in rows] == [["a"], ["b"]]
    assert [row["event_ids"] for row in rows] == [[event["event_id"]] for event in events]
    assert [event["event"].split(",")[0] for event in events] == [
        "syslog-bridge: test event for intake a", "syslog-bridge: test event for intake b"
    ]  # fmt: skip
    assert all(event["event_timestamp"] in event["event"] for event in events)


def test_each_failing_step_has_its_own_text(tmp_path, ca_folder):
    redirection = (
        b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>"
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    with (
        collector("--certificate", ca_folder / "localhost.pem") as (untrusted, _),
        collector("--certificate", ca_folder / "elsewhere.example.pem") as (misnamed, _),
        collector("--key", "another0another0") as (unknown, _),
        answering(redirection) as portal,
        answering(page) as foreign,
    ):
        trust = f"ca_file: {ca_folder / 'ca.pem'}"
        intakes = {
            "name": 'url: "https://nowhere.invalid"',
            "tcp": f'url: "http://127.0.0.1:{closed}"',
            "trust": f'url: "https://localhost:{untrusted}"',
            "misnamed": f'url: "https://localhost:{misnamed}", {trust}',
            "plain": f'url: "https://127.0.0.1:{portal}"',
            "portal": f'url: "http://127.0.0.1:{portal}"',
            "path": f'url: "http://127.0.0.1:{unknown}/wrong"',
            "key": f'url: "http://127.0.0.1:{unknown}"',
            "foreign": f'url: "http://127.0.0.1:{foreign}"',
        }
        file = configuration(tmp_path, intakes)
        code, results, _ = run_check(file, "--connect")
        sent_code, sent, _ = run_check(file, "--send-test")
    assert (code, sent_code) == (1, 1)
    last = {name: steps[-1] for name, steps in results.items()}
    for name, step, text in (
        ("name", "name", "cannot resolve nowhere.invalid"),
        ("tcp", "tcp", "Connection refused"),
        ("trust", "tls", "untrusted issuer"),
        ("misnamed", "tls", "for another name"),
        ("plain", "tls", "does not speak TLS on this port"),
        ("portal", "http", "302: a redirect to http://portal.example/"),
        ("path", "http", "404: the path does not exist"),
        ("foreign", "http", "200 is not from the collector: <html></html>: a captive portal or proxy answers"),
    ):
        assert last[name][:2] == (step, False), last[name]
        assert text in last[name][2]
    # An empty request carries no key, so only a test event shows that the key is unknown.
    assert last["key"][1]
    for name, text in (("key", "401"), ("foreign", "not from the collector")):
        ((step, ok, words),) = sent[name]
        assert (step, ok) == ("event", False)
        assert text in words
