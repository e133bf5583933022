"""Reads a frame as rsyslog's own parsers do, with their default settings, to tell what a forwarder sends of it.

rsyslog tries RFC 5424 if the text behind the PRI begins with ``1 ``, and RFC 3164 otherwise. It never rejects a text:
a word that is followed by a blank is the host name, the next word is the tag. So ``date=2026-11-23 time=07:24:00`` has
the tag ``date=2026-11-23``, and the message begins with ``time=``. The tests compare all this with the real rsyslogd.
"""

import re
from dataclasses import dataclass, replace

_DEFAULT_PRI = b"13"
_LARGEST_PRI = 191
_LONGEST_TAG = 510
_LONGEST_HOST = 254
_PRI = re.compile(rb"<(\d{0,9})>")
_CLOCK = rb"(?:[01]?\d|2[0-3]):[0-5]?\d:(?:[0-5]?\d|60)(?:\.\d+)?"
_RFC3339 = rb"\d{4}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|[12]\d|3[01])T%b(?:Z|[+-]\d\d?:?\d\d)" % _CLOCK
# The blank may be doubled; the year and a fraction are those of Cisco devices, the colon that of Linksys devices.
_RFC3164 = re.compile(
    rb"(?:(?:19[7-9]\d|20\d\d) )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)  ?(?:[1-9]|[012]\d|3[01])"
    rb" (?:(?:19[7-9]\d|20\d\d) )?%b:?(?: |\Z)" % _CLOCK,
    re.IGNORECASE,
)
_TIME_FIELD = re.compile(rb"(-|%b)(?: |\Z)" % _RFC3339)
_HEADER_TIME = re.compile(rb"%b:?(?: |\Z)" % _RFC3339)
_FIELD = re.compile(rb"([^ ]+)(?: |\Z)")
_WORDS = 4
# It ends at the first blank that is not within brackets.
_STRUCTURED = re.compile(rb"(-|(?=\[)(?:\[(?:[^\]\\]|\\.)*\]|[^ \[\\]|\\.)+)(?: |\Z)", re.DOTALL)
_HOST = re.compile(rb"[A-Za-z0-9._-]*")
_TAG = re.compile(rb"[^: ]*:?")
_PROGRAM = re.compile(rb"[^\[:/\x00-\x20\x7f-\xff]*")
_PROCESS = re.compile(rb"[^\[]*\[([^\]]*)\]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RsyslogMessage:
    """The properties of a message, as a template and a filter of rsyslog have them."""

    raw: bytes
    after_pri: bytes
    priority: bytes
    sender: bytes
    hostname: bytes
    time: bytes = b""
    "Time in the header, as written. Empty if rsyslog read none; then it uses the time of reception."
    tag: bytes = b""
    app_name: bytes = b"-"
    process: bytes = b"-"
    message_id: bytes = b"-"
    structured_data: bytes = b"-"
    text: bytes
    "MSG, with the blank before it if it is of RFC 3164."
    version: bytes = b"0"

    @property
    def program(self) -> bytes:
        """The tag without its process id."""
        return _program(self.tag)


def read_as_rsyslog(frame: bytes, sender: bytes) -> RsyslogMessage:
    """Returns what rsyslog reads of a frame. ``sender``: its name for the peer, which is the default host name."""
    raw = _escaped(frame)
    match = _PRI.match(raw)
    after = raw[match.end() :] if match else raw
    if raw.startswith(b"<") and (match is None or int(match[1] or 0) > _LARGEST_PRI):
        return RsyslogMessage(raw=raw, after_pri=after, priority=b"invld", sender=sender, hostname=sender, text=raw)
    priority = (match[1].lstrip(b"0") or b"0") if match else _DEFAULT_PRI
    blank = RsyslogMessage(
        raw=raw, after_pri=after, priority=priority, sender=sender, hostname=sender, text=after
    )  # fmt: skip
    return _rfc5424(blank) if after.startswith(b"1 ") else _rfc3164(blank)


def _escaped(frame: bytes) -> bytes:
    """Removes a last LF, and escapes control characters as ``#`` and three octal digits."""
    return _CONTROL.sub(lambda match: b"#%03o" % match[0][0], frame.removesuffix(b"\n"))


def _rfc3164(blank: RsyslogMessage) -> RsyslogMessage:
    after = rest = blank.after_pri
    if after.lstrip(b" ").startswith((b"{", b"[")):
        # Such a text has no header.
        return blank
    time = _RFC3164.match(after) or _HEADER_TIME.match(after)
    if time is None and after.startswith(b" "):
        time = _RFC3164.match(after, 1)
    if time is not None:
        rest = after[time.end() :]
    host, rest = _host(rest, blank.sender)
    tag = _TAG.match(rest, 0, _LONGEST_TAG)
    assert tag is not None
    process = _PROCESS.match(tag[0])
    return replace(
        blank, time=time[0].rstrip() if time else b"", hostname=host, tag=tag[0], app_name=_program(tag[0]) or b"-",
        process=process[1] if process else b"-", text=rest[tag.end() :],
    )  # fmt: skip


def _host(text: bytes, sender: bytes) -> tuple[bytes, bytes]:
    """Returns the host name and what follows it: a word before a blank, or all of the text."""
    match = _HOST.match(text, 0, _LONGEST_HOST)
    assert match is not None
    end = match.end()
    if text and end == len(text):
        return text, b""
    if end and text[end : end + 1] == b" " and text[end - 1 : end].isalnum():
        return match[0], text[end + 1 :]
    return sender, text


def _rfc5424(blank: RsyslogMessage) -> RsyslogMessage:
    """Reads field by field. If the time is not one, the rest is the message; fields that are missing are empty."""
    after, at = blank.after_pri, len(b"1 ")
    time = _TIME_FIELD.match(after, at)
    if time is None:
        return replace(blank, app_name=b"", text=after[at:], version=b"1")
    words, at = [b""] * _WORDS, time.end()
    for number in range(_WORDS):
        if (word := _FIELD.match(after, at)) is None:
            break
        words[number], at = word[1], word.end()
    host, program, process, message_id = words
    data, rest = _structured_data(after[at:], message_id)
    return replace(
        blank, time=b"" if time[1] == b"-" else time[1], hostname=host, app_name=program, process=process,
        tag=program if process == b"-" else b"%b[%b]" % (program, process), message_id=message_id,
        structured_data=data, text=rest, version=b"1",
    )  # fmt: skip


def _structured_data(text: bytes, before: bytes) -> tuple[bytes, bytes]:
    """Returns the structured data and what follows it. Data that is not closed takes all but the last byte."""
    if match := _STRUCTURED.match(text):
        return match[1], text[match.end() :]
    if text.startswith(b"["):
        return text[:-1], text[-1:]
    # rsyslog has then the field before it as structured data.
    return before, text


def _program(tag: bytes) -> bytes:
    match = _PROGRAM.match(tag)
    assert match is not None
    return match[0]
