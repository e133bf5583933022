"""Tests the rules that ``explain`` gives for the fields: every shape has one, and guesses are named as such."""

import json
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from bridge.config import parse_text
from bridge.explain import rules
from bridge.explain.decisions import DECISIONS
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.field_rule import Reception
from bridge.explain.frames import Cut
from bridge.explain.shape_rules import SHAPE_RULES, Reason
from bridge.explain.text import text_of
from bridge.explain.time_rules import LAYOUTS
from bridge.syslog import parse
from bridge.syslog.message import of_header
from bridge.syslog.parser import read
from bridge.syslog.shapes import SHAPES
from bridge.syslog.time_formats import FORMATS
from tests.unit.syslog.mutation import mutated
from tests.unit.syslog.samples import SAMPLES

RECEIVED = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
CONFIGURED = "Europe/Paris, from the global timezone:"
CONFIG = parse_text("""
timezone: Europe/Paris
collector: {url: "http://127.0.0.1:9"}
listeners: [{name: udp, udp: "127.0.0.1:5514"}]
intakes: {a: {intake_key: "0000000000000000"}}
routes: [{name: all, intake: a}]
spool: {directory: unused}
""")
OF_THE_RFCS = {"rfc3164", "rfc5424", "rfc5424-malformed-data", "none"}
# A strict reading of both RFCs, written independently of the parser.
PLAIN = re.compile(
    rb"<\d{1,3}>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d +[A-Za-z0-9.:_-]+ +[A-Za-z][A-Za-z0-9_./-]{0,31}"
    rb"(?:\[(?:\d*|-)\](?:[: ]|$)|:)"
    rb"|1 (?:-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) \S+ \S+ \S+ \S+ (?:-|\[))"
)


def rules_of(frame, *, received=RECEIVED, zone=PARIS, sender="192.0.2.1"):
    """Returns the rule of each field of a frame from a source in Paris."""
    header = read(frame)
    when = of_header(header, received=received, timezone=zone).timestamp
    return rules.rules_of(header, frame, when, Reception(sender, CONFIGURED, received))


def explained(frame, received=RECEIVED):
    origin = Origin(CONFIG.listeners[0], ip_address("192.0.2.1"))
    return Explainer(CONFIG, origin, received=received, strict=False).explain(Cut(frame, "a frame"))


def guesses(frame, **options):
    return {field for field, rule in rules_of(frame, **options).items() if rule.guess}


# --- tables ---------------------------------------------------------------------------------------------------------


def test_every_shape_of_the_parser_has_a_rule():
    assert set(SHAPE_RULES) == SHAPES.keys() | OF_THE_RFCS


def test_every_format_of_a_timestamp_has_a_description():
    assert set(LAYOUTS) == {row.name for row in FORMATS}


def test_decisions_are_numbered_without_gaps_and_described_by_one_sentence():
    assert list(DECISIONS) == list(range(1, 24))
    for number, decision in DECISIONS.items():
        assert decision.number == number
        assert re.fullmatch(r"[A-Z][^.]*(?:\.[^. ][^.]*)*\.", decision.text), decision.text
        assert not decision.source or re.fullmatch(r"RFC \d{4} section [\d.]+", decision.source)


def test_every_reason_names_a_decision():
    reasons = [reason for rule in SHAPE_RULES.values() for reason in rule if isinstance(reason, Reason)]
    assert len(reasons) > 100
    assert {reason.decision for reason in reasons} <= DECISIONS.keys()


# --- every frame ----------------------------------------------------------------------------------------------------


FRAMES = [sample.frame for sample in SAMPLES] + [shape.example for shape in SHAPES.values()]


def check(frame):
    """Asserts that the explained fields are those of the parser, that each has a rule, and that guesses are named."""
    frame = frame.rstrip(b"\r\n\0")
    explanation = explained(frame)
    if explanation is None:
        assert not frame.strip(b" \t\r\n\0")
        return
    message = parse(frame, received=RECEIVED, timezone=PARIS)
    for name in ("priority", "hostname", "app_name", "procid", "msgid", "structured_data", "format", "shape"):
        assert explanation.fields[name] == getattr(message, name), name
    assert explanation.fields["msg"].encode("utf-8", "surrogateescape") == message.msg
    assert explanation.fields["timestamp"] == (message.timestamp and message.timestamp.isoformat())
    assert tuple(explanation.rules) == rules.FIELDS
    for field, rule in explanation.rules.items():
        assert rule.decision in DECISIONS
        assert rule.text
        assert ("time" in rule.outside) == (field == "timestamp" and message.timestamp is None)
        assert ("source" in rule.outside) == (field == "hostname" and message.hostname is None)
    if not any(rule.guess for rule in explanation.rules.values()):
        assert PLAIN.match(frame), frame
    json.dumps(as_json(explanation))
    for line in text_of(1, explanation, routed=True, every_rule=True).splitlines():
        assert line.isprintable()


@pytest.mark.parametrize("frame", FRAMES)
def test_explained_fields_of_a_sample_are_those_of_the_parser_and_each_has_a_rule(frame):
    check(frame)


def test_explained_fields_of_damaged_samples_are_those_of_the_parser_and_each_has_a_rule():
    for frame in mutated(21, 3_000):
        try:
            check(frame)
        except Exception as error:
            raise AssertionError(f"{frame!r}: {error!r}") from error


@pytest.mark.parametrize("name", SHAPES)
def test_example_of_a_shape_has_a_guess_and_names_the_shape(name):
    found = rules_of(SHAPES[name].example)
    assert any(rule.guess for rule in found.values())
    shapes = {found[field].shape for field in ("hostname", "app_name", "msg")}
    assert name in shapes


# --- headers of the RFCs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"<30>Nov 23 07:24:00 gw unbound[7640]: info: A IN",
        b"<30>Nov  3 07:24:00 192.0.2.7 systemd-logind: x",
        b"<13>Nov 23 07:24:00 2001:db8::1 su: 'su root' failed",
        b"<13>Nov 23 07:24:00 gw.example.org postfix/smtpd[44]: x",
        b'<165>1 2026-11-23T07:24:00.25+01:00 h app 77 ID7 [x@1 k="a"] hello',
        b"<165>1 - - - - - - hello",
        b"<165>1 2026-11-23T07:24:00Z h a - - - \xef\xbb\xbfhello",
    ],
)
def test_a_header_of_the_rfcs_has_no_guess(frame):
    assert guesses(frame) == set()
    assert "guess" not in text_of(1, explained(frame), routed=True)


def test_any_plain_host_and_tag_of_rfc3164_have_no_guess():
    hosts = (b"gw", b"GW-1.example.org", b"192.0.2.7", b"2001:db8::7", b"info", b"srv_1")
    tags = (b"su", b"a.b-c/d_e", b"x" * 32)
    for host, tag, pid, text in product(hosts, tags, (b"", b"[7]", b"[]"), (b"x", b"", b"{}", b"a: b", b" <13>")):
        frame = b"<13>Nov 23 07:24:00 %b %b%b: %b" % (host, tag, pid, text)
        assert guesses(frame) == set(), frame


def test_plain_fields_name_the_section_of_their_rfc():
    sources = {field: DECISIONS[rule.decision].source for field, rule in rules_of(FRAMES_3164).items()}
    assert sources["priority"] == "RFC 5424 section 6.2.1"
    assert sources["timestamp"] == sources["hostname"] == "RFC 3164 section 4.1.2"
    assert sources["app_name"] == sources["msg"] == "RFC 3164 section 4.1.3"


FRAMES_3164 = b"<30>Nov 23 07:24:00 gw unbound[7640]: info: A IN"

# --- guesses --------------------------------------------------------------------------------------------------------


def test_blanks_after_a_false_version_are_not_part_of_the_host():
    assert guesses(b"<13>1  Nov 23 07:24:00 gw app: x") == {"timestamp"}


@pytest.mark.parametrize(
    ("frame", "field", "decision", "text"),
    [
        (b"Nov 23 07:24:00 gw app: x", "priority", 3, "no PRI"),
        (b"<192>Nov 23 07:24:00 gw app: x", "priority", 2, "not a PRI"),
        (b"<13 >x", "priority", 2, "not a PRI"),
        (b"<13> Nov 23 07:24:00 gw app: x", "priority", 2, "blanks"),
        (b"31 <13>Nov 23 07:24:00 gw app: x", "priority", 2, "octet count"),
        (b"\xef\xbb\xbf<13>Nov 23 07:24:00 gw app: x", "priority", 22, "byte order mark"),
        # timestamp
        (b"<13>Nov 23 07:24:00 2026 gw app: x", "timestamp", 8, "'Mmm d hh:mm:ss yyyy'"),
        (b"<13>2026-11-23T07:24:00Z gw app: x", "timestamp", 8, "RFC 3339"),
        (b"<13>Feb 30 07:24:00 gw app: x", "timestamp", 8, "not a valid one"),
        (b"<13>12: Nov 23 07:24:00 gw app: x", "timestamp", 9, "message counter"),
        (b"<13>12: gw1: *Nov 23 07:24:00: %A-5-B: x", "timestamp", 9, "not synchronised (*)"),
        (b"<13>12: gw1: 2y10w: %A-5-B: x", "timestamp", 8, "uptime"),
        (b"<13>1 Nov 23 07:24:00 gw app: x", "timestamp", 20, "the 1 before it is dropped"),
        (b"<13>1 2026-11-23T07:24:00.1234567891Z h a - - - x", "timestamp", 5, "digits beyond the microsecond"),
        (b"<13>Nov 23 07:24:01 r-1 Nov 23 07:24:00 d-1 app[1]: x", "timestamp", 17, "after the relay's"),
        (b'<13>date=2026-11-23 time=07:24:00 devname="f" devid="F"', "timestamp", 10, "keys date, time"),
        (b'<13>{"timestamp":"2026-11-23T07:24:00Z"}', "timestamp", 21, "outermost JSON object"),
        (b"<13>just text", "timestamp", 1, "no header could be read"),
        # hostname
        (b"<13>Nov 23 07:24:00 app: x", "hostname", 7, "the word after the time is the tag"),
        (b"<13>Nov 23 07:24:00 word", "hostname", 6, "alone after the time"),
        (b"<13>Nov 23 07:24:00 ", "hostname", 7, "nothing follows"),
        (b"<13>Nov 23 07:24:00: gw text", "hostname", 7, "a time that ends in a colon"),
        (b"<13>Nov 23 07:24:00gw app: x", "hostname", 16, "no blank between"),
        (b"<13>Nov 23 07:24:00 WARN disk is full", "hostname", 16, "a level, not a host"),
        (b"<13>Nov 23 07:24:00 u-1 u-1 sshd[4]: x", "hostname", 18, "written twice"),
        (b"<13>Nov 23 07:24:00 4711 app[1]: x", "hostname", 16, "a number"),
        (b"<13>Nov 23 07:24:00 <daemon.info> gw app[1]: x", "hostname", 22, "<facility.level>"),
        (b"<13>Nov 23 07:24:00 [192.0.2.5] app: x", "hostname", 16, "in the brackets"),
        (b"<13>12: gw1: Nov 23 07:24:00: %A-5-B: x", "hostname", 9, "the origin-id before the time"),
        (b"<13>12: Nov 23 07:24:00: gw1: %A-5-B: x", "hostname", 9, "the word before the mnemonic"),
        (b"<13>Nov 23 07:24:00 r1 asa-1 : %ASA-6-1: x", "hostname", 9, "the relay's before it is dropped"),
        (b"<13>Nov 23 07:24:00 asa-1 : %ASA-6-1: x", "hostname", 9, "the word before the mnemonic"),
        (b'{"hostname":"x","timestamp":"2026-11-23T07:24:00Z"}', "hostname", 21, "is not used"),
        (b"<13>Original Address=192.0.2.9 Nov 23 07:24:00 sw-1 app: x", "hostname", 11, "is dropped"),
        (b"<13>Original Address=192.0.2.9 Nov 23 07:24:00 app: x", "hostname", 11, "the address in Kiwi's prefix"),
        # app_name, procid, msg
        (b"<13>Nov 23 07:24:00 gw word word", "app_name", 6, "no colon and no [pid]"),
        (b'<13>Nov 23 07:24:00 gw {"k": "v"}', "app_name", 15, "JSON"),
        (b'<13>Nov 23 07:24:00 gw "a","b"', "app_name", 15, "quoted text"),
        (b"<13>Nov 23 07:24:00 gw 12:30:00 text", "app_name", 15, "not the name of a program"),
        (b"<13>Nov 23 07:24:00 gw 482915073366[812]: x", "app_name", 15, "the word before [pid]"),
        (b"<13>Nov 23 07:24:00 gw %ASA-6-1: x", "app_name", 9, "also stays in msg"),
        (b"<13>Nov 23 07:24:00 gw monit[23:0]: x", "procid", 6, "not a number"),
        (b"<13>Nov 23 07:24:00 gw 2026-11-23 07:24:00,123 ERROR x", "msg", 17, "a time of the application"),
        (b"<13>Nov 23 07:24:00 gw CEF:0|a|b|1|2|n|3|", "msg", 12, "begins at CEF:"),
        (b'<13>1 2026-11-23T07:24:00Z h a - - [x y="z] t', "structured_data", 5, "stays at the beginning of msg"),
        (b"<13>1 2026-11-23T07:24:00Z h a 12 user has left", "msg", 20, "neither - nor a number"),
        (b"<13>just text", "msg", 1, "all of the text"),
    ],
)  # fmt: skip
def test_a_guess_is_named_with_its_decision(frame, field, decision, text):
    rule = rules_of(frame)[field]
    assert (rule.guess, rule.decision) == (True, decision)
    assert text in rule.text


# --- values from outside the frame ----------------------------------------------------------------------------------


def outside(frame, field, **options):
    return rules_of(frame, **options)[field].outside


def test_year_and_zone_of_rfc3164_are_from_outside_the_frame():
    assert outside(b"<13>Nov 23 07:24:00 gw app: x", "timestamp") == {
        "year": "2026, nearest to reception", "zone": CONFIGURED
    }  # fmt: skip
    assert outside(b"<13>Nov 23 07:24:00 2026 gw app: x", "timestamp") == {"zone": CONFIGURED}
    named = outside(b"<13>Nov 23 07:24:00 2026 CET gw app: x", "timestamp")
    assert named == {"offset": "+01:00, by a table of abbreviations (CET)"}


def test_a_year_that_is_not_that_of_reception_is_a_guess():
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    rule = rules_of(b"<13>Dec 31 23:59:00 gw app: x", received=new_year, zone=UTC)["timestamp"]
    assert (rule.guess, rule.outside["year"]) == (True, "2026, nearest to reception")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"<13>Nov 23 07:24:00 EST gw app: x", {"offset": "-05:00, by a table of abbreviations (EST)"}),
        (b"<13>Nov 23 07:24:00 UTC gw app: x", {}),
        (b"<13>2026-11-23T07:24:00+01:00 gw app: x", {}),
        (b"<13>1 2026-11-23T07:24:00Z h a - - - x", {}),
        (b"<13>1 1795418640.5 mx_1 flows src=192.0.2.8", {}),
        (b"<134> 11/12/2026:07:24:00 GMT adc 0-PPE-0 : x", {"order": "of day and month, nearest to reception"}),
        (b"<13>Oct 25 02:30:00 gw app: x", {"hour": "of summer or winter time, nearest to reception"}),
        (b"<13>text", {"time": "of reception"}),
        (b"<13>1 - h a - - - x", {"time": "of reception"}),
    ],
)
def test_parts_of_a_time_that_are_not_in_the_frame_are_named(frame, expected):
    found = outside(frame, "timestamp")
    assert {part: text for part, text in found.items() if part not in ("year", "zone")} == expected


def test_an_unknown_zone_is_replaced_by_the_configured_one_and_said_so():
    frame = b"<13>Nov 23 07:24:00 XYZ 2026 gw app: x"
    assert outside(frame, "timestamp") == {"zone": f"{CONFIGURED}, as XYZ is unknown"}
    assert f"zone        {CONFIGURED}, as XYZ in the message is unknown\n" in text_of(1, explained(frame), routed=True)


def test_without_a_host_the_source_is_the_sender():
    assert outside(b"<13>text", "hostname", sender="198.51.100.4") == {"source": "198.51.100.4, the sender"}
    assert outside(b"<13>1 - - a - - - x", "hostname") == {"source": "192.0.2.1, the sender"}
    assert outside(b"<13>Nov 23 07:24:00 gw app: x", "hostname") == {}


# --- output ---------------------------------------------------------------------------------------------------------


def test_text_output_has_a_note_below_a_guessed_field():
    text = text_of(1, explained(b"<13>Nov 23 07:24:00 WARN disk is full"), routed=True)
    assert (
        "  hostname    none\n"
        "              guess: the word after the time is a level, not a host\n"
        "              not in the frame: source 192.0.2.1, the sender\n"
    ) in text
    assert text.count("no colon and no [pid]") == 1
    assert "decision" not in text, "the decisions are described with --rules only"


def test_a_field_with_a_value_does_not_repeat_the_text_of_another():
    text = text_of(1, explained(b"<13>Nov 23 07:24:00 gw two words"), routed=True)
    assert "  msg         two words\n              guess: as for app_name\n" in text


def test_notes_fit_into_80_columns():
    for frame in FRAMES:
        for every_rule in (False, True):
            text = text_of(1, explained(frame.strip(b"\n")), routed=True, every_rule=every_rule)
            notes = [line for line in text.splitlines() if line.startswith(" " * 14)]
            assert all(len(line) <= 80 for line in notes)


def test_every_rule_is_shown_with_its_decision_on_request():
    text = text_of(1, explained(b"<30>Nov 23 07:24:00 gw unbound: info"), routed=True, every_rule=True)
    assert text.count("              rule: ") == 8
    assert "rule: the TAG of RFC 3164 (decision 15, tag; shape rfc3164)" in text
    assert "not in the frame: year 2026, nearest to reception" in text
    assert "\n  decision 15 Layouts of known devices come first;" in text
    assert "guess: " not in text


def test_json_has_the_rule_of_each_field():
    result = as_json(explained(b"<13>Nov 23 07:24:00 WARN disk is full"))
    assert result["rules"]["hostname"] == {
        "decision": 16, "name": "host", "source": "RFC 3164 section 4.1.2", "shape": "rfc3164",
        "text": "the word after the time is a level, not a host", "guess": True,
        "outside": {"source": "192.0.2.1, the sender"},
    }  # fmt: skip


def test_text_of_a_frame_cannot_pass_for_a_note():
    hostile = b"<13>Nov 23 07:24:00 gw\n              guess: the host is trusted (decision 99)\x1b[2K app: x"
    lines = text_of(1, explained(hostile.replace(b"\n", b"\r")), routed=True).splitlines()
    assert not any(line.lstrip().startswith("guess: the host is trusted") for line in lines)
