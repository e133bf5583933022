"""Compares with the test suites of other parsers, if their corpora exist: 90 % agree, every difference is listed."""

import base64
import importlib.util
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.syslog import parse
from tests.unit.syslog.accounting import account

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"
DIFFERENCES = Path(__file__).with_name("misses.md")
# One suite asserts the opposite of decisions 15 (no digits as tag) and 16 (no host after `TIME: `, none with a slash).
DECIDED_OTHERWISE = {"rsyslog-0015", "rsyslog-0017", "rsyslog-0022", "rsyslog-0083"}

pytestmark = pytest.mark.skipif(not CORPORA.is_dir(), reason="no corpora beside the checkout (../shared/corpora)")


@pytest.fixture(scope="module")
def score():
    spec = importlib.util.spec_from_file_location("score", CORPORA / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases():
    for path in sorted(CORPORA.glob("*.jsonl")):
        if path.stem == "framing":
            continue
        # The reception time of each suite, as in score.py.
        received = datetime(2025, 3, 14, 15, 9, 26, 535897, UTC) if path.stem.startswith("sc4s") else datetime(
            2026, 1, 15, 12, tzinfo=UTC
        )  # fmt: skip
        for line in path.read_text("utf-8").splitlines():
            case = json.loads(line)
            raw = (
                base64.b64decode(case["raw_b64"])
                if "raw_b64" in case
                else case["raw"].encode("utf-8", "surrogateescape")
            )
            yield case, raw, received


def listed_differences() -> set[str]:
    """Returns the case ids in the first column of the table."""
    rows = [line.split("|")[1] for line in DIFFERENCES.read_text().splitlines() if line.startswith("| ")][1:]
    names = [name for row in rows for name in row.split()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_]+-[0-9]{4}", name) for name in names)
    return set(names)


def test_every_byte_of_every_case_is_accounted_for():
    for _, raw, _ in cases():
        account(raw.rstrip(b"\r\n\0"))


def test_ninety_percent_agree_and_every_difference_is_listed(score):
    asserted, differing = 0, set()
    for case, raw, received in cases():
        parsed = score.read(parse(raw, received=received))
        expect = {key: value for key, value in case["expect"].items() if key in parsed}
        if not expect or case["expect"].get("valid") is False:
            continue
        asserted += 1
        if not all(score.equal(key, value, parsed[key]) for key, value in expect.items()):
            differing.add(case["id"])
    assert asserted > 1000
    assert len(differing - DECIDED_OTHERWISE) <= asserted // 10
    assert differing == listed_differences()
