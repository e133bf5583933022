"""Makes one attempt to deliver a request: composes the body, posts it and classifies the response."""

from dataclasses import dataclass, replace

from twisted.python.failure import Failure

from bridge.deliver import outcome
from bridge.deliver.circuit_breaker import CircuitBreaker
from bridge.deliver.context import DeliveryContext, DeliveryPath
from bridge.deliver.dispatcher import Slot
from bridge.deliver.exchange import Response
from bridge.deliver.outcome import Outcome, Verdict
from bridge.deliver.request import Request, compose
from bridge.spool import Piece, batch_reader


@dataclass(frozen=True, slots=True)
class Attempt:
    """Sends a request of intake ``name`` to the base URL of ``breaker``."""

    name: str
    pieces: list[Piece]
    delivery_path: DeliveryPath
    breaker: CircuitBreaker
    slot: Slot
    context: DeliveryContext

    async def run(self) -> tuple[Request, Outcome]:
        """Makes the attempt. Raises Damaged or OSError if the spool cannot be read; then nothing was sent."""
        batches = list(dict.fromkeys(piece.batch for piece in self.pieces))
        for batch in batches:
            batch.request_started()
        try:
            request, result = await self._send()
        finally:
            for batch in batches:
                batch.request_ended()
        if result.verdict is not Verdict.ACCEPTED and (waiting := [batch for batch in batches if batch.all_waits]):
            # Possible duplicates are counted by now. A restart must not count them again.
            self.context.run(lambda: batch_reader.end_all(waiting))
        return request, result

    async def _send(self) -> tuple[Request, Outcome]:
        breaker = self.breaker
        breaker.started()
        try:
            request, result, seconds = await self._exchange()
        except BaseException:
            # Nothing was sent, or there is a defect: the outcome says nothing about the base URL.
            breaker.withdrawn()
            raise
        if result.network:
            breaker.fault()
        else:
            breaker.answered(self.name, seconds)
        breaker.ended(self.name, result.verdict)
        return request, result

    async def _exchange(self) -> tuple[Request, Outcome, float]:
        """Sends the request and reads its outcome. Returns also the seconds from the start of sending."""
        context, target, breaker = self.context, self.delivery_path.target, self.breaker
        await self._sync()
        request = await context.run(self._compose)
        await context.dispatcher.send(self.slot, len(request.data), breaker.stall_timeout)
        began, headers = context.clock.seconds(), dict[str, str]()
        try:
            url = target.urls[self.delivery_path.base_urls.index(breaker)]
            headers = target.headers()
            answer = await self.delivery_path.post(url, request.data, request.headers | headers)
        except Exception:
            failure = Failure()
            result = outcome.of_failure(failure, self._secrets(headers))
            copies = result.uncertain + outcome.was_repeated(failure)
        else:
            answer, result = self._read(answer, request)
            copies = result.uncertain + answer.repeated
            if result.verdict is Verdict.ACCEPTED:
                context.date_seen(answer.headers.get("date"), context.clock.seconds() - began)
        for key in self._keys():
            # An error may quote a header of the answer, and ids are kept.
            first, last = (name and name.replace(key, "****") for name in (result.first_id, result.last_id))
            result = replace(result, reason=result.reason.replace(key, "****"), first_id=first, last_id=last)
        if copies:
            self.add_possible_duplicates(copies)
        return request, result, context.clock.seconds() - began

    def _keys(self) -> list[str]:
        """Returns the keys in the request."""
        return [key] if (key := self.delivery_path.target.key()) else []

    def _secrets(self, headers: dict[str, str]) -> list[str]:
        """Returns all forms of the keys in a request with these headers."""
        return self.delivery_path.target.secrets(headers)

    def _read(self, answer: Response, request: Request) -> tuple[Response, Outcome]:
        """Returns a response and its outcome, both without the key."""
        count, now = sum(piece.count for piece in self.pieces), self.context.wall()
        result = outcome.read(answer, count, now=now, size=request.plain_size)
        if result.reason or result.rejected:
            # Only these texts quote the body. Its usual form, a megabyte of ids, is not searched.
            answer = replace(answer, body=self.delivery_path.target.without_key(answer.body))
            result = outcome.read(answer, count, now=now, size=request.plain_size)
        return answer, result

    def add_possible_duplicates(self, copies: int) -> None:
        """Counts all events of the request as possible duplicates, ``copies`` times."""
        self.context.ledger.add_possible_duplicates(self.name, copies * sum(piece.count for piece in self.pieces))

    async def _sync(self) -> None:
        try:
            await self.context.before_sending([piece.batch for piece in self.pieces])
        except OSError as error:
            self._report_unprepared(error)

    def _compose(self) -> Request:
        """Builds the request and marks its batches as started. Runs in the spool thread."""
        request = compose(self.pieces, self.delivery_path.target)
        try:
            batch_reader.begin_all(piece.batch for piece in self.pieces)
        except OSError as error:
            self._report_unprepared(error)
        return request

    def _report_unprepared(self, error: OSError) -> None:
        """Reports that files could not be synced or renamed, for example on a read-only filesystem.

        The request is sent nevertheless, because an event at the collector is safer than one on a broken disk. After a
        crash it is sent again without being counted as a possible duplicate.
        """
        self.context.on_error(
            f"spool: cannot mark or sync files of intake {self.name} before they are sent: {error.strerror}."
            f" They are sent nevertheless; after a crash they may be sent again. Check that the filesystem is writable"
        )

    def report_failover(self) -> None:
        """Raises or clears the failover alarm after a response.

        A response of another URL that arrives while the first one answers, for example late, changes nothing.
        """
        urls, breakers = self.delivery_path.target.urls, self.delivery_path.base_urls
        position = breakers.index(self.breaker)
        if position and breakers[0].state != "closed":
            text = f"intake {self.name}: {urls[0]} does not answer; its events go to {urls[position]}"
            self.context.alarms.on("failover", self.name, text)
        elif not position:
            self.context.alarms.off("failover", self.name, f"intake {self.name}: {urls[0]} answers again")
