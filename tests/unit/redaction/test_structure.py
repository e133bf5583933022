"""Tests that JSON, key=value pairs and structured data stay valid, whatever part of them is replaced."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.redaction.structure import Part, replaced, replaced_values
from bridge.syslog.structured_data import vendor_ids
from bridge.util.expression import Expression


def redacted(text: str, pattern: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    parts = [Part(start, end, b"X") for start, end in Expression(pattern).spans(raw)]
    return replaced(raw, parts).decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("login of joe failed", "joe", "login of X failed"),
        ("a=1 password=hunter2 b=2", r"password=\S+", "a=1 password=X b=2"),
        ('a=1 password="x y" b=2', 'password=".*?"', 'a=1 password="X" b=2'),
        ("a=1 password='x y' b=2", "password=.*", "a=1 password='X' b=X"),
        ("a=1,b=2,c=3", "b=.*", "a=1,b=X,c=X"),
        ("a=1 for joe of sales b=2", "for.*", "a=1 X b=X"),
        ("a=1 b=2", "a", "X=1 b=2"),
        ('a="\\"joe\\" x" b=1', 'joe.', 'a="\\"X x" b=1'),
        ('{"a": "joe", "n": 4111, "b": [1, true]}', "joe", '{"a": "X", "n": 4111, "b": [1, true]}'),
        ('{"a": "joe", "n": 4111, "b": [1, true]}', "11", '{"a": "joe", "n": "X", "b": [1, true]}'),
        ('{"a": "joe", "n": 4111, "b": [1, true]}', "joe.*", '{"a": "X", "n": "X", "b": ["X", "X"]}'),
        ('{"joe": 1}', "joe", '{"X": 1}'),
        ('{"joe": 1}', ".*", '{"joe": "X"}'),
        ('{"a": "j\\u00e9e"}', "j.", '{"a": "Xe"}'),
        ('{"a": "\\ud83d\\ude00"}', "d83d", '{"a": "X"}'),
        ('@cee: {"a": "joe"} ', "@.*", 'X {"a": "X"} '),
        ('[{"a": "joe"}]', "joe", '[{"a": "X"}]'),
        ("{not json joe}", "joe.", "{not json X"),
        ("caf\u00e9 x", "\\xa9", "cafX x"),
        ("caf\udce9 joe", "joe", "caf\udce9 X"),
    ],
)  # fmt: skip
def test_parts_are_replaced_within_values(text: str, pattern: str, expected: str) -> None:
    assert redacted(text, pattern) == expected


PATTERNS = st.sampled_from(
    ["a.*", ".", '"', "[0-9]+", "a=", "b.", "=.*", "[^ ]+ ", "\\\\.", ":.*", "u00", ".{3}", "[,}\\]]"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def shape(value: object) -> object:
    """Returns the structure of a JSON value: what is in which list and object, in order."""
    if isinstance(value, list):
        return [(None, shape(each)) for each in value]
    if isinstance(value, tuple):
        return [(1, shape(each)) for _, each in value]
    return 0


@given(
    st.dictionaries(st.text('ab1"\\=é', max_size=4), JSON, max_size=4),
    PATTERNS,
    st.booleans(),
    st.sampled_from(["", "@cee: ", "a=1 b "]),
)
def test_json_stays_json(value: dict[str, object], pattern: str, ascii_only: bool, before: str) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    raw = (before + text).encode("utf-8", "surrogatepass")
    parts = [Part(start, end, b"X") for start, end in Expression(pattern).spans(raw)]
    result = replaced(raw, parts)
    found = result[result.index(b"{") :].decode("utf-8", "surrogatepass")
    pairs = json.loads(found, object_pairs_hook=tuple)
    assert shape(pairs) == shape(json.loads(text, object_pairs_hook=tuple))


PAIR = re.compile(rb'([a-zX]+)=("[^"]*"|[^\s"]*)')


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "bb", "user"]), st.from_regex(r'"[ab1 =]*"|[ab1.]+', fullmatch=True)),
        min_size=1,
        max_size=5,
    ),
    PATTERNS,
)
def test_pairs_stay_pairs(pairs: list[tuple[str, str]], pattern: str) -> None:
    raw = " ".join(f"{key}={value}" for key, value in pairs).encode()
    parts = [Part(start, end, b"X") for start, end in Expression(pattern).spans(raw)]
    result = replaced(raw, parts)
    assert len(PAIR.findall(result)) == len(pairs)
    assert PAIR.sub(b"", result).strip() == b""


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("joe", b'[ex@1 a="X\\"y" b="2"][joe c=""]'),
        ("a=.*", b'[ex@1 a="X" b="X"][joe c=""]'),
        ('e."', b'[ex@1 a="joX" b="2"][joe c=""]'.replace(b"joX", b"joXy")),
        ("ex@1", b'[ex@1 a="joe\\"y" b="2"][joe c=""]'),
    ],
)
def test_structured_data_keeps_its_names(pattern: str, expected: bytes) -> None:
    data = b'[ex@1 a="joe\\"y" b="2"][joe c=""]'
    parts = [Part(start, end, b"X") for start, end in Expression(pattern).spans(data)]
    result = replaced_values(data, parts)
    assert result == expected
    assert vendor_ids(result) == vendor_ids(data)
