"""Tests what ``explain`` says about conditions on facility, severity, ids and expressions, and about redaction."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from ipaddress import ip_address

from bridge.config import parse_text
from bridge.explain.explanation import Explainer, Explanation, Origin
from bridge.explain.frames import Cut
from bridge.ingest import from_config as ingest_config
from bridge.syslog.columns import FIELDS
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns

CONFIG = """
collector: {region: FRA1}
listeners: [{name: udp, udp: "127.0.0.1:5514"}]
intakes: {a: {intake_key: kkkkkkkkkkkkkkkk}}
redact: [{pattern: email}, {name: slow, regex: '(x+)+$'}]
routes:
  - {name: facility, intake: a, facility: [mail, local7]}
  - {name: milder, intake: a, max_severity: info}
  - {name: worse, intake: a, min_severity: err}
  - {name: procid, intake: a, procid: "8*"}
  - {name: msgid, intake: a, msgid: [ID4?, IN]}
  - {name: matches, intake: a, message: {contains: [user], matches: ['id=[0-9]+', "b{3}"]}}
  - {name: evil, intake: a, message: {matches: '(y+)+$'}}
  - {name: all, intake: a}
spool: {directory: x}
"""
HEADER = b"<36>1 2026-11-23T12:00:00Z gw app 7 ID77 - "


def explained(frame: bytes) -> Explanation:
    config = parse_text(CONFIG)
    origin = Origin(config.listeners[0], ip_address("10.0.0.1"))
    explainer = Explainer(config, origin, received=datetime(2026, 11, 23, 12, tzinfo=UTC), strict=True)
    found = explainer.explain(Cut(frame, "a datagram"))
    assert found is not None
    return found


def test_each_condition_says_why_it_does_not_hold() -> None:
    found = explained(HEADER + b"user " + b"y" * 400 + b"!")
    assert found.disposition is not None and found.disposition.route == "all"
    assert dict(found.passed_over) == {
        "facility": "facility auth is not mail, local7",
        "milder": "severity warning is above info",
        "worse": "severity warning is below err",
        "procid": "procid 7 does not match 8*",
        "msgid": "msgid ID77 does not match ID4?, IN",
        "matches": "the message does not match 'id=[0-9]+', 'b{3}'",
        "evil": "an expression in its message: matches exceeded the match limit, which counts as no match",
    }


def test_explanation_counts_no_message_on_which_an_expression_exceeds_its_limit() -> None:
    config, counted = parse_text(CONFIG), Counter[str]()
    router = ingest_config.router(config, lambda route: counted.update([route]))
    origin = Origin(config.listeners[0], ip_address("10.0.0.1"))
    explainer = Explainer(config, origin, received=datetime.now(UTC), strict=True, router=router)
    explainer.explain(Cut(HEADER + b"user " + b"y" * 400 + b"!", ""))
    assert not counted, "it was counted when it arrived"
    frames = block_of([HEADER + b"user " + b"y" * 400 + b"!"])
    router.profile(origin.listener.name, origin.source).assign(read_columns(frames, frozenset(FIELDS)))
    assert counted == {"evil": 1}


def test_message_without_pri_has_no_facility() -> None:
    found = dict(explained(b"text").passed_over)
    assert found["facility"] == "the message has no PRI and therefore no facility"
    assert found["milder"] == found["worse"] == "the message has no PRI and therefore no severity"
    assert found["procid"] == "the message has no procid"
    assert found["matches"] == "the message does not contain 'user'"


def test_redacted_message_is_shown_redacted() -> None:
    found = explained(HEADER + b"mail of joe@example.org")
    assert found.event == b"mail of REDACTED"
    assert found.fields["msg"] == "mail of REDACTED"
    assert "redacted: email (1)" in found.notes
    assert "joe" not in repr(found)


def test_message_that_cannot_be_redacted_is_not_shown() -> None:
    found = explained(HEADER + b"x" * 400 + b"!")
    assert found.event is None and found.disposition is None
    assert found.notes == ["redact rule slow exceeded its match limit: quarantined as unredacted, not sent"]
    assert "xxx" not in repr(found)
