"""Tests that ``explain`` prints the documented fields, and the pipeline's event in each payload form."""

import json
import subprocess
import sys
from ipaddress import ip_address

import pytest
from click.testing import CliRunner

from bridge.batching import GroupLimits, Window, group
from bridge.batching.payload import FORMS
from bridge.cli.explain import explain
from bridge.config import load
from bridge.routing import Router
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader

FIELDS = [
    "priority", "facility", "severity", "timestamp", "hostname", "app_name", "procid", "msgid", "structured_data",
    "msg", "format", "shape", "listener", "route", "intake", "payload", "event", "event_timestamp",
]  # fmt: skip

RULES = ["priority", "timestamp", "hostname", "app_name", "procid", "msgid", "structured_data", "msg"]

CONFIGURATION = """
timezone: Europe/Paris
collector: {url: "http://127.0.0.1:9"}
listeners:
  - {name: udp, udp: "127.0.0.1:5514", allow: [127.0.0.0/8, 10.0.0.0/8]}
  - {name: tcp, tcp: "127.0.0.1:5514"}
  - {name: own, tcp: "127.0.0.1:5515", intake: raw}
max_frame_size: 480B
sources:
  - {source: 10.20.0.0/16, timezone: America/New_York, name: branch}
intakes:
  message: {intake_key: {file: nowhere}}
  auto: {intake_key: {file: nowhere}, payload: auto}
  content: {intake_key: {file: nowhere}, payload: content}
  device: {intake_key: {file: nowhere}, payload: device}
  line: {intake_key: {file: nowhere}, payload: line}
  structured: {intake_key: {file: nowhere}, payload: structured}
  raw: {intake_key: {file: nowhere}, payload: raw}
  rfc5424: {intake_key: {file: nowhere}, payload: rfc5424}
  json: {intake_key: {file: nowhere}, payload: json}
  untimed: {intake_key: {file: nowhere}, timestamp: none}
  arrival: {intake_key: {file: nowhere}, timestamp: received}
routes:
  - {name: noise, drop: true, app_name: CRON, except: {min_severity: warning}}
  - {name: logins, intake: message, hostname: "web-*", min_severity: notice, message: {contains: [login, logout]}}
  - {name: starts, intake: message, hostname: "web-*", message: {starts_with: "%ASA"}}
  - {name: far, intake: content, source: 10.20.0.0/16}
  - {name: at-tcp, intake: content, listener: tcp, hostname: gw}
  - {name: by-host-message, intake: message, hostname: as-message}
  - {name: by-host-auto, intake: auto, hostname: as-auto}
  - {name: by-host-content, intake: content, hostname: as-content}
  - {name: by-host-device, intake: device, hostname: as-device}
  - {name: by-host-line, intake: line, hostname: as-line}
  - {name: by-host-structured, intake: structured, hostname: as-structured}
  - {name: by-host-raw, intake: raw, hostname: as-raw}
  - {name: by-host-rfc5424, intake: rfc5424, hostname: as-rfc5424}
  - {name: by-host-json, intake: json, hostname: as-json}
  - {name: by-host-untimed, intake: untimed, hostname: as-untimed}
  - {name: by-host-arrival, intake: arrival, hostname: as-arrival}
  - {name: hidden, intake: message, timezone: Asia/Tokyo, hostname: tokyo}
unrouted: hold
spool: {directory: spool}
"""

RECEIVED = "2026-11-23T06:25:00Z"
BSD = "Nov 23 07:24:00"
STAMP = "2026-11-23T06:24:00.000Z"
MSG = "[764008:0] info: 198.51.100.10 example.org. A IN"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIGURATION)
    return path


def run(file, frames, *options):
    """Runs ``explain`` on some frames. The key files of the configuration do not exist."""
    return CliRunner().invoke(explain, ["-c", str(file), "--received", RECEIVED, *options], input=frames)


def explain_json(file, frame, *options):
    """Returns the JSON object that ``explain`` prints for one frame, without the rules."""
    result = run(file, frame + b"\n", "--json", *options)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    fields = json.loads(line)
    assert list(fields) == [*FIELDS, "rules"]
    assert list(fields.pop("rules")) == RULES
    return fields


def test_rfc3164_frame_has_the_expected_fields(file):
    assert explain_json(file, f"<30>{BSD} as-message unbound[7640]: {MSG}".encode()) == {
        "priority": 30, "facility": 3, "severity": 6, "timestamp": "2026-11-23T07:24:00+01:00",
        "hostname": "as-message", "app_name": "unbound", "procid": "7640", "msgid": None, "structured_data": {},
        "msg": MSG, "format": "rfc3164", "shape": "rfc3164", "listener": "udp", "route": "by-host-message",
        "intake": "message", "payload": "message", "event": MSG, "event_timestamp": STAMP,
    }  # fmt: skip


def test_rfc5424_frame_has_the_expected_fields(file):
    frame = rb'<165>1 2026-11-23T07:24:00.25+01:00 as-structured app 77 ID7 [x@1 k="a\"b" k="2"] ' + MSG.encode()
    assert explain_json(file, frame) == {
        "priority": 165, "facility": 20, "severity": 5, "timestamp": "2026-11-23T07:24:00.250000+01:00",
        "hostname": "as-structured", "app_name": "app", "procid": "77", "msgid": "ID7",
        "structured_data": {"x@1": [["k", 'a"b'], ["k", "2"]]}, "msg": MSG, "format": "rfc5424", "shape": "rfc5424",
        "listener": "udp", "route": "by-host-structured", "intake": "structured", "payload": "structured",
        "event": rf'ID7 [x@1 k="a\"b" k="2"] {MSG}', "event_timestamp": "2026-11-23T06:24:00.250Z",
    }  # fmt: skip


def frame_for(form):
    return f"<30>{BSD} as-{form} unbound[7640]: {MSG}"


EVENTS = {
    "message": MSG,
    "auto": MSG,
    "content": f"unbound[7640]: {MSG}",
    "device": frame_for("device").removeprefix("<30>"),
    "line": f"{STAMP} as-line unbound[7640]: {MSG}",
    "structured": MSG,
    "raw": frame_for("raw"),
    "rfc5424": f"<30>1 {STAMP} as-rfc5424 unbound 7640 - - {MSG}",
}


@pytest.mark.parametrize("form", EVENTS)
def test_event_has_the_payload_form_of_its_intake(file, form):
    fields = explain_json(file, frame_for(form).encode())
    assert (fields["payload"], fields["event"], fields["event_timestamp"]) == (form, EVENTS[form], STAMP)


def test_event_in_payload_form_json_has_the_documented_fields(file):
    fields = explain_json(file, frame_for("json").encode())
    event = json.loads(fields["event"])
    own = {name: fields[name] for name in FIELDS if name not in ("payload", "event", "event_timestamp")}
    assert event == own


@pytest.mark.parametrize("form", FORMS)
def test_the_event_is_identical_to_the_event_that_the_pipeline_spools(file, form):
    config = load(file, secrets=False)
    router = Router(
        routes=config.routes, intakes=config.intakes, listeners={one.name: one.intake for one in config.listeners},
        sources=config.sources, unrouted=config.unrouted, timezone=config.timezone,
    )  # fmt: skip
    profile = router.profile("udp", ip_address("127.0.0.1"))
    frame = frame_for(form).encode() + b" \xfctail\0middle\r."
    ((disposition, columns),) = profile.assign(read_columns(block_of([frame]), profile.needs))
    grouped = group(
        columns, disposition, reader=TimeReader(), received_ms=1795415100000, peer=b"127.0.0.1", listener="udp",
        limits=GroupLimits(window=Window(None, None)),
    )  # fmt: skip
    assert explain_json(file, frame)["event"].encode() + b"\n" == grouped.groups[0].data


@pytest.mark.parametrize(
    ("name", "stamp"), [("untimed", None), ("arrival", "2026-11-23T06:25:00.000Z")], ids=["none", "received"]
)
def test_the_intake_sets_the_timestamp_that_is_sent(file, name, stamp):
    assert explain_json(file, frame_for(name).encode())["event_timestamp"] == stamp


def test_a_timestamp_out_of_range_is_replaced_by_the_time_of_reception(file):
    result = run(file, f"<30>Aug 23 07:24:00 as-message a: {MSG}\n", "--json")
    assert json.loads(result.stdout)["event_timestamp"] == "2026-11-23T06:25:00.000Z"
    assert "timestamp is out of range" in result.stderr


def test_a_message_without_visible_text_is_sent_as_the_whole_frame(file):
    result = run(file, f"<30>{BSD} as-message app:  \n", "--json")
    assert json.loads(result.stdout)["event"] == f"<30>{BSD} as-message app:  "
    assert "no visible text" in result.stderr


def test_text_that_is_not_utf8_is_converted_in_the_event_and_unchanged_in_msg(file):
    fields = explain_json(file, f"<30>{BSD} as-message app: ".encode() + b"gr\xfc\xdfe \x80")
    assert fields["event"] == "grüße €"
    assert fields["msg"].encode("utf-8", "surrogateescape") == b"gr\xfc\xdfe \x80"


# --- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "route"), [(f"<30>{BSD} gw CRON[1]: x", "noise"), (f"<30>{BSD} nobody app: x", "unrouted")]
)
def test_a_frame_that_is_not_delivered_has_no_intake_and_no_event(file, frame, route):
    fields = explain_json(file, frame.encode())
    assert fields["route"] == route
    assert [fields[name] for name in ("intake", "payload", "event", "event_timestamp")] == [None] * 4


def test_the_source_sets_the_zone_and_the_route(file):
    fields = explain_json(file, f"<30>{BSD} gw app: x".encode(), "--from", "::ffff:10.20.1.1")
    assert (fields["route"], fields["intake"], fields["event"]) == ("far", "content", "app: x")
    assert fields["timestamp"] == "2026-11-23T07:24:00-05:00"
    assert fields["event_timestamp"] == "2026-11-23T12:24:00.000Z"


def test_a_listener_with_an_intake_sends_all_its_frames_there(file):
    fields = explain_json(file, f"<30>{BSD} web-1 app: login".encode(), "--listener", "own")
    assert (fields["listener"], fields["route"], fields["intake"]) == ("own", "listener own", "raw")


def test_a_listener_rejects_a_source_that_is_not_in_its_allow(file):
    result = run(file, f"<30>{BSD} as-message app: x\n", "--json", "--from", "192.0.2.1")
    assert json.loads(result.stdout)["route"] is None
    assert "192.0.2.1" in result.stderr
    assert "allow" in result.stderr


@pytest.mark.parametrize(
    ("frame", "options", "route", "reasons"),
    [
        (
            f"<30>{BSD} gw CRON: login",
            (),
            "noise: dropped",
            [],
        ),
        (
            f"<28>{BSD} web-1 CRON: other",
            (),
            "no route matches: held in quarantine",
            [
                "noise: its except: matches",
                "logins: the message does not contain 'login', 'logout'",
                "starts: the message does not start with '%ASA'",
                "far: 127.0.0.1 is not in its source: 10.20.0.0/16",
                "at-tcp: received by listener udp, not by tcp",
                "by-host-message: hostname web-1 does not match as-message",
            ],
        ),
        (
            f"<30>{BSD} web-1 app: login",
            (),
            "no route matches",
            ["noise: app_name app does not match CRON", "logins: severity info is below notice"],
        ),
        (
            "no header",
            (),
            "no route matches",
            ["noise: the message has no app_name", "logins: the message has no hostname"],
        ),
        (
            f"<28>{BSD} tokyo app: x",
            ("--listener", "own"),
            "listener own",
            ["logins: listener own has its own intake", "far: listener own has"],
        ),
    ],
    ids=["first", "second", "severity", "no header", "own intake"],
)
def test_text_output_names_the_route_and_why_earlier_ones_do_not_match(file, frame, options, route, reasons):
    output = run(file, frame + "\n", *options).stdout
    assert f"  route       {route}" in output
    for reason in reasons:
        assert f"  no match    {reason}" in output


@pytest.mark.parametrize(
    ("frame", "options", "zone"),
    [
        (f"<28>{BSD} gw app: x", (), "Europe/Paris, from the global timezone:"),
        (f"<28>{BSD} gw app: x", ("--from", "10.20.0.1"), "America/New_York, from timezone: of source branch"),
        (f"<28>{BSD} tokyo app: x", (), "Asia/Tokyo, from timezone: of route hidden"),
        ("<28>1 2026-11-23T07:24:00+01:00 h a - - - x", (), "+01:00, in the message"),
    ],
)
def test_text_output_names_the_zone_and_where_it_is_set(file, frame, options, zone):
    assert f"  zone        {zone}\n" in run(file, frame + "\n", *options).stdout


@pytest.mark.parametrize(("options", "shown"), [((), False), (("--rules",), True)])
def test_rules_of_plain_fields_are_shown_on_request(file, options, shown):
    output = run(file, f"<30>{BSD} gw app: x\n", *options).stdout
    assert ("rule: the TAG of RFC 3164 (decision 15" in output) is shown
    assert ("  decision 15 " in output) is shown


def test_a_guessed_field_has_a_note(file):
    output = run(file, f"<30>{BSD} gw two words\n").stdout
    assert "  app_name    none\n              guess: no colon and no [pid]" in output


@pytest.mark.parametrize(("form", "named"), [("line", True), ("content", False)])
def test_a_sender_that_the_event_names_as_host_has_a_note(file, form, named):
    file.write_text(CONFIGURATION.replace("unrouted: hold", f"unrouted: {{intake: {form}}}"))
    output = run(file, f"<30>{BSD} app: x\n").stdout
    assert "              not in the frame: source 127.0.0.1, the sender\n" in output
    assert ("              not in the frame: host in the event: 127.0.0.1, the sender\n" in output) is named
    assert ("127.0.0.1 app: x" in output) is named


def test_a_priority_that_the_event_gets_has_a_note(file):
    output = run(file, f"{BSD} as-rfc5424 app: x\n").stdout
    assert "              not in the frame: priority in the event: 13 = user.notice\n" in output
    assert "  event       <13>1 " in output
    assert "user.notice" not in run(file, f"{BSD} as-line app: x\n").stdout


def test_control_characters_of_a_frame_are_escaped(file):
    output = run(file, b"<30>Nov 23 07:24:00 \x1b[2J app: \x07\x1b]0;x\x07\xff\n").stdout_bytes
    assert b"\x1b" not in output
    assert b"\x07" not in output


# --- framing ----------------------------------------------------------------------------------------------------------


def test_blank_lines_are_ignored(file):
    assert run(file, b"\n \n\0\r\n", "--json").stdout == ""


def test_a_stream_is_framed_as_by_the_listener(file):
    counted = f"<30>{BSD} gw app: one\ntwo".encode()
    stream = b"%d %b%d %b" % (len(counted), counted, len(counted), counted) + b"<30>no count\n20 <30>unfinished"
    result = run(file, stream, "--stream", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["msg"] for line in lines] == ["one\ntwo", "one\ntwo", "no count", "unfinished"]
    assert lines[0]["listener"] == "tcp"
    assert lines[0]["event"] == "app: one#012two"
    assert lines[3]["event"] is None
    assert "quarantined as damaged" in result.stderr


def test_an_oversize_frame_is_quarantined_or_truncated(file):
    frame = f"<30>{BSD} as-message app: ".encode() + b"x" * 600
    result = run(file, frame, "--json")
    assert json.loads(result.stdout)["event"] is None
    assert "quarantined as oversize" in result.stderr
    file.write_text(CONFIGURATION + "oversize: truncate\n")
    assert explain_json(file, frame)["event"] == "x" * (480 - frame.index(b"x" * 600))


# --- usage ------------------------------------------------------------------------------------------------------------


def test_all_faults_of_the_configuration_are_reported(tmp_path):
    (tmp_path / "bad.yaml").write_text("collector: {region: FRA9}\nlisteners: [{udp: 514}]\n")
    result = CliRunner().invoke(explain, ["-c", str(tmp_path / "bad.yaml")], input="x\n")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) > 1
    assert all("bad.yaml:" in line for line in result.stderr.splitlines())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--listener", "nope"), "The listeners are udp, tcp, own"),
        (("--listener", "udp", "--stream"), "listener udp takes datagrams"),
        (("--from", "host"), "is not an IP address"),
        (("--received", "noon"), "is not a time"),
    ],
)
def test_wrong_usage_exits_with_2(file, options, expected):
    result = run(file, "x\n", *options)
    assert result.exit_code == 2
    assert expected in result.stderr


def test_without_any_configuration_route_and_intake_are_null(tmp_path, monkeypatch):
    # Run a process, so that the option has its real default. Only the default file is replaced.
    code = (
        "from pathlib import Path; import bridge.cli.options as o;"
        f"o.DEFAULT_FILE = Path({str(tmp_path / 'none.yaml')!r});"
        "from bridge.cli.explain import explain; explain()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "--json", "--received", RECEIVED],
        input=f"<30>{BSD} gw unbound[7640]: {MSG}\n".encode(), capture_output=True, check=True,
    )  # fmt: skip
    fields = json.loads(ran.stdout)
    assert list(fields) == [*FIELDS, "rules"]
    assert (fields["route"], fields["intake"], fields["payload"], fields["event"]) == (None, None, "message", MSG)
    assert b"without routes" in ran.stderr


def test_a_configuration_file_given_as_option_must_exist(tmp_path):
    result = CliRunner().invoke(explain, ["-c", str(tmp_path / "none.yaml")], input="x\n")
    assert result.exit_code == 2
    assert "cannot read the file" in result.stderr


def test_terminal_is_told_to_enter_messages(file, monkeypatch):
    monkeypatch.setattr("bridge.cli.explain.has_terminal", lambda: True)
    result = CliRunner().invoke(explain, ["-c", str(file)], input="<13>app: x\n")
    assert result.stderr.startswith("Enter messages, one per line. Ctrl-D ends the input.\n")
    assert "Enter" not in result.stdout
