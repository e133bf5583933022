"""Parses Cisco headers: counters, origin-id and node before the time, and a relay's header before them.

::

    [COUNTER: ] [ORIGIN[:] ] [[DATA]: ] [SEQUENCE: ] [NODE:] [TASK: ] [*.] TIME [ZONE] [HOST]: [HOST: ] [PROCESS[PID]: ]
    [*] %FACILITY-n-MNEMONIC: text

Every part is optional. The counter may be empty (``: ``, EMBLEM ``:``). An uptime (``2y10w``, ``1d03h``, ``00:00:52``)
may replace the time. A relay may put its own ``TIME HOST `` before the whole header. ``*`` and ``.`` mark a clock that
is not synchronised; the time is used all the same. An origin may have several words before a mnemonic.
"""

import re
from typing import NamedTuple

from bridge.syslog.grammar import CISCO_HOST, HOST, MNEMONIC, SD_ELEMENT, STACK_UNIT, Header
from bridge.syslog.shapes.shape import NO_TIME, Shape
from bridge.syslog.time_formats import Stamp, scan
from bridge.syslog.timestamps import is_time

# Text that is not a host: a counter, a clock mark, or the beginning of a time.
NO_ORIGIN = rb"(?![0-9]++: |[*.]|[A-Z][a-z]{2} [ 0-9][0-9 ]|(?:19|20)[0-9]{2} [A-Z][a-z]{2} |[0-9]{4}-[0-9]{1,2}-)"
_FIRST_COUNTER = rb"(?P<counter>[0-9]*+: |:(?! ))?"
_COUNTER = rb"(?:[0-9]*+: )?"
# An uptime before a mnemonic is not a host.
_UNITS = rb"(?:[0-9]++[ywdhms]){1,5}"
_ORIGIN = rb"(?:" + NO_ORIGIN + rb"(?!" + _UNITS + rb": \*?%)(?P<host>" + CISCO_HOST + rb"):? )?"
# IOS: `logging host ... session-id ... sequence-num-session`
_DATA = rb"(?:(?P<sd>" + SD_ELEMENT + rb"): )?"
_NODE = rb"(?:(?![0-9/]++:)[A-Z0-9]{1,4}/[A-Z0-9/]++:)?"
TASK = rb"(?:\*(?![A-Z][a-z]{2} [ 0-9])[A-Za-z0-9_.\x28\x29/#-]++(?: [A-Za-z0-9_.\x28\x29/#-]++){0,3}: )?"
_MARK = rb"(?:[*.](?!%))?"
_TIME_FOLLOWS = rb"(?=[0-9A-Z%]|\*%)"

HEAD = re.compile(_FIRST_COUNTER + _ORIGIN + _DATA + _COUNTER + _NODE + TASK + _MARK + _TIME_FOLLOWS)
# The words of an origin-id end in a colon. They are any text, but neither JSON, structured data nor ``key="value"``.
_ORIGIN_WORD = rb"[^\s:%*\"\[\]{}<>]++"
_ORIGIN_WORDS = NO_ORIGIN + rb"(?P<host>" + _ORIGIN_WORD + rb"(?: " + _ORIGIN_WORD + rb"){0,5}): "
WORDS_HEAD = re.compile(_FIRST_COUNTER + _ORIGIN_WORDS + _DATA + _COUNTER + _MARK + _TIME_FOLLOWS)
UPTIME = re.compile(rb"(?:" + _UNITS + rb"|[0-9]{1,3}:[0-9]{2}:[0-9]{2})(?=: )")
_PROCESS = rb"(?P<content>)(?:[A-Za-z0-9_./-]++\[(?P<pid>[0-9]++)\]: ?)?\*?(?P<msg>)(?=" + STACK_UNIT + rb"(?P<app>"
_PROCESS += MNEMONIC + rb"))"
_NO_ZONE_BEFORE = rb"(?<=[0-9])(?<![+-][0-9]{2}:[0-9]{2})(?<![+-][0-9]{4})(?<![+-][0-9]:[0-9]{2})"
# The text between time and mnemonic: a zone with an unknown name, an origin before or after the colon, and the process
# of IOS-XR. A word after a zone that is known is the origin.
TAIL = re.compile(
    rb"(?:" + _NO_ZONE_BEFORE + rb" ?[A-Za-z]{1,8}(?![A-Za-z0-9_.-]))?(?: (?P<origin>" + CISCO_HOST + rb"))? ?: "
    + rb"(?:(?P<host>" + CISCO_HOST + rb"): ++(?=%))?" + _PROCESS
)  # fmt: skip
_TIMELESS_TAIL = re.compile(_PROCESS)
_TAIL_REPEATED = re.compile(rb" ?: (?P<content>)(?P<msg>)(?=last message repeated )")
_RELAY = rb"(?:" + NO_ORIGIN + rb"(?P<relay>" + HOST + rb")(?: ?:)? ++)?"
_SECOND = re.compile(
    _RELAY + rb"(?:[0-9]++: |:(?! ))?" + _ORIGIN + _DATA + _COUNTER + _NODE + TASK + _MARK + rb"(?=[0-9A-Z])"
)
# Behind a relay, a header without time or with an uptime begins with a counter.
_UNTIMED_SECOND = re.compile(_RELAY + rb"[0-9]++: " + _ORIGIN + _DATA + _COUNTER + _MARK + rb"(?=[0-9%]|\*%)")
# So does one with an origin of several words.
_WORDS_SECOND = re.compile(_RELAY + rb"[0-9]++: " + _ORIGIN_WORDS + _DATA + _COUNTER + _MARK + rb"(?=[0-9A-Z])")
# A quick check for a second time, without named groups: it rejects most messages. The fast readers apply
# MAY_BE_SECOND after a tag. NetScaler's date (`11/23/2026:07:24:00`) is not here: behind a relay it begins the text, as
# the intake's parser expects.
MAY_BE_SECOND = (
    rb"(?=[0-9A-Z*.])(?:[0-9]++: )?(?:(?![0-9/]++:)[A-Z0-9]{1,4}/[A-Z0-9/]++:)?"
    rb"(?:\*[A-Za-z0-9_.-]++(?: [A-Za-z0-9_.-]++){0,3}: )?[*.]?"
    rb"(?:[A-Z][a-z]{2} [ 0-3][0-9] |(?:19|20)[0-9]{2}[- ])"
)  # fmt: skip
# The second line is Meraki's version and time, the third is Cisco's header without time.
MAY_BE_RELAYED = (
    rb"(?:(?:\S++ (?:: ?)?(?:(?:[0-9]++: )?\S++ (?:\[[^\]\n]*+\]: )?)?)?" + MAY_BE_SECOND
    + rb"|\S++ 1 [0-9]{9,10}\."
    + rb"|\S++ [0-9]++: [^%\n]{0,120}%)"
)  # fmt: skip
_MAY_BE_RELAYED = re.compile(MAY_BE_RELAYED)
# `YYYY-MM-DD hh:mm:ss,mmm` without a zone is always the time of an application.
OF_APPLICATION = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2},")
# CUCM names its node in the text if the header has no host.
_NODE_ID = re.compile(rb"\[ ?Node ?ID ?=([A-Za-z0-9_.-]++)\]|\bNode ID:([A-Za-z0-9_.-]++)")
_NODE_ID_WITHIN = 4096
_COUNTED = re.compile(rb"[0-9]*+: (?=\S)")

_DROPS = (
    rb"[0-9]*+: |[A-Z0-9]{1,4}/[A-Z0-9/]++:|\*[A-Za-z0-9_.\x28\x29/#-]++(?: [A-Za-z0-9_.\x28\x29/#-]++){0,3}: |[*.]"
    rb"|(?:[0-9]++[ywdhms]){1,5}"
    rb"|[0-9]{1,3}:[0-9]{2}:[0-9]{2}|[^\s:]++(?= ?:| [^\s:]++ ?:)|[A-Za-z0-9_./-]++(?=\[)"
)

SHAPES = (
    Shape("cisco-ios", b"",
        b"<189>4711: core-1: 004690: *Nov 23 07:24:00.250 UTC: %SYS-5-CONFIG_I: Configured from console by vty0",
        drops=_DROPS),
    Shape("cisco-relayed", b"",
        b"<189>Nov 23 07:24:01 192.0.2.100 4711: *Nov 23 2026 07:24:00.250 UTC: %LINK-3-UPDOWN: Interface Vlan7 is up",
        drops=_DROPS + rb"|[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|\S++"),
    Shape("cisco-cucm", b"",
        b"<189>8103: Nov 23 2026 07:24:00 AM.535 UTC : %UC_AUDITLOG-5-AdministrativeEvent: %[ UserID =anna]"
        b"[ EventStatus =Success][Cluster ID=][Node ID=cucm-pub]: Audit Event",
        drops=_DROPS),
    Shape("counted", b"",
        b"<34>123: Nov 23 07:24:00 gw-4 su: 'su root' failed for anna on /dev/pts/8",
        drops=rb"[0-9]*+: "),
    Shape("rfc5424-relayed", b"",
        b"<86>Nov 23 07:24:01 relay-1 1 2026-11-23T07:24:00.250Z bastion-2 sshd 4711 - - Accepted publickey for anna",
        drops=rb"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|\S++", format="rfc5424"),
    Shape("relayed", b"",
        b"<86>Nov 23 07:24:01 relay-1 Nov 23 07:24:00 bastion-2 sshd[4711]: Accepted publickey for anna from 192.0.2.9",
        drops=rb"[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|\S++"),
)  # fmt: skip


class Second(NamedTuple):
    """A second timestamp after ``TIME`` or ``TIME HOST``."""

    header: Header | None
    "The complete header, if Cisco's mnemonic follows the second timestamp."
    stamp: Stamp
    relay: bytes
    "HOST before the second timestamp."


def read(priority: bytes, text: bytes) -> Header | None:
    """Parses a text that begins with a counter, an origin-id or Cisco's time. Returns None if it is not Cisco's."""
    head = HEAD.match(text)
    header = head and _read_after(head, priority, text)
    if header is None and (words := WORDS_HEAD.match(text)):
        header = _read_after(words, priority, text)
        # Without counter and time, the words before a mnemonic may be a text about it. So may ``key=value``.
        return header if header and (words["counter"] or _is_timed_origin(header)) else None
    return header


def _is_timed_origin(header: Header) -> bool:
    return bool(header.second) and b"=" not in header.hostname and not header.structured_data


def _read_after(head: re.Match[bytes], priority: bytes, text: bytes) -> Header | None:
    at = head.end()
    # Without a host, only counters and clock marks precede the time.
    start = (head.end("counter") if head["counter"] else 0) if head["host"] else at
    stamp = scan(text, at)
    if stamp is not None and is_time(stamp.second, stamp.offset):
        end = stamp.end
    elif uptime := UPTIME.match(text, at):
        stamp, end = NO_TIME, uptime.end()
    elif text[at : at + 1] in (b"%", b"*") and (not at or text[at - 1 : at] == b":" or text[at - 2 : at] == b": "):
        # `counter: %MNEMONIC`
        tail = _TIMELESS_TAIL.match(text, at)
        return tail and _build_header("cisco-ios", priority, text, start, head, NO_TIME, tail)
    else:
        return None
    tail = TAIL.match(text, end) or (_TAIL_REPEATED.match(text, end) if at else None)
    return tail and _build_header("cisco-ios", priority, text, start, head, stamp, tail)


def after_counter(text: bytes) -> int:
    """Returns the position after a leading counter, or 0 if the text does not begin with one."""
    match = _COUNTED.match(text)
    return match.end() if match else 0


def second(priority: bytes, text: bytes, start: int, at: int, first: Stamp) -> Second | None:
    """Finds a second timestamp: the device's own, if a relay has put its ``TIME`` or ``TIME HOST`` before it.

    ``first`` is the relay's, which counts if the header of a Cisco device has a counter but no time.
    """
    if _MAY_BE_RELAYED.match(text, at) is None:
        return None
    head = _SECOND.match(text, at)
    stamp = head and scan(text, head.end())
    if not head or not stamp or not is_time(stamp.second, stamp.offset):
        header = _untimed_second(priority, text, start, at, first) or _second_after_words(priority, text, start, at)
        return header and Second(header, first, b"")
    relay = head["relay"] or b""
    if tail := TAIL.match(text, stamp.end):
        return Second(_build_header("cisco-relayed", priority, text, start, head, stamp, tail), stamp, relay)
    # Other messages count as relayed only if nothing but the relay's name and a clock mark separates the two times.
    between = text[head.end("relay") if relay else at : head.end()]
    if head["host"] or between.strip(b" *.") or OF_APPLICATION.match(text, head.end()):
        return None
    return Second(None, stamp, relay)


def _untimed_second(priority: bytes, text: bytes, start: int, at: int, first: Stamp) -> Header | None:
    head = _UNTIMED_SECOND.match(text, at)
    if head is None:
        return None
    uptime = UPTIME.match(text, head.end())
    tail = TAIL.match(text, uptime.end()) if uptime else _TIMELESS_TAIL.match(text, head.end())
    return tail and _build_header("cisco-relayed", priority, text, start, head, first, tail)


def _second_after_words(priority: bytes, text: bytes, start: int, at: int) -> Header | None:
    head = _WORDS_SECOND.match(text, at)
    stamp = head and scan(text, head.end())
    tail = TAIL.match(text, stamp.end) if stamp and is_time(stamp.second, stamp.offset) else None
    return _build_header("cisco-relayed", priority, text, start, head, stamp, tail) if head and stamp and tail else None


def _build_header(
    shape: str, priority: bytes, text: bytes, start: int, head: re.Match[bytes], stamp: Stamp, tail: re.Match[bytes]
) -> Header:
    before, groups = head.groupdict(), tail.groupdict()
    host = before["host"] or groups.get("host") or groups.get("origin") or before.get("relay") or b""
    if not host and (groups.get("app") or b"").startswith((b"%UC_", b"%CCM_")):
        node = _NODE_ID.search(text, tail.end(), _NODE_ID_WITHIN)
        shape, host = "cisco-cucm", (node[1] or node[2]) if node else b""
    return Header(
        "rfc3164", shape, priority, stamp.second, stamp.fraction, stamp.offset, host, groups.get("app") or b"",
        groups.get("pid") or b"", b"", before.get("sd") or b"", text[tail.start("msg") :],
        text[tail.start("content") :], text[start:],
    )  # fmt: skip
