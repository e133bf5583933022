"""Tests that the reactor can do other work between the large values of a body."""

import pytest
from twisted.internet.defer import Deferred, succeed

from bridge.collector import formats
from bridge.collector.credentials import Keys

LARGE = b'{"json":"a","x":"' + b"b" * 5000 + b'"}'
SIX = b",".join([LARGE] * 6)
SMALL = b'{"json":"a"}'


class Pace:
    def __init__(self):
        self.pauses = 0

    def pause(self):
        self.pauses += 1
        return succeed(None)


def pauses(parser, body, path=None):
    pace = Pace()
    envelope = formats.Envelope(Keys(frozenset(), optional=True), path=path)
    parsed = []
    Deferred.fromCoroutine(formats.sift(parser(body, envelope), pace)).addCallback(parsed.append)
    assert parsed[0].content.count
    return pace.pauses


@pytest.mark.parametrize(
    "parser, body, path",
    [
        (formats.jsons, b"[" + SIX + b"]", None),
        (formats.jsons, b'{"x":[' + SIX + b"]}", "$.x"),
        (formats.jsons, b"{" + b",".join([b'"a":' + LARGE] * 6) + b',"x":["a"]}', "$.x"),
        (formats.array, b"[" + SIX + b"]", None),
        (formats.structured_batch, b"{" + b",".join([b'"a":' + LARGE] * 6) + b',"jsons":["a"]}', None),
        (formats.structured_batch, b'{"jsons":[' + b",".join([b'"' + b"b" * 5000 + b'"'] * 6) + b"]}", None),
    ],
)
def test_each_large_value_is_followed_by_a_pause(parser, body, path):
    assert pauses(parser, body, path) >= 6


def test_small_values_are_read_in_groups():
    assert pauses(formats.jsons, b"[" + b",".join([SMALL] * 160) + b"]") == 10
