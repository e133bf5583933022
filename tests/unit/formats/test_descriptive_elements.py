"""Tests formats with structured data that has elements of a relay: timeQuality, origin and others."""

from datetime import UTC, datetime

import pytest

from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import find
from bridge.syslog.structured_data import DESCRIPTIVE_IDS

CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))
HEAD = b"<14>1 2026-11-23T07:24:00Z host-1 "


def event(name: str, frame: bytes) -> bytes:
    found = event_for(find(name), frame, CONTEXT)
    assert find(name).fits(found)
    return found


@pytest.mark.parametrize("element_id", DESCRIPTIVE_IDS)
def test_an_element_of_a_relay_is_not_sent(element_id: bytes) -> None:
    relayed = b"[" + element_id + rb' key="a\"b\]c"][meta sequenceId="7"]'
    junos = HEAD + b"RT_FLOW - RT_FLOW_SESSION_CREATE "
    data = b'[junos@2636.1.1.1.2.129 reason="x"]'
    assert event("juniper-ngfw", junos + relayed + data + b" text") == b"RT_FLOW_SESSION_CREATE " + data + b" text"
    assert event("juniper-ngfw", HEAD + b"mgd 44 - " + relayed + b" UI_LOGIN_EVENT: User anna") == (
        b"mgd[44]: UI_LOGIN_EVENT: User anna"
    )
    originator = b'[Originator@6876 sub="Vimsvc"]'
    assert event("vmware-esxi", HEAD + b"Hostd 44 - " + relayed + originator + b" text") == originator + b" text"


def test_elements_of_the_device_stay_in_their_order() -> None:
    data = b'[junos@2636.1.1.1.2.129 a="1"][other@9 b="2"]'
    assert event("juniper-ngfw", HEAD + b"RT_FLOW - RT_FLOW_DENY " + data) == b"RT_FLOW_DENY " + data


def test_an_element_whose_id_only_begins_like_that_of_a_relay_is_sent() -> None:
    data = b'[origin@9 b="2"]'
    assert event("juniper-ngfw", HEAD + b"RT_FLOW - RT_FLOW_DENY " + data) == b"RT_FLOW_DENY " + data


@pytest.mark.parametrize("header", [b"NSS - - - ", b"NSS - - - \xef\xbb\xbf"])
def test_a_feed_with_tabs_keeps_the_fields_before_a_value_with_json(header: bytes) -> None:
    feed = b'reason=Allowed\tevent_id=7\tpostdata={"a":1}\tuser=anna'
    assert event("zscaler-zia", HEAD + header + feed) == feed
