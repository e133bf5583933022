"""Tests what each named pattern finds, and what it leaves."""

from __future__ import annotations

import re

import pytest

from bridge.redaction.patterns import PATTERNS, has_luhn_digit, is_iban, is_ipv6
from bridge.redaction.redactor import RedactionRule
from bridge.util.expression import Expression

# Texts of each pattern: what is found stands between « and ».
CASES = {
    "email": [
        "from «a.b+c@mail.example.co.uk», to <«x_1@ex-ample.com»>.",
        "user@localhost root@[192.0.2.1] @example.com a@b.c x@-a.com",
        # An escape is replaced as a whole, which is not the pattern's task.
        '{"t":"a\\«nu@example.org»"}',
    ],
    "card_number": [
        "«4111111111111111» «5555-5555-5555-4444» «3782 822463 10005», «6011111111111117» «30569309025904»",
        "4111111111111112 14111111111111111 eventtime=1700000000000000000 1234567890123456 0.4111111111111111",
        "pan=«4222222222222»;x «3530111333300000»",
    ],
    "iban": [
        "«DE89370400440532013000» «GB82 WEST 1234 5698 7654 32» «FR1420041010050500013M02606»",
        "DE88370400440532013000 XDE89370400440532013000 AB12",
    ],
    "ipv4": [
        "«192.0.2.1»:53 «10.0.0.1»-«10.0.0.2». («198.51.100.7»/24) [«010.001.000.001»] ip-«10.1.1.1» a_«10.2.2.2»",
        "1.2.3.4.5 256.1.1.1 v1.2.3.4 1.2.3 1.2.3.4a",
        '{"t":"a\\n«10.9.9.9»"} b#012«10.8.8.8»',
    ],
    "ipv6": [
        "«2001:db8::1» [«::1»]:514 «fe80::1»%eth0 «2001:db8:0:0:8:800:200c:417a». «::ffff:192.0.2.1»",
        "12:30:45 std::string :: aa:bb:cc:dd:ee:ff 1:2:3:4 x::y 07:24:00:123",
        '{"t":"a\\n«fe80::2»"}',
    ],
    "mac_address": [
        "«aa:bb:cc:dd:ee:ff» «AA-BB-CC-DD-EE-FF», «aabb.ccdd.eeff»;",
        "aa:bb:cc:dd:ee:ff:00 12:30:45 xaa:bb:cc:dd:ee:ff",
    ],
    "us_ssn": ["ssn «123-45-6789».", "000-45-6789 666-45-6789 900-45-6789 123-45-67890 2026-11-23-4 5-123-45-6789"],
    "jwt": ["Bearer «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_»", "eyJhbGciOiJIUzI1NiJ9 eyJa.eyJb.c"],
    "password": [
        'password=«hunter2» user_password: «x1», PWD=\'«a b»\' api-key => "«a \\"b\\" c»" secret=«q»;',
        "Failed password for root; password= «x=1» passwords: 3 Password: <none>",
        '{"password":"«s\\"x»","t":"{\\"pwd\\":\\"«in»\\",\\"a\\":1}"}',
    ],
    "url_password": ["", "ftp://joe:«s3cret»@host/x https://host:8443/@x http://joe@host joe:x@host"],
}


def marked(text: bytes, rule: RedactionRule) -> bytes:
    for part in reversed(rule.parts(text)):
        text = text[: part.start] + "«".encode() + text[part.start : part.end] + "»".encode() + text[part.end :]
    return text


def test_every_pattern_has_cases() -> None:
    assert CASES.keys() == PATTERNS.keys()


@pytest.mark.parametrize(("name", "expected"), [(name, text) for name, texts in CASES.items() for text in texts])
def test_pattern_finds_exactly_what_is_marked(name: str, expected: str) -> None:
    text = re.sub("[«»]", "", expected).encode()
    assert marked(text, RedactionRule("r", PATTERNS[name], "X")) == expected.encode()


@pytest.mark.parametrize("name", PATTERNS)
def test_rest_of_the_pattern_finds_every_frame_with_a_match(name: str) -> None:
    pattern = PATTERNS[name]
    rest = Expression(f"(?:{pattern.body})", limited=False)
    for line in CASES[name]:
        text = re.sub("[«»]", "", line).encode()
        if RedactionRule("r", pattern, "X").parts(text):
            # Whatever precedes the message, and in the middle of a block.
            for before in (b"", b"a", b"1", b"<13>", b":"):
                assert rest.rows(b"\nnothing\n" + before + text + b"\nnothing") == [1]


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize(
    "text", [b"a", b"1", b"a.", b"1.", b"ab:", b"1-", b"a@", b"a.a@", b"4111 ", b"AB12", b"pwd ", b"x://", b":", b'"']
)
def test_pattern_takes_linear_time(name: str, text: bytes) -> None:
    # The steps of a search are counted: an unlimited expression is given a limit here.
    pattern = PATTERNS[name]
    limited = Expression(pattern.expression)
    object.__setattr__(limited, "_limits", (2000, 2000, 2000, 2000))
    limited.spans(text * (60_000 // len(text)))


def test_check_digits() -> None:
    assert has_luhn_digit(b"79927398713") and not has_luhn_digit(b"79927398710")
    assert is_iban(b"GB29NWBK60161331926819") and not is_iban(b"GB29NWBK60161331926818") and not is_iban(b"GB29")
    assert is_ipv6(b"1::") and not is_ipv6(b"::") and not is_ipv6(b"1.2.3.4") and not is_ipv6(b"1:2")
