"""Tests the rewriting of blocks by PCRE2, and by Python's ``re`` without PCRE2."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.util import pcre2
from bridge.util import rewriter as module
from bridge.util.rewriter import Rewriter

WORDS = rb"\n([a-z]+)=([0-9]+)?"


@pytest.fixture(params=["pcre2", "python"])
def cutter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "python":
        monkeypatch.setattr(module, "load", lambda: None)
        assert module.rewriter(WORDS, b"") is None
    elif pcre2.load() is None:
        pytest.skip("this machine has no libpcre2-8 (Debian: libpcre2-8-0): Python's re is used instead")
    return module.cutter


def test_each_match_becomes_lines(cutter) -> None:
    cut = cutter(WORDS, 2)
    assert cut(b"\nab=12 x\nc= y") == (b"\nab\n12\n x\nc\n\n y", 2)
    assert cut(b"nothing") == (b"nothing", 0)
    assert cut(b"") == (b"", 0)
    assert cut(b"\nab=1\0\xff\n") == (b"\nab\n1\n\0\xff\n", 1)


def test_match_without_groups_becomes_a_line_end(cutter) -> None:
    assert cutter(rb"\n<[0-9]+>(?:[a-z]++): ")(b"\n<13>ab: x\n<14>c: y") == (b"\nx\ny", 2)


@pytest.mark.parametrize(
    "pattern",
    [
        rb"a.c",
        rb"a\sc",
        rb"[^b]",
        rb"b(?=\n|\Z)",
        rb"c\Z",
        rb"[a[:]",
        rb"a{2,3}+b",
        rb"(?i:AB)",
        rb"\S++",
        rb"[0-9]{2}",
    ],
)
def test_both_engines_match_alike(pattern: bytes) -> None:
    if (library := pcre2.load()) is None:
        pytest.skip("this machine has no libpcre2-8 (Debian: libpcre2-8-0): only one engine is available")
    block = b"a\nc a c a\rc a\x0bc a\x85c aaab AB ab\nb\xe9[:a 12\r\n3c\n"
    for text in (block, block + b"c", block + b"b"):
        expected = re.subn(pattern, b"\n", text)
        assert Rewriter(library, pattern, b"\n")(text) == expected


def rewriter(pattern: bytes, replacement: bytes) -> Rewriter:
    made = module.rewriter(pattern, replacement)
    if made is None:
        pytest.skip("this machine has no libpcre2-8 (Debian: libpcre2-8-0)")
    return made


def test_named_and_unset_groups_are_substituted() -> None:
    rewrite = rewriter(rb"(?P<a>x)|(?P<b>y)", b"[${a}${b:+b:-}]")
    assert rewrite(b"xyz") == (b"[x-][b]z", 2)


def test_output_much_longer_than_the_block_is_none() -> None:
    rewrite = rewriter(rb"x", b"0123456789")
    assert rewrite(b"x" * 10) == (b"0123456789" * 10, 10)
    assert rewrite(b"x" * 500_000) is None
    assert rewrite(b"xx") == (b"0123456789" * 2, 2)


def test_longer_blocks_than_before_are_rewritten() -> None:
    rewrite = rewriter(rb"\n(?P<word>a+)", b"\n")
    for length in (10, 300_000, 10, 1_000_000):
        assert rewrite(b"\na" + b"b" * length) == (b"\n" + b"b" * length, 1)


def test_invalid_expression_raises_with_its_position() -> None:
    with pytest.raises(ValueError, match=r"PCRE2 error \d+ at 5: .*oops"):
        rewriter(rb"oops(", b"")


def test_rewriter_works_in_several_threads() -> None:
    rewrite = rewriter(rb"(?P<digit>[0-9])", b"<${digit}>")

    def many(digit: int) -> bool:
        block, output = b"%d" % digit * 1000, b"<%d>" % digit * 1000
        return all(rewrite(block) == (output, 1000) for _ in range(200))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(8)))


@pytest.mark.parametrize("engine", ["pcre2", "python"])
def test_shortener_keeps_the_first_part(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "python":
        monkeypatch.setattr(module, "load", lambda: None)
    elif pcre2.load() is None:
        pytest.skip("this machine has no libpcre2-8 (Debian: libpcre2-8-0): only one engine is available")
    shorten = module.shortener(rb"\n<[0-9]+>[a-z]++", rb" (?:x|yy): ")
    assert shorten(b"\n<13>ab x: text\n<14>c yy: \n<15>d z: no") == (b"\n<13>ab\ntext\n<14>c\n\n<15>d z: no", 2)
    assert shorten(b"") == (b"", 0)
