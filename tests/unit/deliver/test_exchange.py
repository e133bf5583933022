"""Tests what is kept of an answer that arrives before a body has ended."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from bridge.deliver.exchange import Progress

TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nRetry-After: 7\r\n\r\nsorry"


@pytest.mark.parametrize(
    "interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n" * 2]
)
def test_early_error_is_kept_also_after_interim_responses(interim: bytes) -> None:
    progress = Progress(Clock())
    progress.answered_early(interim + TOO_LARGE[:20])
    assert progress.early_response is None
    progress.answered_early(TOO_LARGE[20:])
    response = progress.early_response
    assert response is not None
    assert (response.status, response.headers["retry-after"], response.body) == (413, "7", b"sorry")


CHUNKED = b"HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (CHUNKED + b"\r\n2\r\nno\r\n0\r\n\r\n", b"no"),
        (CHUNKED + b"\r\n0a;x=y\r\ntoo large,\r\n4\r\n no\n\r\n00\r\n\r\n", b"too large, no\n"),
        (CHUNKED + b"\r\n400\r\nincomplete", b"incomplete"),
        (CHUNKED + b"\r\n2\r\nno\r\n-1\r\nx", b"no"),
        (CHUNKED + b"\r\nno chunk", b""),
        (CHUNKED + b"Content-Encoding: GZIP\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n", b""),
        (TOO_LARGE.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), b""),
        (TOO_LARGE.replace(b"\r\n\r\n", b"\r\nContent-Encoding: identity\r\n\r\n"), b"sorry"),
    ],
)
def test_body_of_an_early_error_has_no_chunk_lines_and_no_compressed_bytes(answer: bytes, body: bytes) -> None:
    progress = Progress(Clock())
    progress.answered_early(answer)
    assert progress.early_response is not None and progress.early_response.body == body


def test_early_success_is_ignored() -> None:
    progress = Progress(Clock())
    progress.answered_early(b"HTTP/1.1 200 OK\r\n\r\n")
    assert progress.early_response is None


def test_second_attempt_begins_without_the_answer_to_the_first() -> None:
    progress, connection = Progress(Clock()), Any
    progress.answered_early(TOO_LARGE)
    progress.begin(connection)  # type: ignore[arg-type]
    assert progress.early_response is None


@pytest.mark.parametrize(
    ("answer", "complete"),
    [
        (TOO_LARGE, False),
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nsorr", False),
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nsorry", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsorry", False),
        (b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", False),
        (b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 500 x\r\nContent-Length: \xb2\r\n\r\n", False),
        (b"HTTP/1.1 500 x\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000), False),
        (b"HTTP/1.1 500 x\r\nContent-Length: 999999\r\n\r\n" + bytes(1 << 17), True),
    ],
)
def test_early_error_is_complete_at_its_end(answer: bytes, complete: bool) -> None:
    progress = Progress(Clock())
    progress.answered_early(answer)
    assert progress.early_response_is_complete is complete
