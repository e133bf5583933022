"""Reads host and time from ``key=value`` texts and JSON objects that have no syslog header.

The whole text is MSG. Only the first 2,048 bytes are searched. If a key is repeated, its first value is used.

===================== ==========================================================
host                  the key of the device's shape (``_HOST_KEYS``), for no other text
date and time of day  ``date`` and ``time``, with the zone of ``tz`` or ``timezone``
epoch                 ``eventtime`` or ``time``: seconds, with or without further digits for the fraction
CEF                   ``dvchost`` and ``rt``
whole time            ``time`` or ``timestamp`` or ``date``, quoted if it contains a blank
Clavister             the time in brackets before ``EFW:``
===================== ==========================================================

A ``hostname`` in a text of unknown origin is data that a client may have chosen, so it is not used. Of a JSON
object, only its own members are read, not those of nested objects.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from bridge.syslog.grammar import Header
from bridge.syslog.shapes.shape import NO_TIME, Shape
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

_SCAN_LIMIT = 2048
_FIRST_KEY = re.compile(rb"(?:\xef\xbb\xbf)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*+)=(?!=)")
# The lookbehind keeps it linear: a key is tried only at its beginning.
_PAIR = re.compile(rb'(?<![A-Za-z0-9_.-])([A-Za-z_][A-Za-z0-9_.-]*+)=(?:"([^"]*+)"|([^\s,;|"]*+))')
_EPOCH = re.compile(rb"([1-9][0-9]{9})\.?([0-9]{0,9})")
_HOST = re.compile(rb"[^\s=]++")
_DVCHOST = re.compile(rb"(?<=[ |])dvchost=([^\s=|]++)")
_RT = re.compile(rb"(?<=[ |])rt=([^=|]++)")
# Clavister: ``[TIME] EFW: CATEGORY: prio=``
_CLAVISTER = re.compile(rb"\[([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\] EFW: [A-Z][A-Z0-9_]*+: prio=")

_GMT = re.compile(rb"\((GMT[+-][0-9]{1,2}:[0-9]{2})\)")
TIME_MEMBERS = (b"logtimestamp", b"eventtime", b"@timestamp", b"timestamp", b"creationtime")
_TIME_MEMBER = re.compile(rb'[{,]\s*+"((?i:' + b"|".join(TIME_MEMBERS) + rb'))"\s*+:\s*+"([^"\\]*+)"')
_NESTS = re.compile(rb"[{\[]")
# A member whose value is a string, any other string, and the brackets that nest.
_TOKEN = re.compile(rb'"([^"\\]*+)"\s*+:\s*+"([^"\\]*+)"|"(?:[^"\\]++|\\[\x00-\xff])*+"|[{\[]|[}\]]')


SHAPES = (
    Shape("fortinet", b"",
        b'<189>date=2026-11-23 time=08:24:00 devname="fgt-lyon" devid="FGT60F0000000001" tz="+0100" '
        b'logid="0000000013" type="traffic" srcip=192.0.2.7 action="deny"'),
    Shape("sonicwall", b"",
        b'<134>id=firewall sn=18B1690000AA time="2026-11-23 07:24:00 UTC" fw=198.51.100.2 pri=6 c=262144 m=98 '
        b'msg="Connection Opened" src=192.0.2.5:50110'),
    Shape("stormshield", b"",
        b'<14>id=firewall time="2026-11-23 08:24:00" fw="sns-west" tz=+0100 startime="2026-11-23 08:23:59" pri=5 '
        b'srcif="Ethernet1" logtype="filter"'),
    Shape("sophos", b"",
        b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="CET" device_name="xgs-1" device_id=C00000000000001 '
        b'log_type="Firewall"'),
    Shape("checkpoint-splunk", b"",
        b"time=1795418640|hostname=cp-mgmt|severity=Medium|product=IPS|action=Prevent|ifdir=inbound"),
    Shape("clavister", b"",
        b"<134>[2026-11-23 07:24:00] EFW: CONN: prio=1 id=00600001 rev=1 event=conn_open connipproto=TCP"),
    Shape("json", b"",
        b'{"LogTimestamp": "Mon Nov 23 07:24:00 2026","Customer": "Example","Connector": "lyon-1"}'),
    Shape("key-value", b"",
        b'<134>action="session opened" user="anna" client="192.0.2.6" time="2026-11-23T07:24:00Z"'),
)  # fmt: skip

# Keys that only one product sends.
_IDENTIFYING_KEYS = (
    ("fortinet", {b"devname", b"devid"}),
    ("checkpoint-splunk", {b"ifdir", b"originsicname", b"loguid"}),
    ("sophos", {b"device_name", b"device_model", b"device_id"}),
    ("stormshield", {b"startime"}),
    ("sonicwall", {b"sn"}),
)
# The key of the device's name, by shape.
_HOST_KEYS = {
    "fortinet": b"devname",
    "checkpoint-splunk": b"hostname",
    "sophos": b"device_name",
    "stormshield": b"fw",
    "sonicwall": b"fw",
}


def read(priority: bytes, text: bytes) -> Header | None:
    """Parses a text that begins with ``key=``, ``{`` or Clavister's time. Returns None if it has no host or time."""
    if text.startswith(b"["):
        return _read_clavister(priority, text)
    return read_json(priority, text) if text.startswith(b"{") else read_pairs(priority, text)


def _read_clavister(priority: bytes, text: bytes) -> Header | None:
    time = _CLAVISTER.match(text)
    if time is None or not is_time(time[1]):
        return None
    return Header("none", "clavister", priority, time[1], b"", b"", b"", b"", b"", b"", b"", text, text, text)


def read_pairs(priority: bytes, text: bytes) -> Header | None:
    """Parses a text that begins with ``key=``. Returns None if it has neither host nor time."""
    if _FIRST_KEY.match(text) is None:
        return None
    values: dict[bytes, bytes] = {}
    for key, quoted, bare in _PAIR.findall(text, 0, _SCAN_LIMIT):
        if key not in values:
            values[key] = quoted or bare
    # Both SonicWall and Stormshield begin with `id=firewall`.
    unknown = "stormshield" if values.get(b"id") == b"firewall" else "key-value"
    shape = next((name for name, keys in _IDENTIFYING_KEYS if not keys.isdisjoint(values)), unknown)
    host = values.get(_HOST_KEYS.get(shape, b""), b"")
    stamp = _time(values)
    if not host and not stamp.second:
        return None
    return Header(
        "none", shape, priority, stamp.second, stamp.fraction, stamp.offset,
        host if _HOST.fullmatch(host) else b"", b"", b"", b"", b"", text, text, text,
    )  # fmt: skip


def read_json(priority: bytes, text: bytes) -> Header | None:
    """Parses a JSON object (Zscaler, NXLog). Returns None if it has no time."""
    values: dict[bytes, bytes] = {}
    nests = _NESTS.search(text, 1, _SCAN_LIMIT)
    own = nests.start() if nests else _SCAN_LIMIT
    for member in _TIME_MEMBER.finditer(text, 0, _SCAN_LIMIT):
        if member.start() >= own:
            values = _members(text)
            break
        values.setdefault(member[1].lower(), member[2])
    stamp = time_of_member(next((values[key] for key in TIME_MEMBERS if key in values), b""))
    if not stamp.second:
        return None
    return Header(
        "none", "json", priority, stamp.second, stamp.fraction, stamp.offset, b"", b"", b"", b"", b"", text, text, text
    )


def _members(text: bytes) -> dict[bytes, bytes]:
    """Returns the members of a JSON object whose values are strings, by name in lower case. Omits nested objects."""
    values: dict[bytes, bytes] = {}
    depth = 0
    for token in _TOKEN.finditer(text, 0, _SCAN_LIMIT):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
            if not depth:
                break
        elif depth == 1 and token[1] is not None:
            values.setdefault(token[1].lower(), token[2])
    return values


def of_cef(header: Header) -> Header:
    """Adds host and time to the header of a CEF text that has no syslog header. Reads them from the extensions."""
    if not header.msg.startswith(b"CEF:"):
        return header
    host = _DVCHOST.search(header.msg[:_SCAN_LIMIT])
    stamp = time_of_cef(header.msg)
    return header._replace(
        hostname=host[1] if host else b"", second=stamp.second, fraction=stamp.fraction, offset=stamp.offset
    )


def time_of_cef(text: bytes) -> Stamp:
    """Returns the time from the extensions of a CEF text. LEEF has no time there."""
    time = _RT.search(text[:_SCAN_LIMIT]) if text.startswith(b"CEF:") else None
    return time_of_rt(time[1]) if time else NO_TIME


@lru_cache(maxsize=5000)
def time_of_rt(value: bytes) -> Stamp:
    """Returns the time in the value of CEF's ``rt``. Text after the time is ignored."""
    if epoch := _EPOCH.match(value):
        return Stamp(epoch[1], b"." + epoch[2] if epoch[2] else b"", b"", 0, "epoch")
    stamp = scan(value)
    return stamp if stamp is not None and is_time(stamp.second, stamp.offset) else NO_TIME


def time_of_member(value: bytes) -> Stamp:
    """Returns the time in the value of a JSON object's member."""
    return _time_of(b"", value, b"", b"", b"")


def _time(values: Mapping[bytes, bytes]) -> Stamp:
    get = values.get
    return _time_of(
        get(b"date", b""), get(b"time", b""), get(b"tz") or get(b"timezone") or b"", get(b"eventtime", b""),
        get(b"timestamp", b""),
    )  # fmt: skip


@lru_cache(maxsize=1000)
def time_of_values(values: bytes) -> Stamp | None:
    """Returns the time in the TAB-separated values of date, time, tz, timezone, eventtime and timestamp.

    Returns None if a value contains a TAB.
    """
    parts = values.split(b"\t")
    if len(parts) != 6:
        return None
    date, time, tz, timezone, eventtime, timestamp = parts
    return _time_of(date, time, tz or timezone, eventtime, timestamp)


@lru_cache(maxsize=5000)
def _time_of(date: bytes, time: bytes, zone: bytes, eventtime: bytes, timestamp: bytes) -> Stamp:
    """Determines the time from the values of the time keys. Cached: the values repeat within a second."""
    zone = _zone(zone)
    time_of_day = scan(date + b" " + time) if date and time else None
    if time_of_day is not None and zone:
        stamp = time_of_day._replace(offset=time_of_day.offset or zone)
        if is_time(stamp.second, stamp.offset):
            return stamp
    # A date and time without zone is ambiguous. The epoch that the same device sends is not.
    for text in (eventtime, time):
        if epoch := _EPOCH.fullmatch(text):
            return Stamp(epoch[1], b"." + epoch[2] if epoch[2] else b"", b"", 0, "epoch")
    for whole in (None, time, timestamp, date):
        stamp_or_none = time_of_day if whole is None else scan(whole) if whole else None
        if stamp_or_none is not None and is_time(stamp_or_none.second, stamp_or_none.offset):
            stamp = stamp_or_none._replace(offset=stamp_or_none.offset or zone)
            return stamp if is_time(stamp.second, stamp.offset) else stamp_or_none
    return NO_TIME


def _zone(text: bytes) -> bytes:
    """Returns the zone of a value. FortiWeb and FortiMail write ``(GMT-8:00)Pacific Time``."""
    match = _GMT.match(text)
    return match[1] if match else text
