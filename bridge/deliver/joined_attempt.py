"""Makes one attempt to deliver small batches of several intakes in one request to ``/array``.

Each row of the request carries the key of its intake and the time of its event. The response counts for each intake as
if the intake had sent its part alone:

================================================  ====================================================================
response to the request                           outcome of a part
================================================  ====================================================================
accepted, with an id for each event               accepted, with its own ids
accepted, events refused one by one               accepted with its own refusals; *split* if all its events are refused
no response, 408, 425, 429, 5xx, foreign          the same
anything else: the cause may be another intake    *split*: the part is sent again alone, to the intake's own endpoint
================================================  ====================================================================
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from isal import igzip

from bridge.deliver import outcome
from bridge.deliver.attempt import Attempt
from bridge.deliver.exchange import Response
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.request import Request, compose
from bridge.spool import batch_reader
from bridge.util.counts import counted


@dataclass(frozen=True, slots=True)
class JoinedAttempt(Attempt):
    """Sends the parts as one request. ``pieces`` are those of all parts, the other fields those of the first part. The
    target of each part's path is its ``joined`` target."""

    parts: Sequence[Attempt] = ()
    requests: list[Request] = field(default_factory=list)
    "Request of each part, as if it were sent alone."
    outcomes: list[Outcome] = field(default_factory=list)
    "Outcome of each part, once the attempt has ended."

    async def run_all(self) -> list[tuple[Request, Outcome]]:
        """Makes the attempt. Returns the request and the outcome of each part. Raises Damaged or OSError if the spool
        cannot be read; then nothing was sent."""
        _, result = await self.run()
        if not self.outcomes:
            # There was no response.
            self.outcomes.extend(parts_of(result, b"", self._counts))
        return list(zip(self.requests, self.outcomes, strict=True))

    @property
    def _counts(self) -> list[int]:
        return [sum(piece.count for piece in part.pieces) for part in self.parts]

    def _compose(self) -> Request:
        self.requests.extend(
            compose(part.pieces, replace(part.delivery_path.target, gzip=False)) for part in self.parts
        )
        body = b"[" + b",".join(request.data[1:-1] for request in self.requests) + b"]"
        zips = self.delivery_path.target.gzip
        headers = self.requests[0].headers | ({"Content-Encoding": "gzip"} if zips else {})
        request = Request(
            igzip.compress(body, compresslevel=1) if zips else body, len(body),
            sum(part.size for part in self.requests),
            # Receipts and evidence are those of the parts.
            hashlib.sha256(b"".join(part.sha256.encode() for part in self.requests)).hexdigest(),
            headers, exact=True, evidence=lambda: b"",
        )  # fmt: skip
        try:
            batch_reader.begin_all(piece.batch for piece in self.pieces)
        except OSError as error:
            self._report_unprepared(error)
        return request

    def _keys(self) -> list[str]:
        return [key for part in self.parts for key in part._keys()]

    def _secrets(self, headers: dict[str, str]) -> list[str]:
        return self._keys()

    def _read(self, answer: Response, request: Request) -> tuple[Response, Outcome]:
        body = answer.body
        for key in self._keys():
            body = body.replace(key.encode(), b"****")
        answer, counts = replace(answer, body=body), self._counts
        result = outcome.read(answer, sum(counts), now=self.context.wall(), size=request.plain_size)
        self.outcomes.extend(parts_of(result, body, counts))
        if result.verdict is Verdict.ACCEPTED and result.accepted + len(result.rejected) != sum(counts):
            # The accepted events are not known, so all are sent again.
            result = replace(result, uncertain=True)
        return answer, result

    def add_possible_duplicates(self, copies: int) -> None:
        for part in self.parts:
            part.add_possible_duplicates(copies)


def parts_of(result: Outcome, body: bytes, counts: Sequence[int]) -> list[Outcome]:
    """Returns the outcome of each part of a request, which have so many events. ``body`` is that of the response."""
    if result.verdict is Verdict.RETRY and result.status != 413:
        return [result] * len(counts)
    if result.verdict is not Verdict.ACCEPTED or result.accepted + len(result.rejected) != sum(counts):
        reason = result.reason or f"the collector confirmed {result.accepted} of {counted(sum(counts), 'event')}"
        return [Outcome(Verdict.SPLIT, reason, result.status)] * len(counts)
    ids = iter(_ids(body))
    parts, start = list[Outcome](), 0
    for count in counts:
        rejected = {place - start: why for place, why in result.rejected.items() if start <= place < start + count}
        accepted = count - len(rejected)
        start += count
        own = list(islice(ids, accepted)) if result.confirmed else []
        if accepted:
            first, last = (own[0], own[-1]) if own else (None, None)
            parts.append(replace(result, accepted=accepted, rejected=rejected, first_id=first, last_id=last))
        else:
            # Its key may be the cause, and then no event is at fault.
            parts.append(Outcome(Verdict.SPLIT, next(iter(rejected.values())), result.status))
    return parts


def _ids(body: bytes) -> list[str]:
    """Returns the ids in a response that was read as acceptance."""
    parsed = json.loads(body)
    listed = parsed.get("event_ids", [parsed.get("event_id")])
    return [outcome.shown_id(str(name)) for name in listed or [] if isinstance(name, str | int)]
