"""What an answer means for the events of its request. A closed set.

A stranger's answer (a proxy's page, a captive portal) is never taken for acceptance: only the collector's own JSON is.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum

from bridge.deliver.client import Answer


class Verdict(Enum):
    """The outcomes of one POST."""

    ACCEPTED = "accepted"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, in words."""

    verdict: Verdict
    reason: str = ""
    "For the operator; empty where all is well."
    accepted: int = 0
    "Events that the collector has taken."
    confirmed: bool = True
    "Whether the answer named the events."


# The usual answer, whose ids need no parsing: of 20,000 ids that would cost more than sending them.
_IDS = re.compile(rb'\s*\{\s*(?:"received"\s*:\s*true\s*,\s*)?"event_ids"\s*:\s*\[([^\]\\\[{}]*+)\]\s*\}\s*')


def read(answer: Answer, count: int) -> Outcome:
    """The outcome of a request that carried ``count`` events."""
    if not 200 <= answer.status < 300:
        return Outcome(Verdict.RETRY, f"the collector answered {answer.status}{_words(answer)}")
    ids = _count_ids(answer.body)
    if ids is None:
        return Outcome(Verdict.RETRY, f"the answer {answer.status} is not the intake's: {_shown(answer.body)}")
    if ids < 0:
        return Outcome(Verdict.ACCEPTED, accepted=count, confirmed=False)
    return Outcome(Verdict.ACCEPTED, accepted=min(ids, count))


def _count_ids(body: bytes) -> int | None:
    """How many events the collector names; -1: it has them but does not say; None: this is not the collector."""
    if match := _IDS.fullmatch(body):
        return match[1].count(b'"') // 2
    try:
        said = json.loads(body)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    if isinstance(said.get("event_ids"), list):
        return len(said["event_ids"])
    if isinstance(said.get("event_id"), str):
        return 1
    return -1 if said.get("received") is True else None


def _words(answer: Answer) -> str:
    shown = _shown(answer.body)
    return f": {shown}" if shown else ""


def _shown(body: bytes) -> str:
    """The beginning of a body on one line, for the log."""
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
