"""Tests that ``explain`` says when an event does not have the structured data of its message."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from bridge.config import parse_text
from bridge.explain.explanation import Explainer, Explanation, Origin
from bridge.explain.frames import Cut
from bridge.explain.text import text_of

HEAD = b"<14>1 2026-11-23T07:24:00Z srx-1 RT_FLOW - RT_FLOW_SESSION_CREATE "
SRX = b'[junos@2636.1.1.1.2.129 source-address="192.0.2.7"]'
TIME_QUALITY = b'[timeQuality tzKnown="1"]'


def explained(frame: bytes, setting: str) -> Explanation:
    config = parse_text(
        "collector: {region: FRA1}\n"
        'listeners: [{name: udp, udp: "*:514"}]\n'
        f'intakes: {{one: {{intake_key: "0000000000000001"{setting}}}}}\n'
        "unrouted: {intake: one}\n"
        "spool: {directory: unused}\n"
    )
    origin = Origin(config.listeners[0], ip_address("192.0.2.1"))
    explainer = Explainer(config, origin, received=datetime(2026, 11, 23, 7, 24, tzinfo=UTC), strict=False)
    explanation = explainer.explain(Cut(frame, ""))
    assert explanation is not None
    return explanation


@pytest.mark.parametrize("setting", ["", ", payload: message", ", payload: content", ", payload: line"])
def test_data_that_is_not_sent_is_noted_with_its_ids_and_the_remedy(setting: str) -> None:
    explanation = explained(HEAD + SRX + b" session created", setting)
    assert list(explanation.notes) == []  # `why` shows these and has a step of its own for the data
    assert explanation.every_note[0] in text_of(1, explanation, routed=True)
    payload = setting.removeprefix(", payload: ") or "message"
    assert explanation.event is not None
    assert b"junos@" not in explanation.event
    assert explanation.every_note == [
        "the event does not have the structured data (junos@2636.1.1.1.2.129), because the payload is "
        f"{payload}: set format: juniper-ngfw if the intake is of that product, else payload: auto for the intake to "
        "send it"
    ]


@pytest.mark.parametrize("setting", [", payload: auto", ", payload: structured", ", format: juniper-ngfw"])
def test_data_that_is_sent_is_not_noted(setting: str) -> None:
    explanation = explained(HEAD + SRX + b" session created", setting)
    assert explanation.event is not None
    assert SRX in explanation.event
    assert explanation.every_note == []


def test_data_that_say_nothing_about_the_event_are_not_noted() -> None:
    assert explained(HEAD + TIME_QUALITY + b" session created", "").every_note == []
