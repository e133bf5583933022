"""Tests what is found out about single senders: product, relay, clock, silence, and the reasons for holding."""

from zoneinfo import ZoneInfo

import pytest

from bridge.discover import FindingSettings, Observer, Received, find_all
from bridge.discover import observer as observer_module
from bridge.discover.observer import MAX_SAMPLE
from tests.harness.discovering import ADDRESS, ASA, FORTIGATE, SSHD, START, UNKNOWN, add, findings_of, observed, stamped

PARIS, NEW_YORK, LAGOS = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("Africa/Lagos")
UTC = ZoneInfo("UTC")


def asa(count: int, host: bytes = b"asa-1", hours: float = 0) -> list[bytes]:
    return [ASA % (stamped(number, hours), host) for number in range(count)]


def sshd(count: int, host: bytes = b"web-1", hours: float = 0) -> list[bytes]:
    return [SSHD % (stamped(number, hours), host) for number in range(count)]


def test_one_product_from_one_address() -> None:
    (found,) = findings_of([FORTIGATE % b"fw-1"] * 214)
    assert (found.source, found.route, found.identified.format) == (ADDRESS, True, "fortinet-fortigate")
    assert (found.name, found.relay, found.few, found.count) == ("fw-1", False, False, 214)
    assert found.identified.reason.endswith(f"in {MAX_SAMPLE} of {MAX_SAMPLE} messages")
    assert found.transports == ("udp",)
    assert found.rate == pytest.approx(214 / 213)


def test_few_messages_are_held_or_marked() -> None:
    two, three = findings_of(asa(2))[0], findings_of(asa(3))[0]
    assert not two.route
    assert two.why == "only 2 of the 3 messages that are needed"
    assert three.route
    assert three.few


def test_low_confidence_is_held() -> None:
    settings = FindingSettings(min_confidence=0.99)
    (found,) = findings_of(asa(3), settings)
    assert not found.route
    assert found.why.endswith("is below 99%")


def test_unknown_and_product_without_format_are_held_with_the_reason() -> None:
    (unknown,) = findings_of([UNKNOWN] * 20)
    assert unknown.why == "not identified: no known product in 20 messages"
    (mikrotik,) = findings_of([b"<134>Nov 23 07:24:00 r-1 smartd[7]: Device: /dev/sda, SMART Usage Attribute"] * 20)
    assert mikrotik.identified.product == "smartd"
    assert mikrotik.why == "smartd has no text format, so its intake is yours to choose"


def test_a_program_that_appliances_run_too_is_held() -> None:
    query = b"<30>%b ns-1 named[7]: client @0x7f 192.0.2.7#511 (example.org): query: example.org IN A + (192.0.2.53)"
    (found,) = findings_of([query % stamped(second) for second in range(20)])
    assert not found.route
    assert found.why == "the text format of ISC BIND is not certain here, so its intake is yours to choose"


def test_a_program_of_a_host_is_routed_by_its_name_only() -> None:
    """The host may send messages of other programs later."""
    (found,) = findings_of(sshd(20))
    assert found.route
    assert found.app_names == ("sshd",)


def test_a_relay_is_taken_apart_by_the_hosts_of_its_headers() -> None:
    frames = [*asa(10, b"asa-1"), *asa(10, b"asa-2.example.org"), *sshd(10, b"web-1"), *[UNKNOWN] * 5]
    found = {each.host: each for each in findings_of(frames)}
    assert set(found) == {"asa-1", "asa-2", "web-1", "pump-7"}
    assert all(each.relay for each in found.values())
    assert found["asa-2"].identified.format == "cisco-secure-firewall"
    assert found["web-1"].app_names == ("sshd",)
    assert [each.identified.product for each in found.values() if not each.route] == [None]


def test_two_hosts_of_one_product_are_a_cluster_and_no_relay() -> None:
    (found,) = findings_of([*asa(10, b"asa-1"), *asa(10, b"asa-2")])
    assert (found.relay, found.host, found.route) == (False, None, True)


def test_two_hosts_of_two_products_are_behind_a_relay() -> None:
    found = findings_of([*asa(10, b"asa-1"), *sshd(10, b"web-1")])
    assert {(each.host, each.relay, each.identified.format) for each in found} == {
        ("asa-1", True, "cisco-secure-firewall"), ("web-1", True, "openssh")
    }  # fmt: skip


def test_hosts_in_the_text_do_not_take_a_sender_apart() -> None:
    frames = [FORTIGATE % b"fw-%d" % (number % 5) for number in range(20)]
    (found,) = findings_of(frames)
    assert (found.host, found.relay, found.name) == (None, True, None)
    assert set(found.devices) == {"fw-0", "fw-1", "fw-2", "fw-3", "fw-4"}


def test_programs_distinguish_two_products_of_one_address() -> None:
    ios = b"<189>52: sw-1: Nov 23 07:24:00.250: %LINK-3-UPDOWN: Interface Gi1/0/1, changed state to up"
    postfix = b"<22>Nov 23 07:24:00 sw-1 postfix/smtpd[7]: connect from a.example[192.0.2.1]"
    found = {each.app_names: each.identified.format for each in findings_of([*[ios] * 10, *[postfix] * 10])}
    assert found == {("%*",): "cisco-ios", ("postfix/smtpd",): "postfix"}
    found = {each.app_names: each.identified.format for each in findings_of([*[ios] * 10, *[UNKNOWN] * 10])}
    assert found == {("%*",): "cisco-ios", (): None}
    kernel = b"<4>Nov 23 07:24:00 sw-1 kernel: device eth0 entered promiscuous mode"
    found = {each.app_names: each.route for each in findings_of([*[postfix] * 10, *[kernel] * 10])}
    assert found == {(): False}, "one shape of header"


# --- clock -----------------------------------------------------------------------------------------------------------


def test_a_zone_is_never_set_from_the_offset_alone() -> None:
    (found,) = findings_of(asa(20, hours=1))
    assert (found.clock.kind, found.clock.zone) == ("zone", None)
    assert "Europe/Paris" in found.clock.candidates
    assert "Africa/Lagos" in found.clock.candidates


def test_the_only_zone_of_the_site_that_fits_is_set() -> None:
    (found,) = findings_of(asa(20, hours=1), FindingSettings(zones=(UTC, PARIS, NEW_YORK)))
    assert found.clock.zone == "Europe/Paris"
    (found,) = findings_of(asa(20, hours=1), FindingSettings(zones=(UTC, PARIS, LAGOS)))
    assert (found.clock.zone, list(found.clock.candidates)) == (None, ["Europe/Paris", "Africa/Lagos"])


def test_the_default_zone_needs_no_entry() -> None:
    (found,) = findings_of(asa(20, hours=-5), FindingSettings(zones=(NEW_YORK, PARIS)))
    assert (found.clock.kind, found.clock.zone, found.clock.candidates) == ("zone", None, ())


@pytest.mark.parametrize(("hours", "kind"), [(0.3, "wrong"), (40, "wrong")])
def test_a_clock_that_fits_no_zone_is_wrong(hours: float, kind: str) -> None:
    assert findings_of(asa(20, hours=hours))[0].clock.kind == kind


def test_offsets_that_differ_tell_no_zone() -> None:
    frames = [ASA % (stamped(number, number % 4), b"asa-1") for number in range(20)]
    assert findings_of(frames)[0].clock.kind == "unsteady"


def test_messages_with_a_zone_need_none() -> None:
    frame = b"<134>1 2026-11-23T08:24:%02d+01:00 web-1 app 7 - - text"
    clock = findings_of([frame % number for number in range(20)])[0].clock
    assert (clock.kind, clock.zone) == ("named", None)
    late = findings_of([frame.replace(b"T08", b"T09") % number for number in range(20)])[0].clock
    assert late.kind == "wrong"
    assert "1 h ahead" in late.text or "60 min ahead" in late.text


def test_without_reception_times_the_clock_is_unknown() -> None:
    (found,) = find_all(observed(asa(20), timed=False), FindingSettings())
    assert (found.clock.kind, found.rate, found.silence_limit) == ("unknown", None, None)


def test_the_zone_of_each_host_behind_a_relay_is_its_own() -> None:
    observer = Observer()
    add(observer, asa(10, b"asa-1"), ADDRESS)
    add(observer, asa(10, b"asa-2", hours=1), ADDRESS)
    add(observer, asa(10, b"asa-3", hours=-5), ADDRESS)
    found = find_all(observer, FindingSettings(zones=(UTC, PARIS, NEW_YORK)))
    assert {each.host: each.clock.zone for each in found} == {
        "asa-1": None, "asa-2": "Europe/Paris", "asa-3": "America/New_York"
    }  # fmt: skip


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_silence_limit_needs_a_day() -> None:
    day = 86_400
    (short,) = find_all(observed(asa(100), step=day / 100), FindingSettings())
    assert short.silence_limit is None
    (long,) = find_all(observed(asa(101), step=day / 100), FindingSettings())
    assert long.silence_limit == pytest.approx(2 * day / 100)


# --- memory ----------------------------------------------------------------------------------------------------------


def test_every_message_is_counted_and_a_sample_is_kept() -> None:
    observer = observed([FORTIGATE % b"fw-1"] * 5000)
    (source,) = observer.sources.values()
    assert (observer.count, source.count, len(source.samples)) == (5000, 5000, MAX_SAMPLE)


def test_the_sample_is_of_the_whole_time() -> None:
    frames = [b"<13>Nov 23 07:24:00 h app: number %05d" % number for number in range(5000)]
    numbers = [int(frame[-5:]) for frame in observed(frames).sources[ADDRESS].samples]
    assert min(numbers) < 1500
    assert max(numbers) > 3500


def test_forged_addresses_and_hosts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_module, "MAX_SOURCES", 3)
    monkeypatch.setattr(observer_module, "MAX_HOSTS", 4)
    observer = Observer()
    for number in range(10):
        observer.add(Received(b"<13>Nov 23 07:24:00 h app: x", f"192.0.2.{number}", None))
        observer.add(Received(b"<13>Nov 23 07:24:00 h-%d app: x" % number, "192.0.2.0", None))
    assert (len(observer.sources), observer.beyond) == (3, 7)
    assert observer.sources["192.0.2.0"].unexamined == 7
    assert observer.sources["192.0.2.0"].count == 11


def test_kept_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_module, "MAX_SAMPLE_BYTES", 1000)
    source = observed([b"<13>Nov 23 07:24:00 h app: " + b"x" * 400] * 20).sources[ADDRESS]
    assert (source.count, len(source.samples)) == (20, 3)


def test_intake_keys_in_messages_are_masked() -> None:
    frame = b'<13>1 2026-11-23T07:24:00Z h app - - [SEKOIA@53288 intake_key="abcdef0123456789"] text'
    assert all(b"abcdef0123456789" not in kept for kept in observed([frame] * 3).sources[ADDRESS].samples)


def test_the_times_of_late_messages_do_not_move_the_period_back() -> None:
    observer = Observer()
    for offset in (0, 10, 5, 12):
        observer.add(Received(UNKNOWN, ADDRESS, START.timestamp() + offset))
    assert (observer.seconds, observer.longest_gap) == (12, 10)
