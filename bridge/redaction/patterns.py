"""Defines the named patterns of ``redact:``: what each finds, and the check of what it found.

Every expression takes linear time and matches no line end, so one search serves all frames of a read. ``before`` is an
assertion about the byte before a match. The rest depends on no byte before it, so the rest alone finds every frame that
may have a match, wherever the message begins in it.
"""

from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple


class Pattern(NamedTuple):
    """A named pattern."""

    name: str
    finds: str
    "What it finds, for the documentation."
    body: str
    before: str = ""
    is_valid: Callable[[bytes], bool] | None = None
    "Returns True if a match is what the pattern finds. None: every match is."

    @property
    def expression(self) -> str:
        """The regular expression that is applied to a message."""
        return f"{self.before}(?:{self.body})"


def has_luhn_digit(text: bytes) -> bool:
    """Returns True if the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    digits = [byte - 48 for byte in reversed(text) if 48 <= byte <= 57]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def is_iban(text: bytes) -> bool:
    """Returns True if the check digits are right (ISO 13616-1)."""
    plain = text.replace(b" ", b"").decode("ascii")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_ipv4(text: bytes) -> bool:
    """Returns True if four numbers are an IPv4 address, also with leading zeros."""
    return all(int(number) <= 255 for number in text.split(b"."))


def is_ipv6(text: bytes) -> bool:
    """Returns True if a text is an IPv6 address. The unspecified address says nothing about anybody."""
    try:
        return ip_address(text.decode("ascii")).version == 6 and text != b"::"
    except ValueError:
        return False


# What may precede a word besides a byte that is not part of one: an escape of JSON, or of rsyslog (#012).
_AFTER_ESCAPE = r"|(?<=\\[bfnrt])|(?<=#0[0-3][0-7]))"
_NEW_WORD = r"(?:(?<![A-Za-z0-9])" + _AFTER_ESCAPE
_NEW_LETTERS = r"(?:(?<![A-Za-z])" + _AFTER_ESCAPE
_NEW_DIGITS = r"(?:(?<!\d)(?<!\d[.-])" + _AFTER_ESCAPE
_WORD_ENDS = r"(?![A-Za-z0-9])"

# Issuers and lengths of ISO/IEC 7812: Visa, Mastercard, Discover, UnionPay, JCB; American Express; Diners Club.
_CARD = (
    r"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6(?:011|4[4-9]\d|5\d\d|2\d\d)|35\d\d)[ -]?+\d{4}[ -]?+\d{4}[ -]?+\d{4}(?:\d{3})?+"
    r"|3[47]\d\d[ -]?+\d{6}[ -]?+\d{5}|3(?:0[0-5]|[689]\d)\d[ -]?+\d{6}[ -]?+\d{4}|4\d{12}"
)
_GROUP = "[0-9A-Fa-f]{1,4}"
_SECRET_KEY = r"(?i)(?:pass(?:word|wd|phrase|code)|pwd|secret|api[_-]?key|(?:access|auth)[_-]?token)"
# A value in double quotes, which may be escaped once as within JSON, in single quotes, or a word.
_SECRET_VALUE = (
    r"(?|\"\K(?:[^\"\\\n]|\\[^\n])++|\\\"\K(?:[^\"\\\n]|\\(?!\")[^\n])++|'\K[^'\n]++|\K[^\s\"'\\,;&|<>{}\[\]()]++)"
)

PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern(
            "email", "e-mail addresses",
            r"[A-Za-z0-9._%+-]{1,64}+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})?+\.){1,20}[A-Za-z]{2,63}(?![A-Za-z0-9-])",
            r"(?<![A-Za-z0-9._%+-])",
        ),
        Pattern(
            "card_number", "numbers of payment cards, with the first digits of an issuer and a right check digit",
            rf"(?:{_CARD})(?!\d)", _NEW_DIGITS, has_luhn_digit,
        ),
        Pattern(
            "iban", "international bank account numbers with right check digits",
            rf"[A-Z]{{2}}\d\d(?:[A-Z0-9]{{11,30}}+|(?: [A-Z0-9]{{4}}){{2,7}}(?: [A-Z0-9]{{1,4}})?+){_WORD_ENDS}",
            _NEW_WORD, is_iban,
        ),
        Pattern(
            "ipv4", "IPv4 addresses", rf"\d{{1,3}}(?:\.\d{{1,3}}){{3}}{_WORD_ENDS}(?!\.\d)", _NEW_WORD + r"(?<!\d\.)",
            is_ipv4,
        ),
        Pattern(
            "ipv6", "IPv6 addresses",
            rf"(?=(?:{_GROUP}:){{1,7}}:|::|(?:{_GROUP}:){{6}})(?:{_GROUP})?+(?::(?:{_GROUP})?){{2,7}}"
            rf"(?:(?<=:)\d{{1,3}}(?:\.\d{{1,3}}){{3}})?+(?![A-Za-z0-9:])(?!\.\d)",
            r"(?<!:)" + _NEW_WORD, is_ipv6,
        ),
        Pattern(
            "mac_address", "MAC addresses, as aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff or aabb.ccdd.eeff",
            r"(?:(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}"
            rf"|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}){_WORD_ENDS}(?![:-][0-9A-Fa-f])",
            _NEW_WORD + "(?<![0-9A-Fa-f][:-])",
        ),
        Pattern(
            "us_ssn", "social security numbers of the United States, as 123-45-6789",
            rf"(?!000|666|9)\d{{3}}-(?!00)\d\d-(?!0000)\d{{4}}{_WORD_ENDS}(?!-)", _NEW_WORD + "(?<!-)",
        ),
        Pattern("jwt", "JSON web tokens", r"eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]*+", _NEW_WORD),
        Pattern(
            "password", "values of keys such as password, pwd, secret, api_key and access_token",
            rf"{_SECRET_KEY}(?:\\?[\"'])?+[ \t]*+(?:=>?|:)[ \t]*+{_SECRET_VALUE}", _NEW_LETTERS,
        ),
        Pattern(
            "url_password", "passwords in URLs, as scheme://name:password@host",
            r"[A-Za-z][A-Za-z0-9+.-]{1,31}://[^\s:/?#@\"'<>]{0,255}+:\K[^\s/?#@\"'<>]{1,255}+(?=@)",
        ),
    )
}  # fmt: skip
"All patterns by name."
