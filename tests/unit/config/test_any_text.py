"""Tests arbitrary file contents: the result is a configuration or its faults, and no message shows a secret."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import Config, ConfigurationError, load, parse_text

GOOD = """
timezone: Europe/Paris
collector: {region: FRA1, compression: none, timeout: 5s, max_request_rate: 0.5}
listeners:
  - {name: udp, udp: "*:514", receive_buffer: 1MiB, allow: &a [10.0.0.0/8, "2001:db8::/32"]}
  - {name: tcp, tcp: "[::1]:514", framing: lf, idle_timeout: never, allow: *a}
max_frame_size: 64KiB
sources:
  - {source: 10.0.0.1, timezone: UTC, name: fw}
intakes:
  all: {intake_key: SECRETSECRETSECRET, payload: raw, timestamp: event}
  other: {intake_key: SECRETSECRETSECRET, url: "https://intake.example/x"}
routes:
  - {name: a, intake: all, source: [10.0.0.1, 10.1.0.0/16], min_severity: 3, message: {contains: [x]}}
  - {drop: true, hostname: "a*", except: {app_name: [b], listener: tcp}}
unrouted: {intake: other}
timestamps: {max_past: 31d, max_future: never}
batch: {max_age: 1s, max_events: 10}
spool: {directory: spool}
"""
PARTS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "&a ",
    "*a",
    "!x ",
    '"',
    "'",
    "#",
    "<<",
    "null",
    "~",
    "\t",
    "|",
    "0",
    "é",
    "\0",
]


def check_text(text: str) -> None:
    try:
        config = parse_text(text)
    except ConfigurationError as error:
        assert error.faults
        for fault in error.faults:
            assert fault.line >= 1 and fault.column >= 1
            assert fault.message.isprintable()
    else:
        assert isinstance(config, Config)


def test_valid_text_loads() -> None:
    assert len(parse_text(GOOD).routes) == 2


@given(st.text())
@settings(deadline=None)
def test_any_text_is_a_configuration_or_faults(text: str) -> None:
    check_text(text)


@given(data=st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_file_of_any_bytes_is_rejected_with_faults(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError):
        load(path)


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=400, deadline=None)
def test_mutated_text_is_a_configuration_or_faults(seed: int, count: int) -> None:
    rng = random.Random(seed)
    text = GOOD
    for _ in range(count):
        start = rng.randrange(len(text))
        end = start + rng.choice([0, 0, 1, 1, 3, 10, 40])
        moved = rng.randrange(len(text))
        put = rng.choice([rng.choice(PARTS), "", text[moved : moved + rng.randrange(30)]])
        text = text[:start] + put + text[end:]
    check_text(text)


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_faults_of_misplaced_values_show_no_secret(seed: int) -> None:
    """Changes everything except the text of an intake key; no fault may contain that text."""
    rng = random.Random(seed)
    lines = GOOD.splitlines()
    for _ in range(rng.randrange(1, 4)):
        number = rng.randrange(len(lines))
        words = lines[number].split(" ")
        word = rng.randrange(len(words))
        if "SECRET" not in words[word] and "intake_key" not in words[word]:
            words[word] = rng.choice([*PARTS[:-1], "1", "x:", ""])
            lines[number] = " ".join(words)
    try:
        parse_text("\n".join(lines))
    except ConfigurationError as error:
        assert "SECRETSECRETSECRET" not in str(error)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["*:514", "10.0.0.0/8", "all", "5s"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["file", "intake", "hold", "source"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from(["routes", "sources", "listeners", "intakes", "unrouted", "include", "spool", "batch"]), VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_section_is_a_configuration_or_faults(key: str, value: object) -> None:
    import json

    text = json.dumps({key: value}, ensure_ascii=True)
    check_text(text)
    check_text("\n".join(line for line in GOOD.splitlines() if not line.startswith((key, " "))) + f"\n{text[1:-1]}\n")
