"""Tests that the header of a response is limited, however it is cut into reads."""

from __future__ import annotations

import pytest

from bridge.deliver.response_head import MAX_BYTES, MAX_LINE, MAX_LINES, ResponseHead

OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


def fed(data: bytes, step: int) -> tuple[str | None, ResponseHead, int]:
    """Adds data in steps until a limit is exceeded; returns the limit, the head and the bytes that it has seen."""
    head = ResponseHead()
    for at in range(0, len(data), step):
        if (limit := head.add(data[at : at + step])) is not None or head.ended:
            return limit, head, at + step
    return None, head, len(data)


@pytest.mark.parametrize("step", [1, 2, 7, 1 << 16])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("interim", [b"", INTERIM, INTERIM * 3])
def test_header_ends_at_its_blank_line(step: int, line_end: bytes, interim: bytes) -> None:
    data = interim.replace(b"\r\n", line_end) + OK.replace(b"\r\n", line_end) + b"A: b" + line_end + line_end
    limit, head, seen = fed(data, step)
    assert (limit, head.ended) == (None, True)
    assert seen >= len(data)


@pytest.mark.parametrize("step", [100, 1 << 16])
@pytest.mark.parametrize(
    ("data", "limit"),
    [
        (OK + b"X-A: %b\r\n" % (b"x" * 1000) * 200, f"{MAX_BYTES:,} bytes"),
        (OK + b"a:\r\n" * 2 * MAX_LINES, f"{MAX_LINES:,} lines"),
        (OK + b"a:\n" * 2 * MAX_LINES, f"{MAX_LINES:,} lines"),
        (OK + b"x" * 2 * MAX_LINE, f"{MAX_LINE:,} bytes"),
        (b"HTTP/1.1 200 " + b"x" * 2 * MAX_LINE, f"{MAX_LINE:,} bytes"),
        (INTERIM * 2 * MAX_LINES, f"{MAX_LINES:,} lines"),
        # Twisted reads these as interim responses, too.
        (b"FOO/9.9 +1_50\n\n" * 2 * MAX_LINES, f"{MAX_LINES:,} lines"),
    ],
)  # fmt: skip
def test_endless_header_exceeds_a_limit(data: bytes, limit: str, step: int) -> None:
    exceeded, head, seen = fed(data, step)
    assert exceeded is not None and limit in exceeded
    assert not head.ended and seen <= MAX_BYTES + step


def test_body_behind_the_header_is_not_counted() -> None:
    assert ResponseHead().add(OK + b"\r\n" + b"\n" * 2 * MAX_BYTES) is None
