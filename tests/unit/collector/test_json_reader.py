"""Tests that a JSON body is read member by member with the result of json.loads, whatever the window cuts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.collector import json_reader
from bridge.collector.json_reader import JsonReader
from bridge.collector.refusal import Refusal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def small_window():
    """Uses windows of 400 bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "WINDOW", 400)
        yield


def read_whole(body):
    reader = JsonReader(body)
    value = reader.value()
    reader.end()
    return value


@given(
    members=st.lists(VALUES, max_size=40),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
    window=st.integers(64, 4096),
)
def test_members_are_those_of_json_loads(members, indent, ascii_only, window):
    body = json.dumps(members, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    longest = max((len(json.dumps(member, indent=indent).encode()) for member in members), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "WINDOW", max(window, 2 * longest + 64))
        reader = JsonReader(body)
        assert list(reader.members()) == members
        reader.end()


@pytest.mark.parametrize("cut", range(380, 400))
def test_number_that_a_window_cuts_is_read_whole(small_window, cut):
    body = b'["' + b"a" * (cut - 5) + b'",-1.35e+16,1]'
    assert list(JsonReader(body).members())[1:] == [-1.35e16, 1]


@given(record=st.dictionaries(st.text(max_size=12), VALUES, max_size=30))
def test_names_and_values_are_those_of_json_loads(record):
    body = json.dumps(record).encode()
    longest = max((len(json.dumps(value)) for value in (*record, *record.values())), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "WINDOW", longest + 32)
        reader = JsonReader(body)
        assert {name: reader.value() for name in reader.names()} == record
        reader.end()


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize(
    "body",
    [b"[1,2", b"[1 2]", b'{"a" 1}', b'{"a":1,}', b"{1:2}", b"[1]]", b"[tru]", b'["\\x"]', b" " * 900 + b"]", b'["a',
     b"[" + b"1," * 500 + b"]", b"[" + b'"x",' * 300 + b"oops]"],
)  # fmt: skip
def test_error_has_the_place_in_the_whole_body(body):
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(body)
    with pytest.raises(Refusal) as refused:
        reader = JsonReader(body)
        for _ in reader.members() if body.lstrip().startswith(b"[") else reader.names():
            if not body.lstrip().startswith(b"["):
                reader.value()
        reader.end()
    assert refused.value.status == 400
    assert refused.value.text.endswith(f"line {expected.value.lineno} column {expected.value.colno}")


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("value", [b'"' + b"x" * 500 + b'"', b"[" + b"[]," * 200 + b"[]]", b"1" * 450])
def test_value_longer_than_the_window_is_413(value):
    """What would be built of a value is bounded by the window: no list of a body's millions of empty lists."""
    with pytest.raises(Refusal) as refused:
        list(JsonReader(b'["a",' + value + b',"b"]').members())
    assert refused.value.status == 413


def test_number_at_the_end_of_a_window_is_read_whole():
    for padding in range(380, 420):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_reader, "WINDOW", 400)
            assert list(JsonReader(b"[" + b" " * padding + b"1234567,8]").members()) == [1234567, 8]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_read_as_json_loads_does(encoding):
    assert read_whole(json.dumps(["é", "\U0001f600"], ensure_ascii=False).encode(encoding)) == ["é", "\U0001f600"]


def test_empty_body_and_bytes_that_are_not_utf8_are_400():
    for body in (b"", b"  \n", b'["\xff"]', b'["\xc3'):
        with pytest.raises(Refusal) as refused:
            read_whole(body)
        assert refused.value.status == 400
