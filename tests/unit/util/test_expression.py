"""Tests searches with an operator's expressions: matches, spans, rows, and their limits."""

from __future__ import annotations

import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.util import expression, pcre2
from bridge.util.expression import Expression, ExpressionError, LimitExceeded, MissingLibrary

EVIL = "(a+)+$"


def test_expression_matches_anywhere_in_bytes() -> None:
    found = Expression("b.\\d")
    assert [found.matches(text) for text in (b"ab\xff7", b"b7", b"", b"b\n7")] == [True, False, False, False]
    assert Expression("^a|c$").matches(b"xc") and not Expression("^a|c$").matches(b"cax")
    assert Expression("caf\u00e9").matches("un caf\u00e9".encode())


def test_spans_are_in_order_and_never_empty() -> None:
    assert Expression("a*").spans(b"aab\0a") == [(0, 2), (4, 5)]
    assert Expression("key=\\K\\S+").spans(b"key=x key= key=yz") == [(4, 5), (15, 17)]
    # The start of the match is reset to its end, so it is empty.
    assert Expression("ab\\K").spans(b"abab") == []


def test_rows_are_those_with_a_match() -> None:
    assert Expression("a+", limited=False).rows(b"\nba a\n\nx\na\na") == [0, 3, 4]
    assert Expression("a+", limited=False).rows(b"\n") == []


@given(st.binary(max_size=40), st.sampled_from([b"a", b"[a-c]+", b"\\d\\d", b"x|yy", b"\\bq"]))
def test_spans_equal_those_of_python(text: bytes, pattern: bytes) -> None:
    assert Expression(pattern.decode()).spans(text) == [found.span() for found in re.finditer(pattern, text)]


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "missing closing parenthesis, at character 2"),
        ("[a", "missing terminating ] for character class, at character 3"),
        ("\u00e9\u00e9(", "missing closing parenthesis, at character 4"),
        ("(*UTF)a", "using UTF is disabled by the application, at character 7"),
    ],
)
def test_rejected_expression_names_the_fault_and_its_place(pattern: str, fault: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(fault)):
        Expression(pattern)


@pytest.mark.parametrize("length", [100, 1000, 10_000, 100_000])
def test_search_is_bounded_at_every_length(length: int) -> None:
    found = Expression(EVIL)
    with pytest.raises(LimitExceeded):
        found.matches(b"a" * length + b"!")
    with pytest.raises(LimitExceeded):
        found.spans(b"a" * length + b"!")
    # The memory of a search that was given up serves the next one.
    assert found.matches(b"aaa") and found.spans(b"aaa") == [(0, 3)]


def test_search_is_bounded_without_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pcre2.load()
    assert library is not None
    monkeypatch.setattr(library, "jit_compile", lambda *_: -45)
    found = Expression(EVIL)
    assert found._limits == expression.LIMITS_WITHOUT_JIT
    with pytest.raises(LimitExceeded):
        found.matches(b"a" * 100 + b"!")
    assert found.matches(b"aaa")


def test_long_texts_have_lower_limits() -> None:
    lengths = (*expression.LENGTHS, 250 << 10)
    assert len(expression.LIMITS) == len(expression.LIMITS_WITHOUT_JIT) == len(lengths)
    assert all(length * limit <= 53_000_000 for length, limit in zip(lengths, expression.LIMITS, strict=True))


def test_expressions_are_equal_by_text_and_can_be_pickled() -> None:
    one = Expression("a+")
    assert one == Expression("a+") != Expression("a")
    assert pickle.loads(pickle.dumps(one)) == one
    assert {one, Expression("a+")} == {one}
    assert str(one) == "a+"


def test_several_threads_search_at_once() -> None:
    found = Expression("(\\d+)-\\1")
    texts = [b"x %d-%d y" % (n, n) for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        spans = list(pool.map(found.spans, texts))
    assert spans == [[(2, len(text) - 2)] for text in texts]


def test_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcre2, "load", lambda: None)
    with pytest.raises(MissingLibrary, match="libpcre2-8-0"):
        Expression("a")
