"""Tests that each JSON format delivers one and the same event, whichever header its device sends."""

from datetime import UTC, datetime

import pytest

from bridge.batching import GroupLimits, group
from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import find, table_json
from bridge.routing import Disposition
from bridge.routing.profile import needs_of
from bridge.syslog import parse
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader, milliseconds

RECEIVED = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)
CONTEXT = FrameContext(received=RECEIVED)

# Format, app-name, the words that the device puts before the object, and the object.
EVENTS = [
    ("aioniq", "gatewatcher", b"gatewatcher ",
     b'{"timestamp_analyzed":"2026-11-23T07:23:59.9Z","type":"suricata","event_type":"alert","gcap":"gcap-4"}'),
    ("aioniq-v103", "gatewatcher", b"gatewatcher ",
     b'{"observer": {"hostname": "gc-4", "vendor": "gatewatcher"}, "event": {"module": "sigflow_alert"}}'),
    ("auditbeat-linux", "linux_auditbeat", b"linux_auditbeat ",
     b'{"@timestamp":"2026-11-23T07:23:59.1Z","@metadata":{"beat":"auditbeat"},"process":{"pid":9}}'),
    ("darktrace-threat-visualizer", "darktrace", b"darktrace ",
     b'{"pbid":7,"time":1795418639000,"model":{"then":{"name":"Unusual Admin"}},"device":{"hostname":"pc-9"}}'),
    ("eset-protect", "ERAServer", b"ERAServer - ",
     b'{"event_type":"Audit_Event","hostname":"era-4","occured":"23-Nov-2026 07:23:59","severity":"Information"}'),
    ("harfanglab", "hurukai", b"hurukai ", b'{"log_type":"dns_resolution","agent":{"hostname":"pc-9"},"pid":44}'),
    ("keycloak-events", "keycloak", b"org.keycloak.events - ",
     b'{"@timestamp":"2026-11-23T07:23:59.4Z","log.logger":"org.keycloak.events","message":"type=\\"LOGIN\\""}'),
    ("lockself", "lockself", b"lockself: ",
     b'{"userEmail":"anna@example.org","logType":"Group","logMessage":"Creating"}'),
    ("nucleonedr", "nucleon", b"nucleon ",
     b'{"type": "network", "destination_ip": "198.51.100.9", "hostname": "pc-9"}'),
    ("seckiot-citadelle", "citadelle", b"citadelle ", b'{"skt":{"module":"Maps"},"event":{"kind":"event"},"rule":{}}'),
    ("sesameit-jizo", "jizo", b"jizo ", b'{"timestamp":"2026-11-23T07:23:59+0000","event_type":"http","proto":"TCP"}'),
    ("stormshield-endpoint-security", "SES", b"SES Evolution ",
     b'{"Version":1,"Type":11,"TypeComputedMap":"ProcessCreate","EventGuid":"{AD0789}","SpecificData":{}}'),
    ("suricata", "suricata", b"suricata ",
     b'{"timestamp":"2026-11-23T07:23:59+0000","event_type":"tls","tls":{"sni":"a"}}'),
    ("tanium", "Tanium", b"Tanium ", b'{"event":"network_connect","hostname":"pc-9","fields":{"remote_port":443}}'),
    ("tehtris-edr", "edr", b"TEHTRIS EDR: ",
     b'{"time": "2026-11-23T07:23:59Z", "eventName": "antivirusAlert", "lvl": 4}'),
    ("trellix-atd", "ATD2ESM", b"ATD2ESM ",
     b'{"Type":"Audit","Result":"Success","User":"oper","Action":"Session Login"}'),
    ("vectra-respond-ux-entity-scoring", "vectra_json_v2", b"vectra_json_v2 -: ",
     b'{"id": 9, "entity_id": 77, "type": "account", "urgency_score": 44, "category": "ACCOUNT_SCORING"}'),
    ("zscaler-zia", "NSS", b"NSS ",
     b'{ "sourcetype" : "zscalernss-web", "event" : {"datetime":"2026-11-23 07:23:59","reason":"Allowed"}}'),
]  # fmt: skip

TIME = b"Nov 23 07:24:00"

# Headers: RFC 5424, RFC 3164 with a tag, RFC 3164 without one, and what devices do beside.
HEADERS = {
    "rfc5424": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 %b 47 - - " % app,
    "rfc5424-nil": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 - - - - ",
    "rfc5424-bom": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 %b - - - \xef\xbb\xbf" % app,
    "rfc5424-forwarder": lambda app, words: b'<134>1 2026-11-23T07:24:00Z edge-4 %b - LOG [SEKOIA@53288 k="x"] ' % app,
    "rfc5424-without-data": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 %b - - " % app,
    "rfc5424-words": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 %b - - - " % app + words,
    "rfc5424-key": lambda app, words: b"<134>1 2026-11-23T07:24:00Z edge-4 %b - - - event=" % app,
    "rfc3164-tag": lambda app, words: b"<134>" + TIME + b" edge-4 %b: " % app,
    "rfc3164-tag-pid": lambda app, words: b"<134>" + TIME + b" edge-4 %b[47]: " % app,
    "rfc3164-without-tag": lambda app, words: b"<134>" + TIME + b" edge-4 ",
    "rfc3164-words": lambda app, words: b"<134>" + TIME + b" edge-4 " + words,
    "rfc3164-forwarder": lambda app, words: b"<134>" + TIME + b' edge-4 %b: [SEKOIA@53288 intake_key="x"] ' % app,
    "rfc3164-iso": lambda app, words: b"<134>2026-11-23T07:24:00Z edge-4 %b: " % app,
    "no-pri": lambda app, words: TIME + b" edge-4 " + words,
}

rows = pytest.mark.parametrize(("name", "app", "words", "event"), EVENTS, ids=[row[0] for row in EVENTS])


def test_every_json_format_has_an_event() -> None:
    assert [row[0] for row in EVENTS] == [one.name for one in table_json.FORMATS]


@rows
@pytest.mark.parametrize("header", HEADERS)
def test_event_is_the_object_alone(name: str, app: str, words: bytes, event: bytes, header: str) -> None:
    frame = HEADERS[header](app.encode(), words) + event
    message = parse(frame, received=RECEIVED)
    assert (message.hostname, message.timestamp) == ("edge-4", RECEIVED.replace(second=0))
    assert event_for(find(name), frame, CONTEXT) == event
    assert find(name).fits(event)


@rows
def test_object_without_a_header_is_the_event(name: str, app: str, words: bytes, event: bytes) -> None:
    for head in (b"<134>", b"<134> ", b""):
        assert event_for(find(name), head + event, CONTEXT) == event


@rows
def test_read_of_all_headers_equals_single_frames(name: str, app: str, words: bytes, event: bytes) -> None:
    frames = [make(app.encode(), words) + event for make in HEADERS.values()]
    disposition = Disposition("deliver", "r", "i", find(name).payload, zone=UTC, format=name, refined=True)
    grouped = group(
        read_columns(block_of(frames), needs_of(disposition)), disposition, reader=TimeReader(),
        received_ms=milliseconds(RECEIVED), peer=b"-", limits=GroupLimits(resolution_ms=10**12),
    )  # fmt: skip
    assert b"".join(made.data for made in grouped.groups) == (event + b"\n") * len(frames)
    assert grouped.mismatched == 0


@rows
def test_line_ends_between_the_tokens_become_blanks(name: str, app: str, words: bytes, event: bytes) -> None:
    frame = HEADERS["rfc5424"](app.encode(), words) + event.replace(b":", b":\r\n  ", 1)
    assert event_for(find(name), frame, CONTEXT) == event.replace(b":", b":   ", 1)


@pytest.mark.parametrize(
    "text",
    [
        b'[{"event_type":"alert"},{"event_type":"dns"}]',
        b'feed "web {"a":1}" restarted',
        b'"{"event_type":"alert"}"',
        b"no object here",
        b"{broken",
    ],
)
def test_text_that_is_not_an_object_is_not_cut(text: bytes) -> None:
    for one in table_json.FORMATS:
        assert event_for(one, b"<134>" + TIME + b" edge-4 app[4]: " + text, CONTEXT) == text
        assert not one.fits(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # The default keys of Keycloak instead of ECS.
        ("keycloak-events", b'{"timestamp":"2026-11-23T07:23:59Z","loggerName":"org.keycloak.events","level":"WARN"}'),
        ("zscaler-zia", b'{"LogTimestamp": "Mon Nov 23 07:24:00 2026","Customer": "Example"}'),
        ("suricata", b'{"sourcetype":"zscalernss-web"}'),
        ("eset-protect", b'{"pbid":7}'),
        ("stormshield-endpoint-security", b'{"id":7}'),
    ],
)
def test_object_of_another_product_is_a_mismatch(name: str, text: bytes) -> None:
    assert not find(name).fits(text)


def test_heartbeat_of_eset_is_an_event() -> None:
    for head in (b"", b"<134>1 2026-11-23T07:24:00Z era-4 ERAServer 9 - - \xef\xbb\xbf", b"<134>" + TIME + b" era-4 "):
        assert event_for(find("eset"), head + b"HEARTBEAT", CONTEXT) == b"HEARTBEAT"
    assert find("eset").fits(b"HEARTBEAT")


def test_tab_separated_feed_of_zscaler_is_an_event() -> None:
    text = b"reason=Allowed\tevent_id=7101\tprotocol=HTTPS\taction=Allowed\turl=www.example.org/?a={b}"
    assert event_for(find("zscaler-zia"), b"<134>2026-11-23 07:24:00\t" + text, CONTEXT) == text
    assert find("zscaler-zia").fits(text)


# Formats beside those of table_json whose events are JSON: format, text before the object, text in the event, object.
NXLOG = b'{"EventTime":"2026-11-23 07:23:59","Hostname":"dc-9","EventID":4625}'
DETECTION = b'{"version":"9.1","src_ip":"192.0.2.9","headend_addr":"192.0.2.5"}'
OTHERS = [
    ("windows", b"", b"", NXLOG),
    ("windows", b"nxlog ", b"", NXLOG),
    ("vectra", b"vectra_json_v2 -: ", b"-: ", DETECTION),
    ("vectra", b"vectra_json_v2 - :", b"- :", DETECTION),
    ("vectra", b"vectra_json_v2 ", b"-: ", DETECTION),
    ("vectra", b"", b"-: ", DETECTION),
]


@pytest.mark.parametrize(("name", "before", "mark", "event"), OTHERS)
@pytest.mark.parametrize("header", ["rfc5424", "rfc3164-tag", "rfc3164-without-tag"])
def test_other_objects_begin_as_their_parser_expects(
    name: str, before: bytes, mark: bytes, event: bytes, header: str
) -> None:
    assert event_for(find(name), HEADERS[header](b"app", b"") + before + event, CONTEXT) == mark + event
    assert find(name).fits(mark + event)


@pytest.mark.parametrize("name", ["windows", "vectra"])
def test_objects_of_other_products_are_not_taken_for_theirs(name: str) -> None:
    for other, _, _, event in EVENTS:
        frame = b"<134>" + TIME + b" edge-4 " + event
        fits = find(name).fits(event_for(find(name), frame, CONTEXT))
        assert not fits, other
