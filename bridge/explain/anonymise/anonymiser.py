"""Replaces what identifies a site in a list of frames, and checks that each frame parses as before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address

from bridge.explain.anonymise.names import COMMON, COMPOUND, WORD, Names, find_names
from bridge.explain.anonymise.replacements import Replacements
from bridge.explain.products import identify
from bridge.routing.conditions import Address
from bridge.syslog import parse, parser

_RECEIVED = datetime(2000, 1, 1, tzinfo=UTC)
_OCTET = rb"(?:25[0-5]|2[0-4]\d|[01]?\d?\d)"
_V4 = rb"(?<![\d.])(?:" + _OCTET + rb"\.){3}" + _OCTET + rb"(?!\d|\.\d)"
_GROUPS = rb"(?<!\d)(?<!\d-)(?:" + _OCTET + rb"(?:-" + _OCTET + rb"){3}|\d{4}(?:[ -]\d{4}){3})(?![ -]?\d)"
"An address in a host name (``10-1-2-3``), and the number of a card."
_MAC = (
    rb"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,20}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}"
    rb"|[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5})(?![0-9A-Fa-f:-])"
)
# A name may stand before an address (``inside:2001:db8::1``), and a colon or a port behind it.
_V6 = (
    rb"(?<![0-9A-Za-z])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)(?:[0-9A-Fa-f:]{2,39}(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)"
    rb"|[0-9A-Fa-f:]{2,45}(?![0-9A-Za-z]))"
)
_HEX = rb"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*\d)[0-9A-Fa-f]{12,128})(?![0-9A-Za-z])"  # noqa: E501
# A mnemonic, an enterprise number, a date and a time are of the product or the moment, not of the site.
_KEPT = (
    rb"(?:CEF:[01]|LEEF:[12]\.0)\|[^|\n]{0,64}\|[^|\n]{0,64}\|"
    rb"|%[A-Z][A-Z0-9_]*(?:-[A-Za-z0-9_]+)*-\d-[A-Z0-9_]+|@\d{3,6}(?=[ \]])|\blog_?id=\"?\d+"
    rb"|(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?\d{6})?(?!\d)"
    rb"|(?<![0-9A-Za-z])\w{0,16}(?:[Tt]ime|TIME|[Ss]tamp|[Dd]ate|[Ee]poch|[Ss]tart|[Ee]nd|(?<!\w)(?:ts|rt|art))\w{0,8}"
    rb"\\?\"?[=:] ?\"?1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?!\d)|(?<![\d.])1[5-9]\d{8}\.\d{3,9}(?![\d.])"
    rb"|\d\d:\d\d:\d\d[.,]\d{1,9}"
)
_NUMBER = re.compile(rb"\d{6,}")
_ONE = re.compile(
    rb"(?P<v4>" + _V4 + rb")|(?P<groups>" + _GROUPS
    + rb")|(?P<hex>" + _MAC + rb"|" + _HEX + rb")|(?P<v6>" + _V6 + rb")|(?P<kept>" + _KEPT
    + rb")|(?P<word>" + WORD.pattern + rb"?(?=" + _V4 + rb")|" + WORD.pattern + rb")"
)  # fmt: skip
_PART = re.compile(rb"[A-Za-z0-9\x80-\xff]+")
_GENERAL = re.compile(rb"0\.0\.0\.0|127\..*|255\..*|::1?")


@dataclass(frozen=True, slots=True)
class Anonymised:
    """The result of ``anonymise``."""

    frames: Sequence[bytes | None]
    "One for each given frame. None if it would no longer be read as before; it must not be used."
    replace: Callable[[bytes], bytes]
    "Replaces the same values in any other text."

    def address(self, address: Address) -> Address:
        """Replaces the address of a sender."""
        return ip_address(self.replace(str(address).encode()).decode())

    @property
    def left_out(self) -> int:
        """Number of frames that would no longer be read as before."""
        return sum(frame is None for frame in self.frames)


def anonymise(frames: Sequence[bytes], key: bytes, texts: Sequence[bytes] = ()) -> Anonymised:
    """Replaces the addresses, names and long numbers in frames.

    ``key``: random bytes; without them nobody can try names until one gives a known replacement. ``texts``: other texts
    that ``Anonymised.replace`` will be called with.
    """
    names = find_names(frames)
    originals = set(names.words)
    for text in (*frames, *texts):
        originals.update(match[0] for match in _ONE.finditer(text))
        originals.update(_NUMBER.findall(text))
    replacer = _Replacer(names, Replacements(key, originals))
    replaced = [replacer.frame(frame) for frame in frames]
    return Anonymised(
        [new if _alike(old, new, replacer) else None for old, new in zip(frames, replaced, strict=True)],
        replacer.text,
    )  # fmt: skip


class _Replacer:
    def __init__(self, names: Names, replacements: Replacements) -> None:
        self._words, self._compounds = names
        self._replacements = replacements

    def frame(self, frame: bytes) -> bytes:
        """Replaces values in a frame, but not in its PRI and the time of its header."""
        start, host = _end_of_time(frame)
        return frame[:start] + self.host(host) + self.text(frame[start + len(host) :])

    def host(self, host: bytes) -> bytes:
        """Replaces a host name. One that is a common word is replaced only where it is the HOSTNAME."""
        return self._replacements.name(host) if WORD.fullmatch(host) and not host.isdigit() else self.text(host)

    def text(self, text: bytes) -> bytes:
        # No replacement is an original word, so the second pass leaves those of the first as they are.
        return _ONE.sub(self._one, COMPOUND.sub(self._compound, text))

    def _compound(self, match: re.Match[bytes]) -> bytes:
        if match[0].lower() not in self._compounds:
            return match[0]
        # The top-level domain of a name stays.
        head, dot, last = match[0].rpartition(b".")
        if not dot or last.lower() not in COMMON:
            head, dot, last = match[0], b"", b""
        return WORD.sub(self._word_of_compound, head) + dot + last

    def _word_of_compound(self, match: re.Match[bytes]) -> bytes:
        word = match[0]
        if word.isdigit():
            # Digits in a host name may be those of its address.
            return self._replacements.number(word) if len(word) > 1 else word
        return self._replacements.name(word)

    def _one(self, match: re.Match[bytes]) -> bytes:
        value = match[0]
        kind = match.lastgroup
        if kind == "kept":
            return value
        if kind == "hex":
            return self._replacements.hexadecimal(value)
        if kind == "groups":
            return re.sub(rb"\d+", lambda digits: self._replacements.number(digits[0]), value)
        if kind == "v4":
            return self._address(b".".join(b"%d" % int(each) for each in value.split(b".")))
        if kind == "v6":
            return self._v6(value)
        return self._word(match)

    def _v6(self, value: bytes) -> bytes:
        """Replaces an IPv6 address with what stands around it: a colon, or a port behind a colon."""
        core = value.strip(b":")
        for address in (value, value.removesuffix(b":"), value.removeprefix(b":"), core, core.rpartition(b":")[0]):
            try:
                IPv6Address(address.decode())
            except ValueError:
                continue
            before, _, after = value.partition(address)
            return before + self._address(address) + after
        return WORD.sub(self._word, value)

    def _address(self, address: bytes) -> bytes:
        return address if _GENERAL.fullmatch(address) else self._replacements.address(address)

    def _word(self, match: re.Match[bytes]) -> bytes:
        word = match[0]
        if word.lower() in self._words:
            return self._replacements.name(word)
        return _PART.sub(self._part, word)

    def _part(self, match: re.Match[bytes]) -> bytes:
        part = match[0]
        if part.lower() in self._words:
            return self._replacements.name(part)
        return _NUMBER.sub(lambda digits: self._replacements.number(digits[0]), part)


def _end_of_time(frame: bytes) -> tuple[int, bytes]:
    """Returns where the time of the header ends, or the PRI if there is none, and the HOSTNAME that stands there."""
    header = parser.read(frame)
    end = frame.find(b">") + 1 if header.priority else 0
    # A host within the text (`devname=`, `fw=`) ends no header.
    at = frame.find(header.hostname, end, len(frame) - len(header.msg))
    if header.second and header.hostname and at >= 0:
        # The counters of a device stand before the time, so the host is what ends it.
        return at, header.hostname
    return end, b""


def _alike(old: bytes, new: bytes, replacer: _Replacer) -> bool:
    """Returns True if both frames have the same shape, fields and product."""
    before, after = parse(old, received=_RECEIVED), parse(new, received=_RECEIVED)
    if (before.format, before.shape, before.priority, before.timestamp) != (
        after.format, after.shape, after.priority, after.timestamp,
    ):  # fmt: skip
        return False
    host = _encoded(before.hostname)
    if _encoded(after.hostname) not in (replacer.host(host), replacer.text(host)):
        return False
    for name in ("app_name", "procid", "msgid"):
        if _encoded(getattr(after, name)) != replacer.text(_encoded(getattr(before, name))):
            return False
    if before.structured_data.keys() and len(before.structured_data) != len(after.structured_data):
        return False
    return replacer.text(before.msg) == after.msg and identify([old]).product == identify([new]).product


def _encoded(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "surrogateescape")
