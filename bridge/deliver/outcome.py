"""Classifies the response to a request: a closed set of outcomes, in one table.

=====================================  ===========================================================================
response                               outcome
=====================================  ===========================================================================
2xx, the collector's JSON              **accepted**: as many events as it has ids; all, *unconfirmed*, if it has
                                       none; events that it refuses one by one go to quarantine
2xx, anything else                     **retry** as *foreign* (a proxy's page, a captive portal); three in a row park
network errors, no progress            **retry**; two in a row that cut off a body halve the next request
408, 425, 429, 5xx, malformed          **retry**, not before ``Retry-After``
407; 403 with a proxy's header         **retry**; the reason names the proxy
413                                    **split**: halve until it fits; **retry** if the body is smaller than an event
                                       may be, because its size is not the cause
400, 422                               **refused**: bisect until the event is alone
401, 403, 404, 405, redirects, other   **parked**: the intake waits for the operator
=====================================  ===========================================================================

Only the collector's own JSON is acceptance. The outcome is *uncertain* if the body was sent and there was no response,
a foreign response, or an error of a gateway or server (5xx except 503): the collector may still have accepted the
events.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived

from bridge.batching.groups import GroupLimits
from bridge.deliver.cause import Cause
from bridge.deliver.client import CertificateError, NoProgress
from bridge.deliver.error_text import cause_of, describe_failure, one_line
from bridge.deliver.exchange import Response
from bridge.deliver.http_connect import ProxyError

LONGEST_RETRY_AFTER = 3600.0
"Seconds. A longer Retry-After is shortened to this value."
ABSURD_RETRY_AFTER = 7 * 86_400.0
"Seconds. A longer Retry-After is ignored, as one that cannot be read."
MAX_ID = 100
"Limit of an event id in characters."
MAX_VALUES_PER_EVENT = 16
"Limit of the JSON values per event in a response. The ids and refusals of a batch are fewer."
LARGEST_EVENT = GroupLimits().event_bytes
"Limit of one event in bytes. The collector accepts every body that is smaller."


class Verdict(Enum):
    """Outcomes of one request."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    SPLIT = "split"
    REFUSED = "refused"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and its details. ``reason`` is for the operator."""

    verdict: Verdict
    reason: str = ""
    status: int | None = None
    "HTTP status; None if there was no response."
    accepted: int = 0
    "Events that the collector has accepted."
    confirmed: bool = True
    "True if the response contained ids of the events."
    first_id: str | None = None
    last_id: str | None = None
    rejected: dict[int, str] = field(default_factory=dict)
    "Reason of the refusal by position in the request, for events that the collector refused individually."
    retry_after: float | None = None
    "Seconds that the collector asks us to wait."
    network: bool = False
    """The collector was not reached, or only a gateway in front of it responded. The fault concerns its URL, not
    this intake."""
    cut_off: bool = False
    "The request timed out, or its connection ended without a response, after sending the body had begun."
    foreign: bool = False
    "A 2xx response that is not from the collector."
    uncertain: bool = False
    "The collector may have accepted the events. If they are sent again, they are possible duplicates."
    cause: Cause | None = None
    "Cause of a verdict other than ACCEPTED."


# Matches the usual response without parsing its ids. Parsing 20,000 ids would take longer than sending the events.
# Possessive, as a body may be megabytes of blanks.
_BEFORE_IDS = re.compile(rb'\s*+\{\s*+(?:"received"\s*+:\s*+true\s*+,\s*+)?"event_ids"\s*+:\s*+\[')
_BEHIND_IDS = re.compile(rb"\]\s*+\}\s*+")
_RETRIES = frozenset((408, 425, 429, 407))
_GATEWAY = frozenset((502, 503, 504))
_LONGEST_DATE = 60
PROXY_SIGNS = ("proxy-authenticate", "x-squid-error", "proxy-connection", "x-zscaler-error")


def read(answer: Response, count: int, *, now: float, size: int | None = None) -> Outcome:
    """Returns the outcome of a request that carried ``count`` events in ``size`` bytes before compression (None: not
    known). ``now`` is in seconds since the epoch."""
    status = answer.status
    if 200 <= status < 300:
        return _success(answer, count)
    reason = f"the collector answered {status}{_body_text(answer)}"
    if status == 407 or (status == 403 and any(sign in answer.headers for sign in PROXY_SIGNS)):
        reason = f"a proxy answered {status}{_body_text(answer)}; allow the gateway to reach the collector"
        return Outcome(Verdict.RETRY, reason, status, retry_after=_retry_after(answer, now), cause=Cause.PROXY)
    if status in _RETRIES or status >= 500 or status < 200:
        return Outcome(
            Verdict.RETRY, reason, status, retry_after=_retry_after(answer, now), network=status in _GATEWAY,
            uncertain=status >= 500 and status != 503, cause=Cause.RATE if status in _RETRIES else Cause.SERVER,
        )  # fmt: skip
    if status == 413 and size is not None and size < LARGEST_EVENT:
        reason = f"the collector answered 413 to only {size:,} bytes{_body_text(answer)}"
        return Outcome(Verdict.RETRY, reason, status, retry_after=_retry_after(answer, now), cause=Cause.TOO_LARGE)
    if status == 413:
        return Outcome(Verdict.SPLIT, reason, status, cause=Cause.TOO_LARGE)
    if status in (400, 422):
        return Outcome(Verdict.REFUSED, reason, status, cause=Cause.REFUSED)
    remedy = {401: "; check the intake key", 403: "; check the intake key", 404: "; check the URL"}
    cause = Cause.KEY if status in (401, 403) else Cause.URL
    return Outcome(Verdict.PARKED, reason + remedy.get(status, ""), status, cause=cause)


def of_failure(failure: Failure, secrets: Iterable[str] = ()) -> Outcome:
    """Returns the outcome of a request without a response. The reason does not contain the ``secrets``."""
    unsent = _unsent(failure.value)
    cut_off = not unsent and bool(failure.check(NoProgress, RequestTransmissionFailed, ResponseNeverReceived))
    # A collector that has received only a part of a body accepts nothing of it.
    uncertain = not unsent and not failure.check(RequestTransmissionFailed)
    reason = describe_failure(failure, secrets)
    return Outcome(Verdict.RETRY, reason, network=True, cut_off=cut_off, uncertain=uncertain, cause=cause_of(failure))


def was_repeated(failure: Failure) -> bool:
    """Returns True if the client sent the request a second time after a connection that ended without a response."""
    return failure.value is not None and isinstance(failure.value.__cause__, ResponseNeverReceived)


def _unsent(error: BaseException | None) -> bool:
    """Returns True if the collector cannot have received the body: no connection was made, or TLS ended it."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return any(_unsent(reason.value) for reason in reasons)
    if isinstance(error, NoProgress):
        return not error.begun
    unsent_errors = ConnectError | DNSLookupError | VerificationError | SSL.Error | CertificateError | ProxyError
    return isinstance(error, unsent_errors)


def _success(answer: Response, count: int) -> Outcome:
    if answer.cut is not None:
        return _foreign(answer, f"{answer.cut}: {shown(answer.body) or 'blanks'}")
    if ids := _id_list(answer.body):
        id_count = ids.count(b'"') // 2
        if id_count == count or b"null" not in ids:
            first, last = ids.find(b'"'), ids.rfind(b'"')
            return Outcome(
                Verdict.ACCEPTED, status=answer.status, accepted=min(id_count, count),
                first_id=_raw_id(ids[first + 1 : ids.find(b'"', first + 1)]) if id_count else None,
                last_id=_raw_id(ids[ids.rfind(b'"', 0, last) + 1 : last]) if id_count else None,
            )  # fmt: skip
    parsed = _parsed(answer.body, count)
    if isinstance(parsed, dict) and isinstance(parsed.get("event_ids"), list):
        return _outcome_of_ids(parsed, answer.status, count)
    if isinstance(parsed, dict) and isinstance(parsed.get("event_id"), str):
        event_id = shown_id(parsed["event_id"])
        return Outcome(Verdict.ACCEPTED, status=answer.status, accepted=1, first_id=event_id, last_id=event_id)
    if isinstance(parsed, dict) and parsed.get("received") is True:
        return Outcome(Verdict.ACCEPTED, status=answer.status, accepted=count, confirmed=False)
    return _foreign(answer, shown(answer.body) or "the body is empty")


def _foreign(answer: Response, why: str) -> Outcome:
    reason = f"response {answer.status} is not from the collector: {why}"
    return Outcome(Verdict.RETRY, reason, answer.status, foreign=True, uncertain=True, cause=Cause.FOREIGN)


def _parsed(body: bytes, count: int) -> object:
    """Returns the JSON value of a response to ``count`` events; None if it is not JSON, or has far more values than
    any answer to them. Parsing 8 MB of brackets would take a second and hundreds of megabytes."""
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES_PER_EVENT * (count + 100):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _id_list(body: bytes) -> bytes:
    """Returns the bytes between the brackets of a response that is only a list of ids. Empty if it has another form
    or no ids."""
    opening = _BEFORE_IDS.match(body)
    end = body.find(b"]", opening.end()) if opening else -1
    if opening is None or _BEHIND_IDS.fullmatch(body, end) is None:
        return b""
    ids = body[opening.end() : end]
    return b"" if any(byte in ids for byte in (b"\\", b"[", b"{", b"}")) else ids


def _outcome_of_ids(parsed: dict[str, object], status: int, count: int) -> Outcome:
    """Returns the outcome of a response with ids, and with the events that it refuses individually, if any."""
    listed = parsed["event_ids"]
    assert isinstance(listed, list)
    ids = [str(name) for name in listed if isinstance(name, str | int)]
    rejected = {}
    if len(ids) < count:
        if len(listed) == count:
            rejected = {i: "the collector returned no id for it" for i, name in enumerate(listed) if name is None}
        errors = parsed.get("errors")
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict) and isinstance(index := error.get("index"), int) and 0 <= index < count:
                status_text, text = _value(error.get("status"), 20), _value(error.get("message"), 300)
                rejected[index] = f"the collector answered {status_text or '4xx'} for this event: {text or 'refused'}"
        if len(ids) + len(rejected) != count:
            rejected = {}
    return Outcome(
        Verdict.ACCEPTED, status=status, accepted=min(len(ids), count), rejected=rejected,
        first_id=shown_id(ids[0]) if ids else None, last_id=shown_id(ids[-1]) if ids else None,
    )  # fmt: skip


def _raw_id(raw: bytes) -> str:
    return shown_id(raw[:MAX_ID].decode("utf-8", "replace"))


def shown_id(text: str) -> str:
    """Returns an event id on one line, cut to ``MAX_ID``."""
    return one_line(text[:MAX_ID], MAX_ID)


def _value(value: object, most: int) -> str:
    """Returns a JSON text or number for the operator; empty if it is another value."""
    return one_line(str(value)[: 2 * most], most) if isinstance(value, str | int) else ""


def _retry_after(answer: Response, now: float) -> float | None:
    """Returns ``Retry-After`` in seconds from now, from a number or an HTTP date (RFC 9110 section 10.2.3).

    A date counts from the response's own ``Date``, if it has one, because the gateway's clock may be wrong.
    """
    text = answer.headers.get("retry-after", "").strip()
    if not text.isascii() or len(text) > _LONGEST_DATE:
        return None
    if text.isdigit():
        seconds = float(text)
    elif (at := _date(text)) is not None:
        sent = _date(answer.headers.get("date", "")) or datetime.fromtimestamp(now, UTC)
        seconds = max(0.0, (at - sent).total_seconds())
    else:
        return None
    return None if seconds > ABSURD_RETRY_AFTER else min(seconds, LONGEST_RETRY_AFTER)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text[:_LONGEST_DATE])
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _body_text(answer: Response) -> str:
    text = shown(answer.body)
    return f": {text}" if text else ""


def shown(body: bytes) -> str:
    """Returns the beginning of a body on one line, for the log."""
    return one_line(body[:400].decode("utf-8", "replace"), 200)
