"""Tests the identification of a source's product by its messages: the table, what counts as evidence, and doubt."""

import pytest

from bridge.explain.products import PRODUCTS, identify
from bridge.explain.products.identify import MAX_FRAMES
from bridge.explain.products.traits import MAX_EXAMINED, traits_of
from bridge.explain.products.weights import ENOUGH, table
from bridge.formats import FORMATS

FORTIGATE = (
    b'<189>date=2026-11-23 time=07:24:00 devname="fw-%d" devid="FG100F%d" eventtime=1795418640000000000 tz="+0000" '
    b'logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=192.0.2.%d action="close"'
)
SSHD = b"<86>Nov 23 07:24:0%d web-1 sshd[41%d]: Accepted publickey for anna from 192.0.2.%d port 50022 ssh2"
CRON = b"<78>Nov 23 07:24:0%d web-1 CRON[81%d]: (root) CMD (test -x /usr/sbin/anacron %d)"
NAMED = (
    b"<30>Nov 23 07:24:0%d %b named[44%d]: client @0x7f6 192.0.2.31#5353 (example.org): query: example.org IN A + "
    b"(192.0.2.53)"
)

# Formats of products whose text format is added at the same time as this table.
PENDING = {
    "aioniq", "aioniq-v103", "auditbeat-linux", "darktrace-threat-visualizer", "eset-protect", "harfanglab",
    "keycloak-events", "lockself", "nucleonedr", "seckiot-citadelle", "sesameit-jizo",
    "stormshield-endpoint-security", "suricata", "tanium", "tehtris-edr", "trellix-atd",
    "vectra-respond-ux-entity-scoring", "zscaler-zia",
}  # fmt: skip
# Two formats read the same text.
AMBIGUOUS = frozenset({"cyberark-audit-logs", "cyberark-digital-vault"})


def repeated(frame: bytes, count: int = 20) -> list[bytes]:
    return [frame % ((number % 10,) * frame.count(b"%d")) for number in range(count)]


# --- the table -------------------------------------------------------------------------------------------------------


def test_table_has_each_product_once_and_covers_all_formats() -> None:
    names = [row.name for row in PRODUCTS]
    assert len(names) == len(set(names))
    used = {row.format for row in PRODUCTS} | {one.format for row in PRODUCTS for one in row.signatures}
    used -= {None, "", "-"}
    assert used - set(FORMATS) <= PENDING
    assert set(FORMATS) - used == AMBIGUOUS


def test_every_signature_can_be_enough() -> None:
    """A signature that weighs too little by itself would never count."""
    weak = []
    for row, one, bits in table().entries:
        if bits < ENOUGH:
            weak.append((row.name, one.parts, bits))
    assert not weak


@pytest.mark.parametrize("name", sorted(set(FORMATS) - AMBIGUOUS))
def test_the_example_of_a_format_is_identified(name: str) -> None:
    found = identify([FORMATS[name].example] * 20)
    assert found.format == name, found
    assert found.matched == found.examined == 20
    assert found.confidence > 0.5


# --- evidence --------------------------------------------------------------------------------------------------------


def test_reason_says_what_was_found_in_how_many_messages() -> None:
    found = identify(repeated(FORTIGATE, 150))
    assert (found.product, found.format) == ("Fortinet FortiGate", "fortinet-fortigate")
    assert found.reason.startswith("date= time= devname= devid=")
    assert found.reason.endswith("in 150 of 150 messages")
    assert found.confidence > 0.9


def test_confidence_grows_with_the_number_of_messages() -> None:
    one, three, many = (identify(repeated(FORTIGATE, count)).confidence for count in (1, 3, 20))
    assert 0 < one < three < many


def test_nothing_is_identified_without_messages() -> None:
    assert (identify([]).product, identify([]).reason) == (None, "no messages")
    assert identify([b"", b"<13>", b"\0\0"]).product is None


def test_vendor_and_product_of_cef_decide() -> None:
    cef = b"<134>Nov 23 07:24:00 gw-1 CEF:0|%b|1.0|7|Login|3|src=192.0.2.9"
    assert identify([cef % b"Trend Micro|Apex Central"]).format == "trend-micro-apex-one"
    assert identify([cef % b"Trend Micro|Deep Security Agent"]).format == "trend-micro-deep-security"
    unlisted = identify([cef % b"Example <b>Inc</b>|Widget\x1b[31m: # x"] * 3)
    assert (unlisted.product, unlisted.format) == ("Example bInc/b Widget31m  x", "cef")


def test_serial_number_tells_products_of_one_vendor_apart() -> None:
    proxy = [frame.replace(b"FG100F", b"FPX4HE") for frame in repeated(FORTIGATE)]
    assert identify(proxy).format == "fortinet-fortiproxy"


def test_a_format_is_withheld_if_the_events_do_not_look_like_it() -> None:
    found = identify([b"<134> 1795418640.250000000 ms-paris-2 events port 3 status changed from 1Gfdx to down"] * 20)
    assert (found.product, found.format) == ("Cisco Meraki", None)
    assert "only 0 of 12 events look like the format cisco-meraki-mx" in found.reason


# --- doubt -----------------------------------------------------------------------------------------------------------


def test_program_that_appliances_run_too_is_named_without_a_format() -> None:
    found = identify([NAMED % (number % 10, b"ns-1", number % 10) for number in range(20)])
    assert (found.product, found.format) == ("ISC BIND", None)
    assert found.reason.endswith("Infoblox NIOS and EfficientIP SOLIDserver run this program too")
    assert found.runner_up == "Infoblox NIOS"


def test_appliances_that_run_the_same_programs_are_not_guessed() -> None:
    lease = b"<30>Nov 23 07:24:00 ns-1 dhcpd[7]: DHCPINFORM from 192.0.2.31 via 192.0.2.1"
    found = identify([NAMED % (number, b"ns-1", number) for number in range(5)] + [lease] * 5)
    assert (found.product, found.format) == (None, None)
    assert "Infoblox NIOS and EfficientIP SOLIDserver are equally likely" in found.reason


def test_host_name_breaks_a_tie_only() -> None:
    assert identify([NAMED % (1, b"infoblox-1", 1)] * 3).format == "infoblox-ddi"
    assert identify([b"<30>Nov 23 07:24:00 infoblox-1 app: text"] * 20).product is None


def test_a_relay_of_several_products_is_a_mix() -> None:
    relay = [*repeated(FORTIGATE, 10), *repeated(SSHD, 10)]
    found = identify(relay)
    assert found.product is None
    assert found.reason == "a mix: Fortinet FortiGate in 10, OpenSSH in 10 of 20 messages"


def test_a_host_with_several_programs_is_not_one_of_them() -> None:
    found = identify([*repeated(SSHD, 14), *repeated(CRON, 6)])
    assert found.product is None
    assert found.reason == "several programs of a Unix host: OpenSSH in 14, cron in 6 of 20 messages"


def test_a_device_that_runs_unix_programs_is_identified() -> None:
    esxi = b"<166>2026-11-23T07:24:00.%dZ web-1 Hostd: info hostd[2099] [Originator@6876 sub=Vimsvc] logged in %d"
    found = identify([*repeated(esxi, 14), *repeated(SSHD, 6)])
    assert (found.product, found.format) == ("VMware ESXi", "vmware-esxi")
    assert "6 of programs that run on it" in found.reason
    elsewhere = [frame.replace(b"web-1", b"web-9") for frame in repeated(SSHD, 6)]
    assert identify([*repeated(esxi, 14), *elsewhere]).product is None


def test_one_stray_message_does_not_matter() -> None:
    assert identify([*repeated(FORTIGATE, 19), *repeated(SSHD, 1)]).format == "fortinet-fortigate"


def test_unknown_messages_of_another_layout_are_a_mix() -> None:
    other = repeated(b"<13>Nov 23 07:24:0%d pump-7 pressure %d bar", 10)
    found = identify([*repeated(FORTIGATE, 10), *other])
    assert found.product is None
    assert "unknown messages in 10" in found.reason


UNKNOWN_JSON = (
    b'{"event":"login","host":"a","user":"anna","message":"ok"}',
    b'{"timestamp":"2026-11-23T07:24:00Z","level":"info","logger":"app","message":"started","hostname":"fw"}',
    b'{"@timestamp":"2026-11-23T07:24:00Z","message":"x","agent":{"name":"a"},"host":{"name":"b"}}',
    b'{"event_type":"click","timestamp":1795418640,"url":"/"}',
    b'{"type":"access","policy":"default","pid":7,"user":"anna"}',
    b'{"severity":3,"category":"network","src_ip":"192.0.2.1","dest_ip":"192.0.2.2","proto":"TCP"}',
    b'{"data":{"EventTime":"2026-11-23","Hostname":"dc-1","EventID":4624,"SourceName":"x"}}',
    b'{"text":"date=2026-11-23 time=07:24:00 devname=x devid=FG1 logid=1"}',
    b'{"name":"x","hostname":"y","pid":1,"level":30,"msg":"devname=a devid=FG1","time":"2026-11-23","v":0}',
    b'{"Action":"Allow","User":"anna","Client":"192.0.2.9"}',
)


@pytest.mark.parametrize("text", UNKNOWN_JSON)
def test_json_of_unknown_origin_is_not_identified(text: bytes) -> None:
    for header in (b"<134>", b"<134>Nov 23 07:24:00 app-1 ", b"<134>1 2026-11-23T07:24:00Z app-1 shop 7 - - "):
        assert identify([header + text] * 20).product is None


HOSTILE = (
    b"<38>Nov 23 07:24:00 pump-1 door[7]: user CEF:0|Fortinet|Fortigate|v7|1|x|3|a=b failed",
    b'<38>Nov 23 07:24:00 pump-1 door[7]: card "date=2026-11-23 time=07:24:00 devname=a devid=FG1 logid=1 type=t"',
    b"<38>Nov 23 07:24:00 pump-1 door[7]: name=x note='devname=a devid=FG1 logid=1 date=1 time=2 type=3 subtype=4'",
    b"<38>Nov 23 07:24:00 pump-1 door[7]: said %ASA-6-302013: Built inbound TCP connection",
    b'<38>Nov 23 07:24:00 pump-1 door[7]: agent {"EventTime":"a","Hostname":"b","EventID":1,"SourceName":"c"}x',
    b"<38>Nov 23 07:24:00 pump-1 door[7]: query sshd[1]: Accepted password for root from 192.0.2.1 port 22 ssh2",
)


@pytest.mark.parametrize("frame", HOSTILE)
def test_words_of_another_product_within_a_text_do_not_count(frame: bytes) -> None:
    assert identify([frame] * 20).product is None


@pytest.mark.parametrize(
    "text",
    [
        b"CEF:0|Fortinet|Fortigate|v7|1|x|3|a=b",
        b"date=2026-11-23 time=07:24:00 devname=a devid=FG1 logid=1 type=t subtype=u level=v vd=w",
        b'{"EventTime":"a","Hostname":"b","EventID":1,"SourceName":"c"}',
    ],
)
def test_text_of_a_known_program_does_not_stand_for_another_product(text: bytes) -> None:
    """For example the name that a client chose, at the beginning of the message."""
    found = identify([b"<38>Nov 23 07:24:00 web-1 dovecot: " + text] * 20)
    assert found.product == "Dovecot"
    assert found.format is None


def test_a_nested_key_of_json_is_not_a_key() -> None:
    keys = traits_of(b'<13>{"a":{"gcenter":"x"},"b":["gcap"],"c":"d\\"e","f":1,"g":"h"}').keys
    assert keys == {b"a": b"", b"b": b"", b"c": b'd\\"e', b"f": b"", b"g": b"h"}


def test_a_key_within_a_quoted_value_is_not_a_key() -> None:
    assert set(traits_of(b"<13>a=1 b=\"c=2 d=3\" e='f=4' g=h").keys) == {b"a", b"b", b"e", b"g"}


# --- cost ------------------------------------------------------------------------------------------------------------


def test_cost_is_bounded_by_sampling() -> None:
    class Frames(list[bytes]):
        asked = 0

        def __getitem__(self, number):
            Frames.asked += 1
            return FORTIGATE % (number % 10, 1, 1)

        def __len__(self) -> int:
            return 1_000_000

    found = identify(Frames())
    assert found.examined == MAX_FRAMES
    assert Frames.asked == MAX_FRAMES


@pytest.mark.parametrize(
    "unit", [b'{"', b"[", b" ", b'a="', b'"\\', b"a: ", b"a|", b"CEF:0|", b"<", b"%", b"\xff", b"client "]
)
def test_only_the_beginning_of_a_long_frame_is_examined(unit: bytes) -> None:
    frame = b"<13>Nov 23 07:24:00 h " + unit * (250_000 // len(unit))
    assert len(traits_of(frame).text) <= MAX_EXAMINED
    assert traits_of(frame) == traits_of(frame[: 2 * MAX_EXAMINED])
    identify([frame] * 20)
