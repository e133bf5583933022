"""Cisco's headers before the time, and before a second time: counters, origin-id, node (decision 9).

::

    [COUNTER: ] [ORIGIN[:] ] [SEQUENCE: ] [NODE:] [TASK: ] [*.] TIME [ZONE]: [PROCESS[PID]: ] %FACILITY-n-MNEMONIC: text

Every part may be missing, the counter may be empty (``: ``), an uptime (``2y10w``, ``1d03h``, ``00:00:52``) may stand
for the time, and a relay's own ``TIME HOST `` may stand before all of it. ``*`` and ``.`` mark a clock that is not
synchronised; the time is used.
"""

import re
from typing import NamedTuple

from bridge.syslog.grammar import HOST, MNEMONIC, Header
from bridge.syslog.shapes.shape import NO_TIME, Shape
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

# No host: a counter, a mark, and what begins a time.
_NO_HOST = rb"(?![0-9]++: |[*.]|[A-Z][a-z]{2} [ 0-9][0-9 ]|(?:19|20)[0-9]{2} [A-Z][a-z]{2} |[0-9]{4}-[0-9]{2}-)"
_COUNTER = rb"(?:[0-9]*+: )?"
_ORIGIN = rb"(?:" + _NO_HOST + rb"(?P<host>" + HOST + rb"):? )?"
_NODE = rb"(?:[A-Z0-9]{1,4}/[A-Z0-9/]++:)?"
_TASK = rb"(?:\*[A-Za-z0-9_.-]++: )?"
_MARK = rb"[*.]?"

HEAD = re.compile(
    rb"(?P<counter>[0-9]*+: )?" + _ORIGIN + _COUNTER + _NODE + _TASK + _MARK + rb"(?=[0-9A-Z%])"
)  # fmt: skip
UPTIME = re.compile(rb"(?:(?:[0-9]++[ywdhms]){1,5}|[0-9]{1,3}:[0-9]{2}:[0-9]{2})(?=: )")
# What stands between the time and the mnemonic; a zone whose name we do not know, and the process of IOS-XR.
TAIL = re.compile(
    rb"(?: ?[A-Za-z]{1,8})? ?: (?P<content>)(?:[A-Za-z0-9_./-]++\[(?P<pid>[0-9]++)\]: ?)?(?P<msg>)(?=(?P<app>"
    + MNEMONIC + rb"))"
)  # fmt: skip
_TAIL_REPEATED = re.compile(rb" ?: (?P<content>)(?P<msg>)(?=last message repeated )")
_SECOND = re.compile(
    rb"(?P<relay>" + HOST + rb")(?: ?:)? ++" + _ORIGIN + _COUNTER + _TASK + _MARK + rb"(?=[0-9A-Z])"
)  # fmt: skip
# The same without its names: most messages end here. The fast path asks for the second part behind a tag.
MAY_BE_SECOND = (
    rb"(?:[0-9]++: )?(?:\*[A-Za-z0-9_.-]++: )?[*.]?(?:[A-Z][a-z]{2} [ 0-3][0-9] |(?:19|20)[0-9]{2}[- ])"
)  # fmt: skip
MAY_BE_RELAYED = rb"\S++ (?:: ?)?(?:\S++ )?" + MAY_BE_SECOND
_MAY_BE_RELAYED = re.compile(MAY_BE_RELAYED)
# CUCM names its node in the text, where the header has no host.
_NODE_ID = re.compile(rb"\[ ?Node ?ID ?=([A-Za-z0-9_.-]++)\]|\bNode ID:([A-Za-z0-9_.-]++)")
_NODE_ID_WITHIN = 4096
_COUNTED = re.compile(rb"[0-9]*+: (?=\S)")

_DROPS = (
    rb"[0-9]*+: |[A-Z0-9]{1,4}/[A-Z0-9/]++:|\*[A-Za-z0-9_.-]++: |[*.]|(?:[0-9]++[ywdhms]){1,5}"
    rb"|[0-9]{1,3}:[0-9]{2}:[0-9]{2}|[A-Za-z]{1,8}(?= ?:)|[A-Za-z0-9_./-]++(?=\[)"
)

SHAPES = (
    Shape(
        "cisco-ios",
        b"",
        b"<189>4711: core-1: 004690: *Nov 23 07:24:00.250 UTC: %SYS-5-CONFIG_I: Configured from console by vty0",
        drops=_DROPS,
    ),
    Shape(
        "cisco-relayed",
        b"",
        b"<189>Nov 23 07:24:01 192.0.2.100 4711: *Nov 23 2026 07:24:00.250 UTC: %LINK-3-UPDOWN: Interface Vlan7 is up",
        drops=_DROPS + rb"|[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|\S++",
    ),
    Shape(
        "cisco-cucm",
        b"",
        b"<189>8103: Nov 23 2026 07:24:00 AM.535 UTC : %UC_AUDITLOG-5-AdministrativeEvent: %[ UserID =anna]"
        b"[ EventStatus =Success][Cluster ID=][Node ID=cucm-pub]: Audit Event",
        drops=_DROPS,
    ),
    Shape(
        "counted",
        b"",
        b"<34>123: Nov 23 07:24:00 gw-4 su: 'su root' failed for anna on /dev/pts/8",
        drops=rb"[0-9]*+: ",
    ),
    Shape(
        "relayed",
        b"",
        b"<165>Nov 23 07:24:01 relay-1 Nov 23 07:24:00 ise-2 CISE_Failed_Attempts 0000012345 1 0 Authentication failed",
        drops=rb"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|\S++",
    ),
)


class Second(NamedTuple):
    """Another time behind ``TIME HOST``."""

    header: Header | None
    "Cisco's, where its tail follows."
    stamp: Stamp


def read(priority: bytes, text: bytes) -> Header | None:
    """The header of a text that begins with a counter, an origin, or Cisco's time."""
    head = HEAD.match(text)
    if head is None:
        return None
    at = head.end()
    # Without a host, all that stands before the time are counters and marks.
    start = (head.end("counter") if head["counter"] else 0) if head["host"] else at
    stamp = scan(text, at)
    if stamp is not None and is_time(stamp.second, stamp.offset):
        end = stamp.end
    elif uptime := UPTIME.match(text, at):
        stamp, end = NO_TIME, uptime.end()
    elif at >= 2 and text[at : at + 1] == b"%":
        # `counter: %MNEMONIC`: the colon is behind us.
        stamp, end = NO_TIME, at - 2
    else:
        return None
    tail = TAIL.match(text, end) or (_TAIL_REPEATED.match(text, end) if at else None)
    return tail and _made("cisco-ios", priority, text, start, head["host"] or b"", stamp, tail)


def after_counter(text: bytes) -> int:
    """Where the rest begins, of a text that begins with a counter; 0 where it does not."""
    match = _COUNTED.match(text)
    return match.end() if match else 0


def second(priority: bytes, text: bytes, start: int, at: int) -> Second | None:
    """What a relay has put its own ``TIME HOST`` before: the second time is the device's own."""
    if _MAY_BE_RELAYED.match(text, at) is None:
        return None
    head = _SECOND.match(text, at)
    stamp = head and scan(text, head.end())
    if not head or not stamp or not is_time(stamp.second, stamp.offset):
        return None
    if tail := TAIL.match(text, stamp.end):
        host = head["host"] or head["relay"]
        return Second(_made("cisco-relayed", priority, text, start, host, stamp, tail), stamp)
    # Anything else only where the relay's name is all that stands between the two.
    if head["host"] or text[at : head.end()].rstrip(b" ") != head["relay"]:
        return None
    return Second(None, stamp)


def _made(
    shape: str, priority: bytes, text: bytes, start: int, host: bytes, stamp: Stamp, tail: re.Match[bytes]
) -> Header:
    groups = tail.groupdict()
    if not host and (groups.get("app") or b"").startswith((b"%UC_", b"%CCM_")):
        node = _NODE_ID.search(text, tail.end(), _NODE_ID_WITHIN)
        shape, host = "cisco-cucm", (node[1] or node[2]) if node else b""
    return Header(
        "rfc3164", shape, priority, stamp.second, stamp.fraction, stamp.offset, host, groups.get("app") or b"",
        groups.get("pid") or b"", b"", b"", text[tail.start("msg") :], text[tail.start("content") :], text[start:],
    )  # fmt: skip
