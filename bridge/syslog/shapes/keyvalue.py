"""Devices that send ``key=value``, or a JSON object, and no header: host and time are among the values; all of the text
is MSG (decision 10). The values are looked for in the first two kilobytes; of a repeated key the first counts.

===================== ==========================================================
host                  ``devname`` ``device_name`` ``hostname`` ``host_name`` ``fw``
date and time of day  ``date`` and ``time``, with the zone of ``tz`` or ``timezone``
epoch                 ``eventtime`` or ``time``: seconds, or the digits below them too
CEF                   ``dvchost`` and ``rt``
whole time            ``time`` or ``timestamp`` or ``date``, quoted where it holds a blank
===================== ==========================================================
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from bridge.syslog.grammar import Header
from bridge.syslog.shapes.shape import NO_TIME, Shape
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

_LOOKED_AT = 2048
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*+)=(?!=)")
# The look behind keeps it linear: a name is tried at its beginning only.
_PAIR = re.compile(rb'(?<![A-Za-z0-9_.-])([A-Za-z_][A-Za-z0-9_.-]*+)=(?:"([^"]*+)"|([^\s,;|"]*+))')
_EPOCH = re.compile(rb"([1-9][0-9]{9})\.?([0-9]{0,9})")
_HOST = re.compile(rb"[^\s=]++")
_DVCHOST = re.compile(rb"(?<=[ |])dvchost=([^\s=|]++)")
_RT = re.compile(rb"(?<=[ |])rt=([^=|]++)")

_GMT = re.compile(rb"\((GMT[+-][0-9]{1,2}:[0-9]{2})\)")
# At the beginning of the object: its own members stand before what it holds.
_MEMBER = re.compile(
    rb'[{,]\s*+"((?i:hostname|logtimestamp|eventtime|creationtime|timestamp|@timestamp))"\s*+:\s*+"([^"\\]*+)"'
)
_TIME_MEMBERS = (b"logtimestamp", b"eventtime", b"@timestamp", b"timestamp", b"creationtime")

_HOST_KEYS = (b"devname", b"device_name", b"hostname", b"host_name", b"fw")


SHAPES = (
    Shape(
        "fortinet",
        b"",
        b'<189>date=2026-11-23 time=08:24:00 devname="fgt-lyon" devid="FGT60F0000000001" tz="+0100" '
        b'logid="0000000013" type="traffic" srcip=192.0.2.7 action="deny"',
    ),
    Shape(
        "sonicwall",
        b"",
        b'<134>id=firewall sn=18B1690000AA time="2026-11-23 07:24:00 UTC" fw=198.51.100.2 pri=6 c=262144 m=98 '
        b'msg="Connection Opened" src=192.0.2.5:50110',
    ),
    Shape(
        "stormshield",
        b"",
        b'<14>id=firewall time="2026-11-23 08:24:00" fw="sns-west" tz=+0100 startime="2026-11-23 08:23:59" pri=5 '
        b'srcif="Ethernet1" logtype="filter"',
    ),
    Shape(
        "sophos",
        b"",
        b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="CET" device_name="xgs-1" device_id=C00000000000001 '
        b'log_type="Firewall"',
    ),
    Shape(
        "checkpoint-splunk",
        b"",
        b"time=1795418640|hostname=cp-mgmt|severity=Medium|product=IPS|action=Prevent|ifdir=inbound",
    ),
    Shape("json", b"", b'{"LogTimestamp": "Mon Nov 23 07:24:00 2026","Customer": "Example","Connector": "lyon-1"}'),
    Shape(
        "key-value",
        b"",
        b'<134>action="session opened" user="anna" client="192.0.2.6" time="2026-11-23T07:24:00Z"',
    ),
)

# A device is known by keys that no other sends.
_TELLS = (
    ("fortinet", {b"devname", b"devid"}),
    ("checkpoint-splunk", {b"ifdir", b"originsicname", b"loguid"}),
    ("sophos", {b"device_name", b"device_model", b"device_id"}),
    ("stormshield", {b"startime"}),
    ("sonicwall", {b"sn"}),
)


def read(priority: bytes, text: bytes) -> Header | None:
    """The header of a text that begins with ``key=`` or ``{``."""
    return read_json(priority, text) if text.startswith(b"{") else read_pairs(priority, text)


def read_pairs(priority: bytes, text: bytes) -> Header | None:
    """The header of a text that begins with ``key=``."""
    if _OPENING.match(text) is None:
        return None
    values: dict[bytes, bytes] = {}
    for key, quoted, bare in _PAIR.findall(text, 0, _LOOKED_AT):
        if key not in values:
            values[key] = quoted or bare
    host = next((values[key] for key in _HOST_KEYS if values.get(key)), b"")
    stamp = _time(values)
    if not host and not stamp.second:
        return None
    shape = next((name for name, keys in _TELLS if not keys.isdisjoint(values)), "key-value")
    return Header(
        "none", shape, priority, stamp.second, stamp.fraction, stamp.offset,
        host if _HOST.fullmatch(host) else b"", b"", b"", b"", b"", text, text, text,
    )  # fmt: skip


def read_json(priority: bytes, text: bytes) -> Header | None:
    """The header of a JSON object: Zscaler's, NXLog's."""
    values: dict[bytes, bytes] = {}
    for key, value in _MEMBER.findall(text, 0, _LOOKED_AT):
        values.setdefault(key.lower(), value)
    host = values.get(b"hostname", b"")
    stamp = _time({b"time": next((values[key] for key in _TIME_MEMBERS if key in values), b"")})
    if not host and not stamp.second:
        return None
    return Header(
        "none", "json", priority, stamp.second, stamp.fraction, stamp.offset,
        host if _HOST.fullmatch(host) else b"", b"", b"", b"", b"", text, text, text,
    )  # fmt: skip


def of_cef(header: Header) -> Header:
    """The header of CEF without one: host and time are among its extensions."""
    if not header.msg.startswith(b"CEF:"):
        return header
    host = _DVCHOST.search(header.msg[:_LOOKED_AT])
    stamp = time_of_cef(header.msg)
    return header._replace(
        hostname=host[1] if host else b"", second=stamp.second, fraction=stamp.fraction, offset=stamp.offset
    )


def time_of_cef(text: bytes) -> Stamp:
    """The time among the extensions of CEF; LEEF has none there."""
    time = _RT.search(text[:_LOOKED_AT]) if text.startswith(b"CEF:") else None
    return time_of_rt(time[1]) if time else NO_TIME


@lru_cache(maxsize=1000)
def time_of_rt(value: bytes) -> Stamp:
    """The time that CEF's ``rt`` tells; what stands behind it does not matter."""
    stamp = scan(value)
    if epoch := _EPOCH.match(value):
        stamp = Stamp(epoch[1], b"." + epoch[2] if epoch[2] else b"", b"", 0, "epoch")
    return stamp if stamp is not None and is_time(stamp.second, stamp.offset) else NO_TIME


def _time(values: Mapping[bytes, bytes]) -> Stamp:
    get = values.get
    return _time_of(
        get(b"date", b""), get(b"time", b""), get(b"tz") or get(b"timezone") or b"", get(b"eventtime", b""),
        get(b"timestamp", b""),
    )  # fmt: skip


@lru_cache(maxsize=1000)
def time_of_values(values: bytes) -> Stamp | None:
    """The time that the values of ``date``, ``time``, ``tz``, ``timezone``, ``eventtime`` and ``timestamp`` tell, with
    a TAB between them. None: there is a TAB in one."""
    each = values.split(b"\t")
    if len(each) != 6:
        return None
    date, time, tz, timezone, eventtime, timestamp = each
    return _time_of(date, time, tz or timezone, eventtime, timestamp)


@lru_cache(maxsize=5000)
def _time_of(date: bytes, time: bytes, zone: bytes, eventtime: bytes, timestamp: bytes) -> Stamp:
    """Kept, since a device's times of one second are alike."""
    zone = _zone(zone)
    of_day = scan(date + b" " + time) if date and time else None
    if of_day is not None and zone:
        stamp = of_day._replace(offset=of_day.offset or zone)
        if is_time(stamp.second, stamp.offset):
            return stamp
    # A time of day without zone says less than the epoch that the same device sends.
    for text in (eventtime, time):
        if epoch := _EPOCH.fullmatch(text):
            return Stamp(epoch[1], b"." + epoch[2] if epoch[2] else b"", b"", 0, "epoch")
    for whole in (None, time, timestamp, date):
        stamp_or_none = of_day if whole is None else scan(whole) if whole else None
        if stamp_or_none is not None and is_time(stamp_or_none.second, stamp_or_none.offset):
            stamp = stamp_or_none._replace(offset=stamp_or_none.offset or zone)
            return stamp if is_time(stamp.second, stamp.offset) else stamp_or_none
    return NO_TIME


def _zone(text: bytes) -> bytes:
    """``(GMT-8:00)Pacific Time`` is what FortiWeb and FortiMail write."""
    match = _GMT.match(text)
    return match[1] if match else text
