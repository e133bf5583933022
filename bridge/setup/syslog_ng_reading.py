"""Reads a frame as syslog-ng's own parser does, to tell what a forwarder sends of it.

A source with ``flags(syslog-protocol)`` or the driver ``syslog()`` reads RFC 5424 if the text behind the PRI begins
with ``1 ``; every other text is read as RFC 3164. There, a word behind a time is the host name, and the next one is the
program, whatever they are. The tests compare all this with the real syslog-ng.
"""

import re
from dataclasses import dataclass, replace

_DEFAULT_PRI = b"13"
_PRI = re.compile(rb"<(\d{0,3})>")
_CLOCK = rb"\d\d:\d\d:\d\d(?:\.\d+)?"
_MONTH = rb"(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SEQUENCE = re.compile(rb"(\d*): ")
_ISO = rb"\d{4}-\d\d-\d\d[T ]%b(?:Z|[+-]\d\d:?\d\d)?" % _CLOCK
_TIME = re.compile(rb"(%b|%b [ \d]\d (?:%b(?: \d{4}(?= ))?|\d{4} \d\d:\d\d:\d\d(?!\.)))" % (_ISO, _MONTH, _CLOCK))
_TIME_FIELD = re.compile(rb"(-|%b)(?: |\Z)" % _ISO)
_HOST = re.compile(rb"([^ \[]{0,254}[^ :\[]) +")
_PROGRAM = re.compile(rb"([^ \[:]*)(?:\[([^\] :]*)\]?)?:? ?")
_FIELD = re.compile(rb"([^ ]*)(?: |\Z)")
_ELEMENT = rb"""\[[^ =\]"]+(?: +[^ =\]"]+="(?:[^"\\\]]|\\.)*")*\]"""
_STRUCTURED = re.compile(rb"(-|(?:%b)+|\Z)(?: |\Z)" % _ELEMENT, re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogNgMessage:
    """The macros of a message, as a template and a filter of syslog-ng have them."""

    priority: bytes
    host: bytes
    time: bytes = b""
    "Time in the header, as written. Empty if syslog-ng read none; then it uses the time of reception."
    program: bytes = b""
    process: bytes = b""
    message_id: bytes = b""
    structured_data: bytes = b""
    header: bytes = b""
    "What is before the message: program, process id, colon and blank."
    message: bytes
    refused: bool = False
    "True if it is not of RFC 5424 where it must be. syslog-ng then sends a message of its own about it."


def read_as_syslog_ng(
    frame: bytes, sender: bytes, *, reads_rfc5424: bool, keeps_hostname: bool
) -> SyslogNgMessage:  # fmt: skip
    """Returns what syslog-ng reads of a frame. ``sender``: its name for the peer, which is the default host name."""
    frame = frame.rstrip(b"\n\0")
    match = _PRI.match(frame)
    rest = frame[match.end() :] if match else frame
    blank = SyslogNgMessage(
        priority=(match[1].lstrip(b"0") or b"0") if match else _DEFAULT_PRI, host=sender, message=rest
    )  # fmt: skip
    found = _rfc5424(blank) if reads_rfc5424 and rest.startswith(b"1 ") else _rfc3164(blank)
    return found if keeps_hostname and found.host else replace(found, host=sender)


def _rfc3164(blank: SyslogNgMessage) -> SyslogNgMessage:
    rest, host, data = blank.message.lstrip(b" "), b"", b""
    if sequence := _SEQUENCE.match(rest):
        rest, data = rest[sequence.end() :].lstrip(b" "), b'[meta sequenceId="%b"]' % sequence[1]
    if rest[:1] in (b"*", b"."):
        rest, data = rest[1:], data + b'[timeQuality isSynced="0"]' * rest.startswith(b"*")
    time = _TIME.match(rest)
    if time is not None:
        rest = rest[time.end() :].removeprefix(b":").lstrip(b" ")
        if name := _HOST.match(rest):
            host, rest = name[1], rest[name.end() :]
    program = _PROGRAM.match(rest)
    assert program is not None
    return replace(
        blank, time=time[1] if time else b"", host=host, program=program[1], process=program[2] or b"",
        structured_data=data, header=program[0], message=rest[program.end() :],
    )  # fmt: skip


def _rfc5424(blank: SyslogNgMessage) -> SyslogNgMessage:
    rest, words = blank.message[2:], []
    time = _TIME_FIELD.match(rest)
    if time is None:
        return replace(blank, refused=True)
    rest = rest[time.end() :]
    for _ in range(4):
        word = _FIELD.match(rest)
        assert word is not None
        words.append(b"" if word[1] == b"-" else word[1])
        rest = rest[word.end() :]
    host, program, process, message_id = words
    data = _STRUCTURED.match(rest)
    if data is None:
        return replace(blank, refused=True)
    text = rest[data.end() :].removeprefix(_BYTE_ORDER_MARK)
    header = program + (b"[%b]" % process if process else b"") + b": "
    return replace(
        blank, time=time[1].removeprefix(b"-"), host=host, program=program, process=process, message_id=message_id,
        structured_data=b"" if data[1] == b"-" else data[1], header=header if program else b"", message=text,
    )  # fmt: skip
