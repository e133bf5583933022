"""Finds the rule that gave each field of a frame, from the parsed header and its shape.

The parser records nothing, so that reading a frame costs nothing more. The rules follow from the shape, and from the
text that lies between the time and the message.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from bridge.explain import time_rules
from bridge.explain.field_rule import FieldRule, FieldRules, Reception
from bridge.explain.shape_rules import SHAPE_RULES, Reason, ShapeRule
from bridge.syslog import parser
from bridge.syslog.grammar import BOM, UPPER_LEVEL, Header
from bridge.syslog.time_formats import scan
from bridge.syslog.timestamps import is_time

FIELDS = ("priority", "timestamp", "hostname", "app_name", "procid", "msgid", "structured_data", "msg")
"The fields that have a rule."

_UNKNOWN_SHAPE = ShapeRule(*(Reason(15, "in the layout of this device"),) * 7)
_PRI = re.compile(rb"<[0-9]{1,3}>")
_FACILITY_AND_LEVEL = re.compile(rb"<[a-z0-9]++\.[a-z0-9]++> ")
_WORD = re.compile(rb"[^ \t]++")
_NAME = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_DIGITS = re.compile(rb"[0-9]++(?:\.[0-9]++)?")
_MAC = re.compile(rb"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_PORT = re.compile(rb"[0-9.]++:[0-9]{1,5}")
_PLAIN_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_./-]{0,31}")
_PLAIN_PID = re.compile(rb"[0-9]*")
_NEVER_A_TAG = {
    b"{": "JSON", b"[": "text in brackets", b'"': "quoted text", b"'": "quoted text", b"(": "text in parentheses",
    b"<": "text in angle brackets",
}  # fmt: skip
_LEVEL = re.compile(rb"(?:" + UPPER_LEVEL + rb")[ :]")


def rules_of(header: Header, frame: bytes, when: datetime | None, reception: Reception) -> FieldRules:
    """Returns the rule of each field of ``header``, which the parser has read from ``frame``.

    ``when``: the timestamp of the message.
    """
    if header.shape == "kiwi" and (inner := _behind_kiwi(header)):
        rules = dict(rules_of(inner, b"<0>" + inner.device, when, reception))
        rules["priority"] = _priority(header, frame, reception)
        text = (
            "that of the message; the address in Kiwi's prefix is dropped"
            if inner.hostname
            else "the address in Kiwi's prefix"
        )
        rules["hostname"] = _rule(header, Reason(11, text), guess=True)
        return rules
    before = frame[: len(frame) - len(header.device)] if frame.endswith(header.device) else b""
    return {
        "priority": _priority(header, frame, reception),
        "timestamp": time_rules.rule_of(header, before, when, reception),
        "hostname": _hostname(header, reception),
        "app_name": _app_name(header),
        "procid": _procid(header),
        "msgid": _msgid(header),
        "structured_data": _structured_data(header),
        "msg": _msg(header),
    }


def _behind_kiwi(header: Header) -> Header | None:
    """Returns the header after the prefix that Kiwi has put before a message."""
    _, _, text = header.device.partition(b"=")
    text = text.partition(b" ")[2].lstrip(b" ")
    inner = parser.read(b"<0>" + text)
    return inner if inner.msg == header.msg and inner.shape != "kiwi" else None


def _rule(
    header: Header, reason: Reason, *, guess: bool = False, outside: Mapping[str, str] | None = None
) -> FieldRule:
    return FieldRule(reason.decision, header.shape, reason.text, guess, outside or {})


def _shape_rule(header: Header) -> ShapeRule:
    return SHAPE_RULES.get(header.shape, _UNKNOWN_SHAPE)


def _is_5424(header: Header) -> bool:
    """Returns True if the header is valid RFC 5424, at least before its structured data."""
    return header.shape in ("rfc5424", "rfc5424-malformed-data")


# --- Fields ----------------------------------------------------------------------------------------------------------


def _priority(header: Header, frame: bytes, reception: Reception) -> FieldRule:
    if not header.priority:
        outside = {"priority": "in the event: 13 = user.notice"} if reception.payload == "rfc5424" else {}
        if _PRI.match(frame.lstrip()) or frame.startswith(b"<"):
            return FieldRule(2, header.shape, "the text in angle brackets is not a PRI of <0> to <191>", True, outside)
        return FieldRule(3, header.shape, "the frame has no PRI", True, outside)
    pri = b"<" + header.priority + b">"
    before, _, after = frame.partition(pri)
    if BOM in before:
        return FieldRule(22, header.shape, "the byte order mark before it is removed", True)
    if before.strip():
        return FieldRule(2, header.shape, "the octet count before it is removed", True)
    if before or after.startswith(b" "):
        return FieldRule(2, header.shape, "the blanks before or after it are removed", True)
    return FieldRule(2, header.shape, "the PRI")


def _hostname(header: Header, reception: Reception) -> FieldRule:
    rule = _shape_rule(header)
    if not header.hostname:
        outside = {"source": f"{reception.sender}, the sender"}
        if reception.payload in ("line", "rfc5424"):
            outside["host"] = f"in the event: {reception.peer}, the sender"
        if _is_5424(header):
            return _rule(header, Reason(5, "the header says - for an unknown host"), outside=outside)
        return _rule(header, rule.no_host or _missing_host(header), guess=True, outside=outside)
    if _is_5424(header):
        return _rule(header, Reason(5, "the HOSTNAME of RFC 5424"))
    if rule.hostname:
        return _rule(header, _in_place(header) or rule.hostname, guess=True)
    special = _special_host(header)
    return _rule(header, special or Reason(16, "the HOSTNAME of RFC 3164"), guess=special is not None)


def _in_place(header: Header) -> Reason | None:
    """Returns a more exact reason for the host of a shape that has several places for it."""
    words = _WORD.findall(_between(header))
    if header.shape == "cisco-ios":
        first = header.device.startswith(header.hostname)
        return Reason(9, "the origin-id before the time" if first else "the word before the mnemonic")
    if header.shape == "cisco":
        relay = bool(words) and words[0].rstrip(b":") != header.hostname
        return Reason(9, "the word before the mnemonic" + "; the relay's before it is dropped" * relay)
    if header.shape == "f5" and words[:1] == [header.hostname]:
        return Reason(11, "the word before the level")
    return None


def _missing_host(header: Header) -> Reason:
    words = _WORD.findall(_between(header))
    if b"-" in words:
        return Reason(7, "the header says - for an unknown host")
    if header.device[: len(header.device) - len(header.content)].rstrip().endswith(b":"):
        return Reason(7, "no host follows a time that ends in a colon")
    if not header.content:
        return Reason(7, "nothing follows the time")
    if _LEVEL.match(header.content):
        return Reason(16, "the word after the time is a level, not a host")
    if header.app_name:
        return Reason(7, "the word after the time is the tag")
    if b" " not in header.content:
        return Reason(6, "a word that is alone after the time is text")
    return Reason(16, "the word after the time cannot be a host, so it is text")


def _special_host(header: Header) -> Reason | None:
    """Returns the reason if RFC 3164 alone does not make the word a host."""
    host, between = header.hostname, _between(header)
    words = _WORD.findall(between)
    if words.count(host) > 1:
        return Reason(18, "it is written twice")
    if any(_FACILITY_AND_LEVEL.match(word + b" ") for word in words):
        return Reason(22, "after <facility.level>, which is removed")
    if _DIGITS.fullmatch(host):
        return Reason(16, "a number is a host only because a tag follows it")
    if _MAC.fullmatch(host) or _PORT.fullmatch(host) or b"@" in host:
        return Reason(16, "taken as a host only because a tag follows it")
    if words and words[-1] == b":":
        return Reason(16, "the colon after it is removed")
    if between[:1] != b" ":
        return Reason(16, "no blank between the time and it")
    if not _NAME.fullmatch(host):
        return Reason(16, "not a valid host name or address, but in its place")
    return None


def _between(header: Header) -> bytes:
    """Returns the text between the time and the tag or the text: blanks, the host, and what the header drops."""
    device, content = header.device, header.content
    lead = device.removesuffix(content)
    stamp = time_rules.time_at_begin(device)
    return lead[stamp.end if stamp else 0 :]


def _app_name(header: Header) -> FieldRule:
    rule = _shape_rule(header)
    if _is_5424(header):
        return _rule(header, Reason(5, "the APP-NAME of RFC 5424" if header.app_name else "the header says -"))
    if rule.app_name:
        return _rule(header, rule.app_name, guess=True)
    return _tag(header)


def _tag(header: Header) -> FieldRule:
    """Returns the rule of a tag that is read as in RFC 3164, after any shape."""
    if not header.app_name:
        return _rule(header, _missing_tag(header), guess=True)
    if _PLAIN_TAG.fullmatch(header.app_name):
        return _rule(header, Reason(15, "the TAG of RFC 3164"))
    before = "[pid]" if header.procid else "a colon"
    return _rule(header, Reason(15, f"the word before {before}, though RFC 3164 allows no such tag"), guess=True)


def _missing_tag(header: Header) -> Reason:
    content = header.content
    first = _NEVER_A_TAG.get(content[:1])
    if first:
        return Reason(15, f"{first} after the header is text, not a tag")
    if b":" in content.split(b" ", 1)[0]:
        return Reason(15, "the word before the colon is not the name of a program, so it is text")
    if not content:
        return Reason(6, "nothing follows the header")
    return Reason(6, "no colon and no [pid] after the first word, so it is text")


def _procid(header: Header) -> FieldRule:
    rule = _shape_rule(header)
    if _is_5424(header):
        return _rule(header, Reason(5, "the PROCID of RFC 5424" if header.procid else "the header says -"))
    if header.procid:
        if rule.procid:
            return _rule(header, rule.procid, guess=True)
        if not _PLAIN_PID.fullmatch(header.procid):
            return _rule(header, Reason(6, "not a number, so it is kept as text"), guess=True)
        return _rule(header, Reason(15, "the number in the brackets after the tag"))
    return _rule(header, Reason(15, "no [pid] after a tag" if header.format != "rfc5424" else "the header says -"))


def _msgid(header: Header) -> FieldRule:
    if header.msgid:
        if _is_5424(header):
            return _rule(header, Reason(5, "the MSGID of RFC 5424"))
        return _rule(header, _shape_rule(header).app_name or Reason(20, "in the place of the MSGID"), guess=True)
    text = "the header says -" if header.format == "rfc5424" else "only RFC 5424 has a MSGID"
    return _rule(header, Reason(5, text))


def _structured_data(header: Header) -> FieldRule:
    if special := _shape_rule(header).structured_data:
        applies = bool(header.structured_data) or not header.shape.startswith("cisco")
        return _rule(header, special if applies else Reason(5, "only RFC 5424 has structured data"), guess=applies)
    if header.format != "rfc5424":
        return _rule(header, Reason(5, "only RFC 5424 has structured data"))
    text = "the STRUCTURED-DATA of RFC 5424" if header.structured_data else "the header says -"
    return _rule(header, Reason(5, text))


def _msg(header: Header) -> FieldRule:
    rule = _shape_rule(header)
    if rule.msg:
        return _rule(header, rule.msg, guess=True)
    if header.shape == "rfc5424":
        return _rule(header, Reason(5, "the MSG of RFC 5424"))
    second = scan(header.content.lstrip(b" "))
    if not header.app_name and second and is_time(second.second, second.offset):
        return _rule(header, Reason(17, "begins with a time of the application, which is not the device's"), guess=True)
    if header.app_name:
        return _rule(header, Reason(15, "begins after the tag"), guess=_app_name(header).guess)
    return _rule(header, _missing_tag(header), guess=True)
