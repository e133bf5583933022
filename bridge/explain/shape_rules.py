"""States, for each shape of the parser, the decision that gives each field. A shape without a row fails a test.

The texts are read after the name of the field: ``hostname: the origin-id before the time``.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Reason(NamedTuple):
    """A decision, and how it gives one field."""

    decision: int
    text: str


class ShapeRule(NamedTuple):
    """The reasons for the fields of one shape. A field that is not listed is read as in RFC 3164 or RFC 5424."""

    hostname: Reason | None = None
    no_host: Reason | None = None
    "The reason for an empty hostname."
    timestamp: Reason | None = None
    app_name: Reason | None = None
    procid: Reason | None = None
    structured_data: Reason | None = None
    msg: Reason | None = None


_MNEMONIC = Reason(9, "the mnemonic, which also stays in msg")
_FROM_MNEMONIC = Reason(9, "begins at the mnemonic or its module")
_ORIGIN = Reason(9, "the origin-id, or the word before the mnemonic")
_NO_ORIGIN = Reason(9, "no origin-id in the header (on IOS: logging origin-id hostname)")
_PROCESS = Reason(19, "the [pid] of the process before the mnemonic")
_WHOLE = Reason(10, "the whole text, as it has no syslog header")
_KEYS = Reason(10, "from the keys date, time, tz, eventtime or timestamp")
_SHAPED_HOST = Reason(15, "the word after the time, in the layout of this device")
_FORWARDED = Reason(11, "the host after 'Message forwarded from'")
_UNIFI_HOST = Reason(15, "the name before the MAC address and firmware of UniFi")
_NO_UNIFI_NAME = Reason(15, "only MAC address and firmware, without a name")
_UNDECLARED = Reason(20, "by its place in the header, which is not valid RFC 5424")
_CEF = Reason(12, "begins at CEF: or LEEF:, as sent")
_SNARE = Reason(12, "begins at MSWinEventLog, as sent")
_PLACE_5424 = Reason(4, "by its place in the header, which is RFC 5424 without its version")


def _pairs(key: str) -> ShapeRule:
    """Returns the rule of a device that sends ``key=value`` without a header and names itself in ``key``."""
    return ShapeRule(
        hostname=Reason(10, f"the key {key} in the text"), no_host=Reason(10, f"no usable key {key} in the text"),
        timestamp=_KEYS, app_name=Reason(10, "a text of key=value has no tag"), msg=_WHOLE,
    )  # fmt: skip


def _cisco(hostname: Reason = _ORIGIN, timestamp: Reason | None = None) -> ShapeRule:
    return ShapeRule(
        hostname=hostname, no_host=_NO_ORIGIN, timestamp=timestamp, app_name=_MNEMONIC, procid=_PROCESS,
        structured_data=Reason(19, "the element between the counters"), msg=_FROM_MNEMONIC,
    )  # fmt: skip


def _like_5424(reason: Reason, **others: Reason) -> ShapeRule:
    fields = dict.fromkeys(("hostname", "timestamp", "app_name", "procid", "structured_data", "msg"), reason)
    return ShapeRule(**fields | others)


_PLAIN = ShapeRule()

SHAPE_RULES: Mapping[str, ShapeRule] = {
    # --- The layouts of the RFCs, and none ---
    "rfc3164": _PLAIN,
    "rfc5424": _PLAIN,
    "rfc5424-malformed-data": ShapeRule(
        structured_data=Reason(5, "malformed, so it stays at the beginning of msg"),
        msg=Reason(5, "begins with the malformed structured data"),
    ),
    "none": ShapeRule(
        no_host=Reason(1, "no header could be read"), app_name=Reason(1, "no header could be read"),
        msg=Reason(1, "all of the text, as no header could be read"),
    ),
    # --- No time before the layout ---
    "cisco-untimed": ShapeRule(
        no_host=Reason(9, "a message without time and host"), app_name=_MNEMONIC, msg=_FROM_MNEMONIC
    ),
    "cef-alone": ShapeRule(
        hostname=Reason(12, "from the extension dvchost, as there is no syslog header"),
        no_host=Reason(12, "no syslog header, and no extension dvchost"),
        timestamp=Reason(12, "from the extension rt, as there is no syslog header"),
        app_name=Reason(12, "CEF: and LEEF: are not a tag"), msg=_CEF,
    ),
    "snare-alone": ShapeRule(
        hostname=Reason(12, "the word before MSWinEventLog"),
        no_host=Reason(12, "no word before MSWinEventLog"),
        app_name=Reason(12, "MSWinEventLog is not a tag"), msg=_SNARE,
    ),
    "juniper-screenos": ShapeRule(
        hostname=Reason(15, "the word before ': NetScreen'"), app_name=Reason(15, "NetScreen is not a tag"),
        msg=Reason(15, "begins at NetScreen"),
    ),
    "aix-forwarded-untimed": ShapeRule(hostname=_FORWARDED),
    "unifi-untimed": ShapeRule(hostname=_UNIFI_HOST, no_host=_NO_UNIFI_NAME),
    "tag-alone": ShapeRule(
        no_host=Reason(7, "only a tag, without time and host"),
        app_name=Reason(15, "the word before the colon directly after the PRI"),
        msg=Reason(15, "begins after that colon"),
    ),
    "kiwi": ShapeRule(hostname=Reason(11, "the address in Kiwi's prefix")),
    # --- Cisco ---
    "cisco-ios": _cisco(),
    "cisco-relayed": _cisco(
        Reason(9, "the origin-id, or else the relay's host"),
        Reason(17, "the device's time, after the relay's"),
    ),
    "cisco-cucm": _cisco(Reason(9, "the Node ID in the text, as the header has no host")),
    "counted": _PLAIN,
    "rfc5424-relayed": _like_5424(Reason(17, "by its place in the header of RFC 5424 after the relay's time and host")),
    "relayed": ShapeRule(
        hostname=Reason(17, "the host after the second time; the relay's is dropped"),
        timestamp=Reason(17, "the device's time, after the relay's"),
    ),
    # --- Texts of key=value pairs, and JSON ---
    "fortinet": _pairs("devname"),
    "sonicwall": _pairs("fw"),
    "stormshield": _pairs("fw"),
    "sophos": _pairs("device_name"),
    "checkpoint-splunk": _pairs("hostname"),
    "clavister": ShapeRule(
        no_host=Reason(10, "no name in the text"), timestamp=Reason(10, "the time in brackets before EFW:"),
        app_name=Reason(10, "a text of key=value has no tag"), msg=_WHOLE,
    ),
    "json": ShapeRule(
        no_host=Reason(21, "a hostname in a JSON text is data and is not used"),
        timestamp=Reason(21, "from a member of the outermost JSON object"),
        app_name=Reason(15, "JSON has no tag"), msg=Reason(21, "the whole text, as it has no syslog header"),
    ),
    "key-value": ShapeRule(
        no_host=Reason(21, "the device is not known, so no key is taken for its name"), timestamp=_KEYS,
        app_name=Reason(10, "a text of key=value has no tag"), msg=_WHOLE,
    ),
    # --- Layouts after a time ---
    "cisco-viptela": ShapeRule(
        hostname=Reason(9, "the part of the mnemonic that names the device"), app_name=_MNEMONIC,
        procid=_PROCESS, msg=_FROM_MNEMONIC,
    ),
    "cisco": _cisco(Reason(9, "the word before the mnemonic; a relay's name before it is dropped")),
    "cisco-colon": _cisco(Reason(9, "the word and colon before the mnemonic")),
    "comware": ShapeRule(
        hostname=_SHAPED_HOST, app_name=Reason(9, "the %%nn mnemonic, which also stays in msg"),
        msg=Reason(9, "begins at the %%nn mnemonic"),
    ),
    "cef": ShapeRule(app_name=Reason(12, "only a word before CEF: or LEEF: is a tag"), msg=_CEF),
    "snare": ShapeRule(app_name=Reason(12, "MSWinEventLog is not a tag"), msg=_SNARE),
    "watchguard": ShapeRule(app_name=Reason(15, "the tag after the serial number or the time in parentheses")),
    "host-and-address": ShapeRule(hostname=Reason(18, "the name; the address after it is dropped")),
    "cisco-ise": ShapeRule(
        app_name=Reason(15, "the category CISE_... is not a tag"), msg=Reason(15, "begins at the category CISE_..."),
    ),
    "f5": ShapeRule(
        hostname=Reason(11, "without the blade (slotN/) before it"),
        app_name=Reason(11, "the tag after the level word, which is dropped"),
    ),
    "sonic": ShapeRule(app_name=Reason(11, "the tag after the level word, which is dropped")),
    "no-name": ShapeRule(no_host=Reason(7, "the word in the place of the host is (none)")),
    "onefs": ShapeRule(hostname=Reason(16, "without the number of the node in parentheses, which is dropped")),
    "f5-slot": ShapeRule(hostname=Reason(11, "without the blade (slotN/) before it")),
    "f5-irule": ShapeRule(
        hostname=Reason(15, "the word before ',f5_irule='"), app_name=Reason(15, "an iRule's text has no tag"),
        msg=Reason(15, "begins at the host, which is part of the text"),
    ),
    "facility-and-level": ShapeRule(hostname=Reason(16, "the word after 'facility.level', which is dropped")),
    "unifi": ShapeRule(hostname=_UNIFI_HOST, no_host=_NO_UNIFI_NAME),
    "netscaler": ShapeRule(
        hostname=_SHAPED_HOST, app_name=Reason(15, "the packet engine (n-PPE-n) is not a tag"),
        msg=Reason(15, "begins at the packet engine (n-PPE-n)"),
    ),
    "netapp": ShapeRule(
        hostname=Reason(15, "the first word in the brackets"), app_name=Reason(15, "the bracket of ONTAP is not a tag"),
        msg=Reason(15, "begins at the bracket"),
    ),
    "aix-forwarded": ShapeRule(hostname=_FORWARDED),
    "repeated": ShapeRule(
        hostname=Reason(11, "the word before 'message repeated'"),
        no_host=Reason(11, "no host before 'message repeated'"),
        app_name=Reason(11, "'message repeated' has no tag"), msg=Reason(11, "begins at 'message repeated'"),
    ),
    "vectra": ShapeRule(
        hostname=_SHAPED_HOST, app_name=Reason(15, "the word before '-:'"), msg=Reason(15, "begins at '-:'"),
    ),
    "pan-os": ShapeRule(
        hostname=_SHAPED_HOST, app_name=Reason(15, "the comma-separated text of PAN-OS has no tag"),
        msg=Reason(15, "begins at the first comma-separated value"),
    ),
    "procurve": ShapeRule(
        hostname=_SHAPED_HOST, app_name=Reason(15, "the tag after the event number, which is dropped"),
    ),
    "sysklogd": ShapeRule(hostname=_SHAPED_HOST, app_name=Reason(15, "the name and version of syslogd")),
    "ansible": ShapeRule(hostname=_SHAPED_HOST, app_name=Reason(15, "Ansible's tag with the module in brackets")),
    "macos": ShapeRule(hostname=_SHAPED_HOST, app_name=Reason(15, "a macOS name, which may have blanks, before [pid]")),
    "rfc5424-without-version": _like_5424(_PLACE_5424),
    "bracketed-host": ShapeRule(hostname=Reason(16, "the address in the brackets")),
    "level-before-tag": ShapeRule(no_host=Reason(16, "the word in the place of the host is a level")),
    # --- Look-alikes of RFC 5424 ---
    "rfc5424-other-time": _like_5424(_UNDECLARED),
    "rfc5424-foreign-data": _like_5424(
        _UNDECLARED, structured_data=Reason(5, "not valid structured data, so it stays at the beginning of msg"),
        msg=Reason(5, "begins at the bracket that is not valid structured data"),
    ),
    "rfc5424-pid-in-app": _like_5424(
        _UNDECLARED, procid=Reason(20, "the [pid] after the program; one field is missing"),
    ),
    "rfc5424-without-data": _like_5424(
        _UNDECLARED, structured_data=Reason(20, "the header has none"),
        msg=Reason(20, "begins at the first field that is neither - nor a number"),
    ),
    "meraki": ShapeRule(
        hostname=Reason(4, "the word after the epoch time"),
        timestamp=Reason(4, "the 1 before it is not RFC 5424"),
        app_name=Reason(4, "the type of event is not a tag"), msg=Reason(4, "begins at the type of event"),
    ),
}  # fmt: skip
"The rules by the name of the shape."
