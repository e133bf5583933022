"""Tests frames found by fuzzing: each once raised an exception, lost text, or made the readers disagree."""

import pytest

from tests.unit.syslog.accounting import assert_fast_equals_reference
from tests.unit.syslog.mutation import check

FINDINGS = {
    # Found by the seeded mutator and the hostile texts
    "Kiwi's prefix recursed": b"<190>" + b"Original Address=192.0.2.1 " * 5000,
    "Kiwi before key=value": b'<190>Original Address=192.0.2.77 time=8:24:00 timezone="CET" device_name="xgs-1"',
    "two counters, the second a host": b"0090: 2 000090: 2y10w: %FOO-6-BAR: the clock was never set",
    # Found by atheris
    "a host that begins with a colon": b"<189>8103: Nov 23 2026 07:24:00 AM.535 UTC :U %C_AUDITLOG-6-AdminEvent: x",
    "an origin that looks like a tag": b"<189>Nov 23 07:24:03 gw time4712: Nov 23 07:24:00.272: %SEC-6-IPACCESSPACP: x",
}


@pytest.mark.parametrize("name", FINDINGS)
def test_finding_is_parsed_alike_by_all_readers_and_without_loss(name):
    frame = FINDINGS[name]
    check(frame)
    assert_fast_equals_reference(frame)
