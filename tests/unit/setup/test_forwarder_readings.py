"""Tests that messages are read, and templates filled, as the real rsyslog and syslog-ng do it."""

import pytest

from bridge.setup.rsyslog_reading import read_as_rsyslog
from bridge.setup.rsyslog_template import FORWARDER, RsyslogEvents
from bridge.setup.sent_event import KEY, NotComputed
from bridge.setup.syslog_ng_reading import read_as_syslog_ng
from bridge.setup.syslog_ng_template import PROTOCOL, SyslogNgEvents
from tests.harness.forwarder_readings import MESSAGES, SENDER, Message, Reading

ASA = b"<166>Nov 23 07:24:00 asa-1 : %ASA-6-302013: Built  "
HEAD = f'<%pri%>1 %timestamp:::date-rfc3339% %hostname% %app-name% %procid% LOG [SEKOIA@53288 intake_key="{KEY}"] '


def reading(host: bytes, program: bytes, process: bytes, text: bytes, time: bytes) -> Reading:
    return Reading(*(field.decode() for field in (host, program, process, text)), bool(time))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.frame.decode()[:40])
def test_rsyslog_reads_the_message_so(message: Message) -> None:
    found = read_as_rsyslog(message.frame, SENDER.encode())
    assert reading(found.hostname, found.program, found.process, found.text, found.time) == message.rsyslog


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.frame.decode()[:40])
def test_syslog_ng_reads_the_message_so(message: Message) -> None:
    found = read_as_syslog_ng(message.frame, SENDER.encode(), reads_rfc5424=True, keeps_hostname=True)
    assert found.refused is (message.syslog_ng is None)
    if message.syslog_ng:
        assert reading(found.host, found.program, found.process, found.message, found.time) == message.syslog_ng


def test_syslog_ng_reads_rfc_5424_only_with_its_flag_and_names_the_sender_if_told_so() -> None:
    frame = b"<134>1 2026-11-23T07:24:00Z web-1 app 77 - - text"
    found = read_as_syslog_ng(frame, SENDER.encode(), reads_rfc5424=False, keeps_hostname=False)
    assert (found.host, found.program) == (SENDER.encode(), b"1")
    assert found.message == b"2026-11-23T07:24:00Z web-1 app 77 - - text"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("%msg%\n", b"%ASA-6-302013: Built"),
        ("%syslogtag%%msg%", b": %ASA-6-302013: Built"),
        ("%rawmsg-after-pri%", ASA[5:].rstrip()),
        ("%rawmsg%", ASA.rstrip()),
        ("%HOSTNAME% %programname%", b"asa-1"),
        ("%msg:2:4% %msg:4:$:lowercase%", b"%AS sa-6-302013: built"),
        ("x%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%", b"x %ASA-6-302013: Built"),
    ],
)
def test_a_template_of_rsyslog_is_filled(template: str, text: bytes) -> None:
    assert RsyslogEvents.of(ASA, SENDER).sent(HEAD + template).text == text


@pytest.mark.parametrize("template", ["%$now%", "%msg:R,ERE,1,BLANK:[0-9]+--end%", "%msg:::json%", "%msg:F,9:2%"])
def test_what_is_not_known_of_a_template_of_rsyslog_is_not_computed(template: str) -> None:
    with pytest.raises(NotComputed, match="the text has %"):
        RsyslogEvents.of(ASA, SENDER).sent(HEAD + template)


def test_the_template_of_the_forwarder_sends_the_time_of_reception_and_no_first_blank() -> None:
    event = RsyslogEvents.of(ASA, SENDER).sent(FORWARDER)
    assert (event.text, event.time, event.note) == (b"%ASA-6-302013: Built", b"", "")


def test_the_time_of_the_device_is_sent_if_the_template_has_it_and_the_message_too() -> None:
    assert RsyslogEvents.of(ASA, SENDER).sent(f"{HEAD}%msg%").time == b"Nov 23 07:24:00"
    assert RsyslogEvents.of(b"<13>word: text", SENDER).sent(f"{HEAD}%msg%").time == b""


def test_an_empty_field_of_the_header_is_noted() -> None:
    event = RsyslogEvents.of(b"<134>1 1795418640.5 ap-1 events", SENDER).sent(f"{HEAD}%msg%")
    assert event.note == "its header is not of RFC 5424, because %app-name% is empty"


@pytest.mark.parametrize(
    ("template", "text", "time"),
    [
        (PROTOCOL, b"%ASA-6-302013: Built", b"Nov 23 07:24:00"),
        (f"$R_ISODATE {KEY}] ${{MSGHDR}}${{MESSAGE}}\\n", b": %ASA-6-302013: Built", b""),
        ("$MSG", b"%ASA-6-302013: Built", b""),
    ],
)
def test_a_template_of_syslog_ng_is_filled(template: str, text: bytes, time: bytes) -> None:
    event = SyslogNgEvents.of(ASA, SENDER, False, keeps_hostname=True).sent(template)
    assert (event.text, event.time) == (text, time)


@pytest.mark.parametrize(
    ("frame", "template", "why"),
    [
        (ASA, f"{KEY}] $(format-json)", "the text has"),
        (ASA, f"{KEY}] ${{RAWMSG}}", "the text has"),
        (b"<134>1 yesterday web-1 app - - - text", PROTOCOL, "cannot read the message"),
    ],
)
def test_what_syslog_ng_sends_is_not_computed_otherwise(frame: bytes, template: str, why: str) -> None:
    with pytest.raises(NotComputed, match=why):
        SyslogNgEvents.of(frame, SENDER, True, keeps_hostname=True).sent(template)
