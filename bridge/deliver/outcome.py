"""What an answer means for the events of its request: a closed set, one table.

=====================================  ===========================================================================
answer                                 outcome
=====================================  ===========================================================================
2xx, the collector's JSON              **accepted**: as many events as it names; all, *unconfirmed*, where it names
                                       none; events that it refuses one by one go to quarantine
2xx, anything else                     **retry** as a stranger's (a proxy's page, a captive portal); three in a row park
network faults, no progress            **retry**; two timeouts in a row halve the next request
408, 425, 429, 5xx, garbage            **retry**, not before ``Retry-After``
407; 403 that a proxy has signed       **retry**, and it says so
413                                    **split**: halve until it fits
400, 422                               **refused**: bisect until the event is alone
401, 403, 404, 405, redirects, other   **parked**: the intake waits for its operator
=====================================  ===========================================================================

Only the collector's own JSON is acceptance. But where the body was sent, and no answer came, or a stranger's, or a
gateway's or server's error (5xx but 503), the collector may have taken the events all the same: *uncertain*.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.python.failure import Failure

from bridge.deliver.client import CertificateError, NoProgress, Response
from bridge.deliver.error_text import in_words
from bridge.deliver.http_connect import ProxyError

LONGEST_RETRY_AFTER = 3600.0
"Seconds; what asks for more is asked again after this."


class Verdict(Enum):
    """The outcomes of one POST."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    SPLIT = "split"
    REFUSED = "refused"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what belongs to it. ``reason`` is for the operator."""

    verdict: Verdict
    reason: str = ""
    status: int | None = None
    "HTTP status; None: there was no answer."
    accepted: int = 0
    "Events that the collector has taken."
    confirmed: bool = True
    "Whether the answer named the events."
    first_id: str | None = None
    last_id: str | None = None
    rejected: dict[int, str] = field(default_factory=dict)
    "Position of an event in the request -> why the collector refused it, alone."
    retry_after: float | None = None
    "Seconds that the collector asks us to wait."
    network: bool = False
    "The collector was not reached, or only a gateway before it: its URL is in trouble, not this intake."
    timeout: bool = False
    stranger: bool = False
    "A success that is not the collector's."
    uncertain: bool = False
    "The collector may have taken the events: sent again, they are possible duplicates."


# The usual answer, whose ids need no parsing: that of 20,000 ids would cost more than sending them.
_BEFORE_IDS = re.compile(rb'\s*\{\s*(?:"received"\s*:\s*true\s*,\s*)?"event_ids"\s*:\s*\[')
_BEHIND_IDS = re.compile(rb"\]\s*\}\s*")
_RETRIES = frozenset((408, 425, 429, 407))
_GATEWAY = frozenset((502, 503, 504))
PROXY_SIGNS = ("proxy-authenticate", "x-squid-error", "proxy-connection", "x-zscaler-error")


def read(answer: Response, count: int, *, now: float) -> Outcome:
    """The outcome of a request that carried ``count`` events; ``now`` in seconds since the epoch."""
    status = answer.status
    if 200 <= status < 300:
        return _success(answer, count)
    said = f"the collector answered {status}{_words(answer)}"
    if status == 407 or (status == 403 and any(sign in answer.headers for sign in PROXY_SIGNS)):
        why = f"a proxy on the way answered {status}{_words(answer)}; it must let us through to the collector"
        return Outcome(Verdict.RETRY, why, status, retry_after=_retry_after(answer, now))
    if status in _RETRIES or status >= 500 or status < 200:
        return Outcome(
            Verdict.RETRY, said, status, retry_after=_retry_after(answer, now), network=status in _GATEWAY,
            uncertain=status >= 500 and status != 503,
        )  # fmt: skip
    if status == 413:
        return Outcome(Verdict.SPLIT, said, status)
    if status in (400, 422):
        return Outcome(Verdict.REFUSED, said, status)
    remedy = {401: "; is the intake key right?", 403: "; is the intake key right?", 404: "; is the URL right?"}
    return Outcome(Verdict.PARKED, said + remedy.get(status, ""), status)


def of_failure(failure: Failure) -> Outcome:
    """The outcome of a request without an answer."""
    timeout = failure.check(NoProgress) is not None
    return Outcome(
        Verdict.RETRY, in_words(failure), network=True, timeout=timeout, uncertain=not _unsent(failure.value)
    )


def _unsent(error: BaseException | None) -> bool:
    """Whether the collector cannot have had the body: there was no connection, or TLS ended it."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return any(_unsent(reason.value) for reason in reasons)
    if isinstance(error, NoProgress):
        return not error.begun
    never = ConnectError | DNSLookupError | VerificationError | SSL.Error | CertificateError | ProxyError
    return isinstance(error, never)


def _success(answer: Response, count: int) -> Outcome:
    if ids := _ids(answer.body):
        named = ids.count(b'"') // 2
        if named == count or b"null" not in ids:
            first, last = ids.find(b'"'), ids.rfind(b'"')
            return Outcome(
                Verdict.ACCEPTED, status=answer.status, accepted=min(named, count),
                first_id=_id(ids[first + 1 : ids.find(b'"', first + 1)]) if named else None,
                last_id=_id(ids[ids.rfind(b'"', 0, last) + 1 : last]) if named else None,
            )  # fmt: skip
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("event_ids"), list):
        return _named(said, answer.status, count)
    if isinstance(said, dict) and isinstance(said.get("event_id"), str):
        return Outcome(
            Verdict.ACCEPTED, status=answer.status, accepted=1, first_id=said["event_id"], last_id=said["event_id"]
        )
    if isinstance(said, dict) and said.get("received") is True:
        return Outcome(Verdict.ACCEPTED, status=answer.status, accepted=count, confirmed=False)
    why = f"the answer {answer.status} is not the intake's: {shown(answer.body) or 'it is empty'}"
    return Outcome(Verdict.RETRY, why, answer.status, stranger=True, uncertain=True)


def _ids(body: bytes) -> bytes:
    """What stands in the brackets of an answer that is only a list of ids; empty where it is another, or names none."""
    opening = _BEFORE_IDS.match(body)
    end = body.find(b"]", opening.end()) if opening else -1
    if opening is None or _BEHIND_IDS.fullmatch(body, end) is None:
        return b""
    ids = body[opening.end() : end]
    return b"" if any(byte in ids for byte in (b"\\", b"[", b"{", b"}")) else ids


def _named(said: dict[str, object], status: int, count: int) -> Outcome:
    """An answer that names events, and perhaps those that it refuses."""
    listed = said["event_ids"]
    assert isinstance(listed, list)
    ids = [str(name) for name in listed if isinstance(name, str | int)]
    rejected = {}
    if len(ids) < count:
        if len(listed) == count:
            rejected = {i: "the collector gave it no id" for i, name in enumerate(listed) if name is None}
        errors = said.get("errors")
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict) and isinstance(index := error.get("index"), int) and 0 <= index < count:
                words = str(error.get("message") or "refused")[:300]
                rejected[index] = f"the collector answered {error.get('status', '4xx')} for this event: {words}"
        if len(ids) + len(rejected) != count:
            rejected = {}
    return Outcome(
        Verdict.ACCEPTED, status=status, accepted=min(len(ids), count), rejected=rejected,
        first_id=ids[0][:100] if ids else None, last_id=ids[-1][:100] if ids else None,
    )  # fmt: skip


def _id(raw: bytes) -> str:
    return raw[:100].decode("utf-8", "replace")


def _retry_after(answer: Response, now: float) -> float | None:
    """``Retry-After`` in seconds from now: a number, or an HTTP date (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 12:
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.fromtimestamp(now, UTC)).total_seconds()), LONGEST_RETRY_AFTER)


def _words(answer: Response) -> str:
    text = shown(answer.body)
    return f": {text}" if text else ""


def shown(body: bytes) -> str:
    """The beginning of a body on one line, for the log."""
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
