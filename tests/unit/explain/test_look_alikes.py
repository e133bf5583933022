"""Tests that messages that resemble those of another product get no text format."""

import pytest

from bridge.explain.products import identify

START = b"<134>Nov 23 07:24:00 app-3 "
_KEYS = (
    b'date=2026-11-23 time=07:24:00 devname="x-3" devid="%b" logid="7" type="event" subtype="system" level="notice" '
)

_LOGIN = b"log_id=0001001234 type=event subtype=admin pri=information user=anna ui=GUI action=login status=success"


def both(*frames: bytes):
    """Returns what 20 and 3 messages of a source are identified as."""
    return [identify([frames[n % len(frames)] for n in range(count)]) for count in (20, 3)]


LOOK_ALIKES = {
    # JSON and pairs whose keys another product has as well
    "JSON with FortiGate's keys": START
    + b'{"date":"2026-11-23","time":"07:24:00","devname":"x","devid":"FG3","logid":"7",'
    b'"type":"traffic","subtype":"forward","level":"notice","vd":"root"}',
    "inventory with devname": START + b"stock: date=2026-11-23 time=07:24:00 devname=printer-3 devid=4711 type=asset",
    "proxy with Zscaler's keys": START + b'{"reason":"x","event_id":7,"protocol":"tcp","action":"allow","user":"anna"}',
    "EDR with Nucleon's keys": START + b'{"type":"alert","policy":"default","process_path":"/bin/x","pid":5,"ppid":1}',
    "shipper with HarfangLab's keys": START + b'{"@timestamp":"x","agent":{"type":"y"},"log_type":"audit"}',
    "login with Nucleon's keys": START + b'{"authenticator":"totp","entity":"anna","policy":"staff"}',
    "audit with ESET's type": START + b'{"event_type":"audit_event_login","user":"anna","hostname":"web-3"}',
    "one short key": START + b'{"skt":7,"user":"anna"}',
    "program ndr with ECS": START + b'ndr: {"event":{"kind":"alert"},"ecs":{"version":"8.0.0"}}',
    # Other products of Fortinet
    "FortiDeceptor": b"<189>" + _KEYS % b"FDC3KG0000000003" + b'vd="root"',
    "FortiExtender": b"<189>" + _KEYS % b"FX511F0000000003",
    "FortiVoice": b"<189>date=2026-11-23 time=07:24:00 device_id=FVE20E0000000003 log_id=0004 type=event pri=4",
    "FortiVoice, login": b"<189>date=2026-11-23 time=07:24:00 device_id=FO200F0000000003 " + _LOGIN,
    "FortiManager": b'<189>date=2026-11-23 time=07:24:00 devname="x-3" device_id="FMG-VM0000000003" ' + _LOGIN,
    "FortiADC": b"<189>date=2026-11-23 time=07:24:00 device_id=FADV040000000003 msg_id=4711 " + _LOGIN,
    # NXLog reads files as well as Windows events.
    "file by NXLog": START + b'{"EventTime":"x","Hostname":"web-3","EventReceivedTime":"x","SourceModuleName":"a",'
    b'"SourceModuleType":"im_file"}',
    # Texts
    "list of an application": START + b"1,2026/11/23 07:24:00,orders,NEW,4711,",
    "list behind a tag": START + b"shop: 1,2026/11/23 07:24:00,orders,NEW,4711,",
    "text with Event type:": START + b"hr: Event type: Login\r\nUser: anna",
    "list with Category:": START + b"pos: till-3,Category: 3,closed",
    "text with [SSH Session]": START + b"gate: [SSH Session] has started",
    "bastion of another vendor": START + b'bastion: open uniqid="a3" account="anna" cmdtype="ssh" allowed="true"',
    "epoch time and a name": b"<134>1795418640.250000000 pump_3 value 12",
    "thread and level": START + b"worker[7]: [4711:3] info: job done",
    "quoted FortiGate": START
    + b'desk: customer sent: date=2026-11-23 time=07:24:00 devname="FG" devid="FG3" logid="1"',
    "quoted mnemonic": START + b"desk[4]: customer sent: %ASA-6-302013: Built outbound TCP connection",
    "shipped FortiGate": START + b'fluentd: {"message":"date=2026-11-23 time=07:24:00 devname=\\"FG\\"","tag":"fw"}',
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_look_alike_gets_no_format(name: str) -> None:
    assert [found.format for found in both(LOOK_ALIKES[name])] == [None, None]


def test_cef_that_quotes_another_vendor_is_cef_of_its_own() -> None:
    found = both(
        START + b"CEF:0|Example|Widget|1|4|Trend Micro Deep Security|5|msg=CEF:0|Trend Micro|Deep Security|1|2|"
    )
    assert [(one.product, one.format) for one in found] == [("Example Widget", "cef")] * 2


@pytest.mark.parametrize(
    "header",
    [b"Claroty|CTD", b"SonicWall|Email Security", b"F5|NGINX", b"WatchGuard|AuthPoint", b"Bitdefender|Sandbox"],
)
def test_cef_of_another_product_of_the_vendor_is_cef_of_its_own(header: bytes) -> None:
    assert {found.format for found in both(START + b"CEF:0|" + header + b"|1|4|Login|5|suser=anna")} == {"cef"}


def test_texts_under_the_tag_of_another_program_do_not_prove_the_product() -> None:
    """A relay that replaces tags mixes them; a program that the product does not have has other messages too."""
    fortigate = START + b"app: " + _KEYS % b"FG100F0000000003" + b'vd="root"'
    other = START + b"app: job done"
    assert identify([fortigate] * 11 + [other] * 9).product is None
    assert identify([fortigate] * 20).format == "fortinet-fortigate"


@pytest.mark.parametrize("serial", [b"FG100F0000000003", b"FWF60F0000000003"])
def test_fortigate_keeps_its_format(serial: bytes) -> None:
    assert {found.format for found in both(b"<189>" + _KEYS % serial + b'vd="root"')} == {"fortinet-fortigate"}
