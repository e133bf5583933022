"""Reads the trial inputs, if they exist: the expected fields, all readers alike, and one event in any framing."""

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.syslog import parse
from tests.unit.syslog.accounting import account, assert_fast_equals_reference
from tests.unit.syslog.test_framing import FramerOutput, singles

TRIALS = Path(__file__).parents[4] / "shared" / "trials" / "parsing.jsonl"
NOW = datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC)


def cases():
    if not TRIALS.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="../shared/trials/parsing.jsonl is not here"))]
    lines = map(json.loads, TRIALS.read_text("utf-8").splitlines())
    return [pytest.param(case, id=case["id"]) for case in lines]


def frame_of(case):
    return ast.literal_eval("b'" + case["raw"].replace("'", "\\'") + "'")


@pytest.mark.parametrize("case", cases())
def test_trial_input_is_parsed_as_expected(case):
    frame = frame_of(case)
    account(frame)
    assert_fast_equals_reference(frame)
    message = parse(frame, received=NOW)
    for name, value in case["expect"].items():
        match name:
            case "event":
                continue
            case "timestamp":
                assert message.timestamp == (value and datetime.fromisoformat(value))
            case "msg":
                assert message.msg == ast.literal_eval(value)
            case _:
                assert (getattr(message, name) or None) == (value or None), name


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("mode", ["lf", "octet-counted", "auto", "auto lf"])
def test_trial_input_is_one_event_in_any_framing(case, mode):
    frame = frame_of(case)
    if mode == "auto" and b"<" not in frame[:4]:
        pytest.skip("without a PRI, a number is not a count")
    other = b"<13>Nov 23 07:24:00 gw-5 app: other"
    counted = mode in ("octet-counted", "auto")

    def framed(text):
        return b"%d %b" % (len(text), text) if counted else text + b"\n"

    stream = framed(frame) + framed(other) + framed(frame)
    tail = b"44 <13>Nov" if counted else b"<13>Nov"
    for text in (stream, stream + tail):
        for chunks in ([text], singles(text)):
            output = FramerOutput(mode.split()[0], limit=65536)
            for chunk in chunks:
                output.feed(chunk)
            output.idle(1)
            assert (output.frames, output.oversize, output.framer.resyncs) == ([frame, other, frame], [], 0)
