"""Extracts from one frame what identifies a product: the header's fields, and the keys and header of the text."""

import re
from typing import NamedTuple

from bridge.syslog import parser

MAX_EXAMINED = 2048
"Number of bytes of a frame that are examined."

_BOM = b"\xef\xbb\xbf"
# A relay may have read `CEF:` as the tag. Without a tag, a word may stand before it (`OPSWATPC CEF:0|`).
_CEF = re.compile(rb'(?:[A-Z]{2,5}:)?"?(?:CEF: ?[0-9]|LEEF:[12]\.0|0|1\.0)\|\|?([^|\n]{1,60})\|([^|\n]{0,80})\|')
_CEF_AFTER_A_WORD = re.compile(rb"[\w./:\[\]#@-]{1,40} (?:- ?:? ?)?(?=CEF: ?[0-9]\||LEEF:[12]\.0\|)")
_TAGGED_CEF = (b"CEF", b"LEEF")
# Marks before a JSON text: `@cee: {`, `-: {`, `event={`. Without a tag, vendor words may stand before it as well:
# `darktrace {`, `zscaler-nss NSS {`.
_MARK = rb"(?:@cee: ?|[a-z]{1,12}=|[-: ]{1,4})?(?=\{\s*+\"[^\"]{1,64}\")"
_JSON = re.compile(_MARK)
_JSON_AFTER_WORDS = re.compile(rb"(?:[\w.-]{1,40} ){0,2}" + _MARK)
_JSON_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"(\s*+:)?|[{}\[\]]', re.DOTALL)
_PAIRS = re.compile(rb"[<\[(]?[A-Za-z][\w.@-]{0,48}=")
# A quoted value is one token, so that a key within it is not found.
_PAIR = re.compile(rb"([A-Za-z][\w.@-]{0,48})=(?:\"((?:[^\"\\]|\\.)*+)\"?|'([^']*+)'?|([^\s,;|\"']*))", re.DOTALL)
_DATA_ID = re.compile(rb"\[([^ \]=\"]{1,64})")


class Traits(NamedTuple):
    """Holds what is known of one frame. An absent field is ``b""``."""

    format: str
    shape: str
    program: bytes
    "Program of the header (RFC 3164's TAG, RFC 5424's APP-NAME) without its colon."
    mnemonic: bytes
    "Cisco's mnemonic, which is not a program."
    host: bytes
    message_id: bytes
    data_ids: bytes
    "Structured data, from its first SD-ID that is not registered on."
    text: bytes
    "The message, without leading blanks and BOM."
    head: bytes
    "Everything after the PRI."
    keys: dict[bytes, bytes]
    vendor: bytes | None
    "Vendor of CEF or LEEF; None if the text is neither."
    product: bytes
    is_cef: bool
    "True if the text itself says that it is CEF or LEEF."

    @property
    def layout(self) -> tuple[str, str, bool, bool]:
        """The header's layout. Messages of one device have few."""
        return self.format, self.shape, bool(self.program), bool(self.host)


def traits_of(frame: bytes) -> Traits:
    """Returns the traits of one frame as received. Never raises."""
    header = parser.read(frame[:MAX_EXAMINED].rstrip(b"\r\n\0"))
    program = header.app_name.removesuffix(b":")
    mnemonic = program if program.startswith(b"%") else b""
    text = header.msg.removeprefix(_BOM).lstrip(b" \t\r\n").removeprefix(_BOM)
    cef = _cef(text, program)
    return Traits(
        header.format, header.shape, b"" if mnemonic else program, mnemonic, header.hostname, header.msgid,
        _first_data(header.structured_data), text, header.device.lstrip(b" "), _keys(text, bool(program)),
        cef[1].strip() if cef else None, cef[2].strip() if cef else b"",
        cef is not None and (b"CEF:" in cef[0] or b"LEEF:" in cef[0]),
    )  # fmt: skip


def _cef(text: bytes, program: bytes) -> re.Match[bytes] | None:
    """Returns the header of CEF or LEEF at the beginning of a text."""
    word = None if program else _CEF_AFTER_A_WORD.match(text)
    match = _CEF.match(text, word.end() if word else 0)
    if match and not (b"CEF:" in match[0] or b"LEEF:" in match[0] or program in _TAGGED_CEF or not program):
        return None
    return match


def _first_data(data: bytes) -> bytes:
    """Returns structured data without the registered SD-IDs and the forwarder's at its beginning."""
    while match := _DATA_ID.match(data):
        if match[1] not in (b"timeQuality", b"meta", b"SEKOIA@53288"):
            return data[1:]
        end = data.find(b"][")
        if end < 0:
            return b""
        data = data[end + 1 :]
    return b""


def _keys(text: bytes, tagged: bool) -> dict[bytes, bytes]:
    """Returns the top-level keys of a JSON text or of a key=value text, each with its first value."""
    if (match := (_JSON if tagged else _JSON_AFTER_WORDS).match(text)) is not None:
        return _json_keys(text, match.end())
    if _PAIRS.match(text):
        found: dict[bytes, bytes] = {}
        for pair in _PAIR.finditer(text):
            found.setdefault(pair[1], pair[2] or pair[3] or pair[4] or b"")
        return found
    return {}


def _json_keys(text: bytes, start: int) -> dict[bytes, bytes]:
    # The text may be cut, so it is scanned and not parsed.
    found: dict[bytes, bytes] = {}
    depth, key = 0, b""
    for token in _JSON_TOKEN.finditer(text, start):
        mark = token[0]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if depth == 0:
                break
        elif depth == 1:
            if token[2] is not None:
                key = token[1]
                found.setdefault(key, b"")
            elif key and not found[key]:
                found[key] = token[1][:128]
                key = b""
    return found
