"""Tests the alarm for a source whose messages have changed: its text, its remedy, and when it ends."""

import pytest

from bridge.monitoring.alarms import Alarms
from bridge.monitoring.format_drift import FormatDrift
from tests.harness.sampled import SampledSources, router

FORTIGATE = b'<189>date=2026-11-23 time=12:00:00 devname="fw1" devid="FG1H0E1" logid="0000000013" type="traffic"'
SSHD = b"<86>Nov 23 12:00:00 fw1 sshd[4711]: Accepted publickey for jdoe from 192.0.2.1 port 52100 ssh2"
UNKNOWN = b"<13>1 2026-11-23T12:00:00Z fw1 app 1 - - accepted"


class Watched:
    """A source of an intake with a format, and its alarms."""

    def __init__(self, text_format="fortinet-fortigate", *, shows=True):
        self.sources = SampledSources(text_format, shows=shows)
        self.alarms = Alarms()
        self.drift = FormatDrift(
            self.alarms, self.sources.changes, self.sources.peers, self.sources.samples,
            lambda: self.sources.now_ms / 1000,
        )  # fmt: skip
        self.peer = self.sources.peer()

    def send(self, frame, count=100):
        for _ in range(count):
            self.sources.pass_ms(1000)
            self.sources.take(self.peer, [frame])
            self.drift.look()

    @property
    def text(self):
        return self.alarms.active["drift", "192.0.2.7"]


@pytest.fixture
def watched():
    return Watched()


def test_alarm_names_the_mismatches_and_the_format_that_fits_now(watched):
    watched.send(FORTIGATE)
    assert not watched.alarms.active
    assert watched.drift.report(watched.peer)["drift"] is None
    watched.send(SSHD)
    assert watched.text.startswith("the messages of source 192.0.2.7 have changed since 12:01:41 UTC: ")
    assert "sampled events do not match format fortinet-fortigate of intake all" in watched.text
    assert watched.text.endswith("; they are of format openssh (OpenSSH)")
    alarm = watched.alarms.current["drift", "192.0.2.7"]
    assert "route it to an intake with format openssh" in alarm.remedy
    (row,) = watched.drift.rows()
    assert (row["old_shape"], row["new_shape"]) == ("fortinet", "rfc3164")
    assert row["fitting_format"] == "openssh"
    assert "before" not in row


def test_report_has_a_message_before_and_after_and_the_shapes(watched):
    watched.send(FORTIGATE)
    report = watched.drift.report(watched.peer)
    assert report["shapes"] == [{"shape": "fortinet", "text": "key=value", "matches_format": True, "share": 1.0}]
    assert (report["format_mismatch_share"], report["drift"]) == (0.0, None)
    watched.send(SSHD)
    report = watched.drift.report(watched.peer)
    assert report["shapes"] == [{"shape": "rfc3164", "text": "text", "matches_format": False, "share": 1.0}]
    assert report["format_mismatch_share"] == 1.0
    assert report["drift"]["before"] == FORTIGATE.decode()
    assert report["drift"]["after"] == SSHD.decode()


def test_no_text_of_a_message_is_shown_if_it_may_not_be():
    watched = Watched(shows=False)
    watched.send(FORTIGATE)
    watched.send(SSHD)
    assert "do not match format fortinet-fortigate" in watched.text
    drift = watched.drift.report(watched.peer)["drift"]
    assert (drift["before"], drift["after"], drift["fitting_format"]) == (None, None, None)


def test_format_is_not_guessed(watched):
    watched.send(FORTIGATE)
    watched.send(UNKNOWN)
    assert "they are of format" not in watched.text
    assert "another intake" in watched.alarms.current["drift", "192.0.2.7"].remedy


def test_source_without_a_format_is_compared_with_its_earlier_shape():
    watched = Watched(None)
    watched.send(FORTIGATE)
    watched.send(UNKNOWN)
    assert "do not match" not in watched.text
    assert "their shape is rfc5424 instead of fortinet" in watched.text


def test_alarm_ends_when_the_earlier_messages_return(watched):
    watched.send(FORTIGATE)
    watched.send(SSHD)
    watched.send(FORTIGATE, 10)
    assert not watched.alarms.active


def test_alarm_ends_when_the_format_is_changed(watched):
    watched.send(FORTIGATE)
    watched.send(SSHD)
    watched.sources.peers.change(router("openssh"))
    watched.drift.look()
    assert not watched.alarms.active
    watched.send(SSHD)
    assert not watched.alarms.active
    assert watched.drift.report(watched.peer)["format_mismatch_share"] == 0.0
