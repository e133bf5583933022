"""Delivers one intake's batches: takes them in turn, posts, settles what the answer says.

=============  ======================================================================================
idle           nothing waits
delivering     requests go, up to ``in_flight``
backing-off    the last request failed; one at a time, after a wait, until one is accepted
parked         the collector does not take this intake's events at all: one attempt every few minutes
=============  ======================================================================================

Whatever the answer, an event stays in the spool until it is accepted or in quarantine. The ledger moves on the
reactor, in the turn in which the answer is read; the file goes later, in the spool's thread. What waits is in
``stock``, when the next request may go in ``attempts``; what an answer does is in ``settling``,
and of refused events in ``refusals``.
"""

import hashlib

from isal import igzip
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.batching.grouping import NO_TIME
from bridge.deliver import outcome, splitting
from bridge.deliver.attempts import Attempts
from bridge.deliver.breaker import Breaker
from bridge.deliver.dispatcher import Slot
from bridge.deliver.fitting import Fitting
from bridge.deliver.office import Office, Poster, Target, Turn
from bridge.deliver.settling import Request, Settling
from bridge.deliver.stock import Stock
from bridge.deliver.width import JoinWidth
from bridge.spool import Batch, Pack, Piece, reading
from bridge.syslog.timestamps import rfc3339

log = Logger(namespace="deliver")


<<<<<<< HEAD
class Store(Packer, Protocol):
    """What holds sealed batches until they are acknowledged. All of it returns at once, but what a Packer does."""

    def acknowledge(self, batches: list[Batch], receipt: Receipt | None) -> None:
        """A request was accepted; these batches are settled whole and go after the receipt is written."""

    def refuse(self, intake: str, refused: list[tuple[Piece, str]], settled: list[Batch]) -> None:
        """Single events go to quarantine with the collector's words, on disk before ``settled`` batches go."""

    def keep_evidence(self, intake: str, sequence: int, body: bytes) -> None:
        """Keep a copy of a request of which the collector took only a part, without saying which."""

    def set_aside(self, batch: Batch, why: str) -> None:
        """This one cannot be read: it goes to quarantine."""


class Poster(Protocol):
    """What posts."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> "defer.Deferred[Answer]":
        """POST a body; any status is an Answer."""


class Alarms(Protocol):
    """Where what an operator must know is said, once."""

    def on(self, kind: str, about: str, text: str) -> None:
        """It is so."""

    def off(self, kind: str, about: str, text: str) -> None:
        """It is so no longer; nothing where it was not."""


class Measures(Protocol):
    """Where what a request took, and how exact its time was, is observed."""

    def accepted(self, *, delay: float | None, error: float) -> None:
        """Seconds since a batch was sealed (None: before this process), and from the request's time to its events'."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an intake's events go. ``repr`` shows no key."""

    url: str
    "The endpoint's whole URL."
    headers: Callable[[], dict[str, str]]
    "The authentication, made anew for each request."
    gzip: bool

    def __repr__(self) -> str:
        return f"Target({self.url})"


@dataclass(frozen=True, slots=True)
class Turn:
    """How requests are made up."""

    in_flight: int
    max_events: int
    max_bytes: int
    resolution_ms: int
    catch_up_ms: int
    live_for: float = 10.0
    live_first: bool = True


@dataclass(frozen=True, slots=True)
class Office:
    """What all couriers of a bridge share. ``in_thread`` runs a job in the spool's thread; ``wall`` is in seconds
    since the epoch."""

    clock: IReactorTime
    wall: Callable[[], float]
    store: Store
    ledger: Ledger
    dispatcher: Dispatcher
    alarms: Alarms
    measures: Measures
    in_thread: Callable[[Callable[[], Any]], "defer.Deferred[Any]"]
    before_sending: Callable[[list[Batch]], None] = lambda batches: None
    "Called in the spool's thread before a request with these batches goes. An OSError of it delays the request."
    date_seen: Callable[[str | None, float], None] = lambda date, took: None
    "Called with the ``Date`` of an acceptance, and the seconds that the request took."


@dataclass(frozen=True, slots=True)
class Answered:
    """What an operator asks of the last answers; ``at`` is in seconds since the epoch."""

    at: float
    outcome: Outcome


@dataclass(slots=True)
class _Body:
    """A request made up in the spool's thread."""

    data: bytes
    plain_size: int
    sha256: str


=======
>>>>>>> main
class Courier:
    """One intake."""

    def __init__(
        self, name: str, target: Target, turn: Turn, *, office: Office, poster: Poster, breaker: Breaker
    ) -> None:
        self.name = name
<<<<<<< HEAD
        self.last_error: str | None = None
        self.last_answer: Answered | None = None
        self.last_acceptance: Answered | None = None
        self.waiting_events = 0
        "Sealed events that are not settled."
        self.waiting_bytes = 0
        self._loose_disk = 0
        "The same in allocated blocks, without packs."
        self.delivered_bytes = 0
        "Of accepted requests, as text."
        self.delivered = 0
        self.unconfirmed = 0
        "Delivered events that the collector took without naming them."
        self.requests: dict[str, int] = {verdict.value: 0 for verdict in Verdict}
        self.parked: str | None = None
        "Why, while it is."
        self._next_attempt: float | None = None
=======
>>>>>>> main
        self._target = target
        self._turn = turn
        self._office = office
        self._clock = office.clock
        self._poster = poster
        self._breaker = breaker
        self._attempts = Attempts(name, most=turn.in_flight, office=office, breaker=breaker)
        self._stock = Stock(name, turn, office=office, failed=self._attempts.fail)
        self._fitting = Fitting(turn.max_bytes)
        self._settling = Settling(
            name, office=office, stock=self._stock, attempts=self._attempts, fitting=self._fitting,
            halve=self._halve, last=self._asks_last,
        )  # fmt: skip
        self._refusals = self._settling.refusals
        self._lanes, self._splits = self._stock.lanes, self._stock.splits
        self._slots: set[Slot] = set()
        "Requests in flight."
        self._width = JoinWidth(turn.catch_up_ms)
        self._fresh_turn = False
        breaker.add(name)

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """idle, delivering, backing-off or parked"""
        if self.parked is not None:
            return "parked"
        if self._attempts.failures or (self._stock and self._breaker.state != "closed"):
            return "backing-off"
        return "delivering" if self._stock else "idle"

    @property
    def parked(self) -> str | None:
        """Why, while it is."""
        return self._attempts.parked

    @property
    def last_error(self) -> str | None:
        """What went wrong last; None since a request was accepted."""
        return self._attempts.last_error

    @property
    def next_attempt_in(self) -> float | None:
        """Seconds until the next attempt; None: none is waited for."""
        return self._attempts.next_in

    @property
    def waiting_events(self) -> int:
        """Sealed events that are not settled."""
        return self._stock.events

    @property
    def waiting_bytes(self) -> int:
        """Their bytes, as lines."""
        return self._stock.size

    @property
    def waiting_disk(self) -> int:
        """Allocated bytes of what waits."""
        return self._stock.disk

    @property
    def oldest(self) -> Batch | None:
        """The sealed batch that has waited longest."""
        return self._stock.oldest

    @property
    def oldest_sequence(self) -> int | None:
        """The sequence of the sealed batch that has waited longest, in a pack or not."""
        return self._stock.oldest_sequence

    @property
    def delivered(self) -> int:
        """Events that the collector has taken."""
        return self._settling.delivered

    @property
    def delivered_bytes(self) -> int:
        """Of accepted requests, as text."""
        return self._settling.delivered_bytes

    @property
    def unconfirmed(self) -> int:
        """Delivered events that the collector took without naming them."""
        return self._settling.unconfirmed

    @property
    def requests(self) -> dict[str, int]:
        """Requests by their outcome."""
        return self._settling.requests

    # --- what it is told ---------------------------------------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """A batch was sealed."""
        self._stock.add(batch)
        self._office.dispatcher.wake()

    def add_pack(self, pack: Pack) -> None:
        """A pack was found at start."""
        self._stock.add_pack(pack)
        self._office.dispatcher.wake()

    def drop_oldest(self) -> Batch | Pack | None:
        """Forget the oldest batch, or pack, of which nothing is in flight or settled, None: there is none.

        The caller sees to file and account.
        """
        return self._stock.drop_oldest()

    def tidy(self) -> None:
        """Pack what waits in too many files. Called several times a second."""
        self._stock.tidy(
            away=bool(self._attempts.failures) or self.parked is not None or self._breaker.state != "closed"
        )

    def resume(self, target: Target | None = None) -> None:
        """Its key or URL has changed, or its collector is back: try at once."""
        if target is not None:
            self._target = target
            self._attempts.unpark()
        self._attempts.at_once()
        self._office.dispatcher.wake()

    def stop(self) -> None:
        """No further attempts."""
        self._attempts.stop()

    # --- the dispatcher's view ---------------------------------------------------------------------------------------

    @property
    def patience(self) -> float:
        """Seconds after which a request without an answer is stalled."""
        return self._breaker.patience

    def ready(self) -> bool:
        """Whether a request could start now; reads on in packs where requests will need it."""
        if not self._may_start():
            return False
        if self._lanes.hungry:
            self._stock.shelf.feed(share=self._office.dispatcher.senders or 1)
            if not self._may_start():
                return False
        if not len(self._lanes):
            if not len(self._splits):
                return False
            if wait := self._splits.ready_in(self._clock.seconds()):
                self._attempts.wait(wait)
                return False
        return True

    def _may_start(self) -> bool:
        if self._attempts.waiting or not self._breaker.allows(self.name, self._office.dispatcher.connections):
            return False
        if not (len(self._lanes) or len(self._splits) or self._lanes.hungry):
            return False
        stalled = any(slot.stalled for slot in self._slots)
        troubled = self._attempts.failures or self._refusals.in_a_row or self.parked is not None or stalled
        return len(self._slots) < (1 if troubled else min(self._attempts.window, self._turn.in_flight))

    def start(self) -> bool:
        """Start the next request."""
        now = self._clock.seconds()
        # Fresh batches take turns with a search, but not while it is being refused: one with a bad event of its own
        # would begin a second search before the first has shown that the collector takes anything.
        self._fresh_turn = not self._fresh_turn
        fresh = self._fresh_turn and self._splits.few_suspected and not self._refusals.in_a_row and len(self._lanes)
        pieces = [] if fresh else self._splits.take(now)
        split = bool(pieces)
        if not pieces:
            pieces = self._from_lanes(now)
        if not pieces:
            return False
        slot = self._office.dispatcher.begin(self.patience)
        if not split and self._needs_cut(pieces):
            act = self._cut(pieces[0].batch)
        elif self._too_large(pieces):
            act = self._halve(pieces)
        else:
            self._breaker.started()
            act = self._deliver(pieces, split, slot)
        self._slots.add(slot)

        def ended(result: object) -> None:
            self._slots.discard(slot)
            self._office.dispatcher.end(slot)

        defer.ensureDeferred(act).addErrback(self._failed_inside, pieces).addBoth(ended)
        return True

    def _from_lanes(self, now: float) -> list[Piece]:
        limited = self._office.dispatcher.limited
        catching_up = limited or self._lanes.has_backlog
        max_bytes = min(self._turn.max_bytes, self._fitting.limit)
        pieces = self._lanes.take(
            now,
            width_ms=self._width.ms if catching_up else self._turn.resolution_ms,
            max_events=self._turn.max_events,
            max_bytes=max_bytes,
        )
        size, count = sum(p.size for p in pieces), sum(p.count for p in pieces)
        small = size * 2 < max_bytes and count * 2 < self._turn.max_events
        self._widen(now, limited=limited and small)
        return pieces

    def _widen(self, now: float, *, limited: bool) -> None:
        about = f"intake {self.name}"
        if not self._lanes.has_backlog:
            if self._width.caught_up():
                self._office.alarms.off("width", self.name, f"{about} has caught up: times are as exact as configured")
        elif not limited or self._attempts.failures:
            self._width.held_up()
        elif self._width.falls_behind(now, len(self._lanes)):
            text = (
                f"{about} falls behind at max_request_rate: the times in one request may now differ by"
                f" {self._width.ms / 1000:g} s"
            )
            self._office.alarms.on("width", self.name, text)

    @staticmethod
    def _needs_cut(pieces: list[Piece]) -> bool:
        return pieces[0].batch.timed and pieces[0].lines is None

    def _asks_last(self) -> bool:
        """Whether the request at hand is the only one, and nothing waits behind it."""
        return not len(self._splits) and not len(self._lanes) and len(self._slots) == 1

    def _too_large(self, pieces: list[Piece]) -> bool:
        return sum(p.size for p in pieces) > self._fitting.limit and sum(p.count for p in pieces) > 1

    # --- one request -------------------------------------------------------------------------------------------------

    async def _deliver(self, pieces: list[Piece], split: bool, slot: Slot) -> None:
        try:
            body = await self._office.in_thread(lambda: self._body(pieces))
        except (reading.Damaged, OSError) as error:
            self._breaker.withdrawn()
            self._cannot_read(pieces, split, error)
            return
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Request-ID": str(pieces[0].batch.sequence)}
        earliest = min(piece.earliest for piece in pieces)
        if earliest != NO_TIME:
            headers["X-SEKOIAIO-EVENT-TIMESTAMP"] = rfc3339(earliest)
        if self._target.gzip:
            headers["Content-Encoding"] = "gzip"
        await self._office.dispatcher.send(slot, len(body.data), self.patience)
        began = self._clock.seconds()
        try:
            answer = await self._poster.post(self._target.url, body.data, headers | self._target.headers())
        except Exception:
            result = outcome.of_failure(Failure())
            doubtful = result.uncertain
        else:
            result = outcome.read(answer, sum(piece.count for piece in pieces), now=self._office.wall())
            doubtful = result.uncertain or answer.repeated
            if result.verdict is Verdict.ACCEPTED:
                self._office.date_seen(answer.headers.get("date"), self._clock.seconds() - began)
        if doubtful:
            self._may_be_double(pieces)
        if result.network:
            self._breaker.fault()
        else:
            self._breaker.answered(self.name, self._clock.seconds() - began)
        await self._settling.settle(pieces, split, result, body)

    def _may_be_double(self, pieces: list[Piece]) -> None:
        """The collector may have taken these without our knowing, and will get them again. Each counts once."""
        for piece in pieces:
            if not piece.doubtful:
                piece.doubtful = True
                self._office.ledger.may_be_double(self.name, piece.count)

    def _body(self, pieces: list[Piece]) -> Request:
        """The request's body; in the spool's thread."""
        parts = [reading.as_plain(piece) for piece in pieces]
        self._office.before_sending([piece.batch for piece in pieces])
        reading.begin_all(piece.batch for piece in pieces)
        plain = (parts[0] if len(parts) == 1 else b"".join(parts))[:-1]
        data = igzip.compress(plain, compresslevel=1) if self._target.gzip else plain
        return Request(data, len(plain), hashlib.sha256(plain).hexdigest(), self._target.gzip)

    async def _cut(self, batch: Batch) -> None:
        """A timed batch becomes pieces that each fit one request."""
        turn, whole = self._turn, Piece.whole(batch)
        try:
            cut = await self._office.in_thread(
                lambda: reading.cut_by_time(batch, turn.resolution_ms, turn.max_events, turn.max_bytes)
            )
        except (reading.Damaged, OSError) as error:
            self._cannot_read([whole], split=False, error=error)
        else:
            self._lanes.put_back(cut, self._clock.seconds())

    async def _halve(self, pieces: list[Piece]) -> None:
        """What one request carried becomes two."""
        try:
            halves = await self._office.in_thread(lambda: splitting.halves(pieces))
        except (reading.Damaged, OSError) as error:
            self._cannot_read(pieces, split=True, error=error)
        else:
            self._splits.add(*halves)

<<<<<<< HEAD
    # --- what the answer says ----------------------------------------------------------------------------------------

    async def _settle(self, pieces: list[Piece], split: bool, result: Outcome, body: _Body) -> None:
        self.requests[result.verdict.value] += 1
        self.last_answer = Answered(self._office.wall(), result)
        if result.verdict is Verdict.ACCEPTED:
            self.last_acceptance = self.last_answer
        self._timeouts = self._timeouts + 1 if result.timeout else 0
        self._strangers = self._strangers + 1 if result.stranger else 0
        alone = sum(piece.count for piece in pieces) == 1
        if result.verdict is Verdict.ACCEPTED:
            await self._accepted(pieces, result, body)
        elif result.verdict is Verdict.RETRY:
            self._put_back(pieces, split)
            if self._timeouts >= 2:
                self._timeouts = 0
                self._fits_now = max(SMALLEST_BODY, body.plain_size // 2)
            if self._strangers >= MOST_STRANGERS:
                self._park(f"answers are not the intake's: {result.reason}")
            else:
                self._fail(result.reason, at_least=result.retry_after, network=result.network)
        elif result.verdict is Verdict.SPLIT and not alone:
            # A bit more than half: halves by events differ in bytes, and are not to be halved again unasked.
            self._fits = max(1, body.plain_size * 5 // 8)
            self.last_error = result.reason
            log.warn(
                "intake {intake}: {why}; from now on at most {size} bytes a request",
                intake=self.name, why=result.reason, size=self._fits,
            )  # fmt: skip
            await self._halve(pieces)
        elif result.verdict is Verdict.PARKED:
            self._put_back(pieces, split)
            self._park(result.reason)
        else:
            await self._refused(pieces, split, alone, result)

    async def _accepted(self, pieces: list[Piece], result: Outcome, body: _Body) -> None:
        count = sum(piece.count for piece in pieces)
        self._works_again()
        self._office.ledger.deliver(self.name, result.accepted)
        self.delivered += result.accepted
        self.delivered_bytes += body.plain_size
        self.unconfirmed += 0 if result.confirmed else result.accepted
        if result.rejected:
            chosen, others = await self._office.in_thread(lambda: splitting.single_out(pieces, set(result.rejected)))
            self._condemned.extend((piece, result.rejected[position]) for position, piece in chosen)
            pieces = others
        elif short := count - result.accepted:
            self._office.ledger.drop_spooled(self.name, short, "collector_shortfall")
            text = f"the collector named {result.accepted} of {count} events as accepted; {short} may be lost there"
            self.last_error = text
            self._office.alarms.on("loss", self.name, f"intake {self.name}: {text}")
            plain = igzip.decompress(body.data) if self._target.gzip else body.data
            self._office.store.keep_evidence(self.name, pieces[0].batch.sequence, plain)
        receipt = Receipt(
            self.name, [(p.batch.sequence, p.count, p.batch.count) for p in pieces], result.accepted, body.sha256,
            result.status or 0, result.first_id, result.last_id, result.confirmed,
        )  # fmt: skip
        self._observe(pieces)
        self._office.store.acknowledge(self._settled(pieces), receipt)
        if result.accepted:
            self._acceptances += 1
            self._carry_out()

    def _observe(self, pieces: list[Piece]) -> None:
        now = self._clock.seconds()
        earliest = min((piece.earliest for piece in pieces), default=0)
        for piece in pieces:
            sealed = piece.batch.sealed
            delay = now - sealed if math.isfinite(sealed) else None
            self._office.measures.accepted(delay=delay, error=(piece.latest - earliest) / 1000)

    async def _refused(self, pieces: list[Piece], split: bool, alone: bool, result: Outcome) -> None:
        self._refusals += 1
        self.last_error = result.reason
        for piece in pieces:
            if piece.suspected is None:
                piece.suspected = self._acceptances
        if self._refusals >= MOST_REFUSALS:
            self._refusals = 0
            for piece in pieces:
                piece.suspected = None
            self._put_back(pieces, split)
            self._make_whole()
            self._park(f"the collector refuses everything: {result.reason}")
        elif alone:
            self._condemned.append((pieces[0], result.reason))
            log.warn("intake {intake}: one event is refused: {why}", intake=self.name, why=result.reason)
            if not len(self._splits) and not len(self._lanes) and len(self._slots) == 1:
                # Nothing is left to ask: what was accepted while the event was searched for must do.
                self._carry_out(since_suspected=True)
        else:
            await self._halve(pieces)

    def _carry_out(self, *, since_suspected: bool = False) -> None:
        """Another event was accepted: the condemned ones go to quarantine; or those that one was accepted since they
        were suspected."""
        condemned, kept = self._condemned, []
        if since_suspected:
            kept = [each for each in condemned if (each[0].suspected or 0) >= self._acceptances]
            condemned = [each for each in condemned if (each[0].suspected or 0) < self._acceptances]
        if not condemned:
            return
        self._condemned = kept
        for piece, _ in condemned:
            self._office.ledger.quarantine(self.name, piece.count)
        log.warn("intake {intake}: {n} refused events moved to quarantine", intake=self.name, n=len(condemned))
        self._office.store.refuse(self.name, condemned, self._settled([piece for piece, _ in condemned]))

    def _settled(self, pieces: list[Piece]) -> list[Batch]:
        """The batches that these events were the last of."""
        whole = []
        for piece in pieces:
            batch = piece.batch
            batch.unacknowledged -= piece.count
            self.waiting_events -= piece.count
            if batch.unacknowledged <= 0:
                self.waiting_bytes -= batch.size
                self._loose_disk -= batch.disk
                self._shelf.settled(batch)
                del self._batches[batch]
                self._splits.forget(batch)
                whole.append(batch)
        return whole

    def _works_again(self) -> None:
        if self._failures or self._refusals or self.parked is not None:
            log.info("intake {intake}: delivering again", intake=self.name)
        self._unpark()
        self._failures = self._refusals = 0
        self.last_error = None
        self._window = min(self._turn.in_flight, self._window * 2)
        if self._fits_now is not None:
            self._fits_now = self._fits_now * 2 if self._fits_now < self._turn.max_bytes else None

    # --- trouble -----------------------------------------------------------------------------------------------------

    def _put_back(self, pieces: list[Piece], split: bool) -> None:
        if split:
            self._splits.add(pieces)
        else:
            self._lanes.put_back(pieces, self._clock.seconds())

    def _fail(self, why: str, *, at_least: float | None = None, network: bool = False) -> None:
        """A request is to be tried again, after a wait: ours, or the breaker's where the URL is in trouble."""
        self.last_error = why
        self._window = 1
        if self._retry is not None:
            # Requests that were in flight together fail together: one failure.
            return
        if self.parked is not None:
            self._park(self.parked)
            return
        self._failures += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)
        if network and self._breaker.state != "closed":
            wait = max(0.0, self._breaker.retry_at - self._clock.seconds())
        wait = max(wait, at_least or 0.0)
        if self._failures & (self._failures - 1) == 0:
            # The first failure and then ever fewer: an outage of a weekend is a few lines.
            log.warn(
                "intake {intake}: {why}; attempt {n}, next in {wait:.1f} s; events are kept",
                intake=self.name, why=why, n=self._failures, wait=wait,
            )  # fmt: skip
        if at_least or not network or self._breaker.state == "closed":
            self._wait(wait)

    def _park(self, why: str) -> None:
        if self.parked != why:
            text = f"intake {self.name} is parked: {why}; its events are kept, the others are not concerned"
            self._office.alarms.on("parked", self.name, text)
        self.parked = self.last_error = why
        self._window = 1
        self._wait(PARKED_WAIT * random.uniform(0.9, 1.1))

    def _unpark(self) -> None:
        if self.parked is not None:
            self.parked = None
            self._office.alarms.off("parked", self.name, f"intake {self.name} is parked no longer")

    def _wait(self, seconds: float) -> None:
        if self._retry is None:
            self._retry = self._clock.callLater(seconds, self._try_again)
            self._next_attempt = self._clock.seconds() + seconds

    def _try_again(self) -> None:
        self._retry = self._next_attempt = None
        self._office.dispatcher.wake()

    def _make_whole(self) -> None:
        """Undo all splitting of batches of which nothing is settled yet; ranges of others stay ranges."""
        ranges = [piece for unit in self._splits.clear() for piece in unit]
        ranges += [piece for piece, _ in self._condemned]
        self._condemned.clear()
        held: dict[Batch, int] = {}
        certain: set[Batch] = set()
        for piece in ranges:
            held[piece.batch] = held.get(piece.batch, 0) + piece.count
            if not piece.doubtful:
                certain.add(piece.batch)
        whole: dict[Batch, Piece] = {}
        for piece in ranges:
            batch = piece.batch
            if held[batch] == batch.count and not batch.timed:
                whole.setdefault(batch, Piece.whole(batch)).doubtful = batch not in certain
            else:
                piece.suspected = None
                self._splits.add([piece])
        self._lanes.put_back(list(whole.values()), self._clock.seconds())
=======
    # --- trouble of our own ------------------------------------------------------------------------------------------
>>>>>>> main

    def _cannot_read(self, pieces: list[Piece], split: bool, error: Exception) -> None:
        """A file cannot be read: all wait again; or it is not what its name says: then it goes, the others wait."""
        damaged = error.batch if isinstance(error, reading.Damaged) else None
        self._stock.put_back([piece for piece in pieces if piece.batch is not damaged], split=split)
        if damaged is None:
            self._attempts.fail(f"cannot read the spool: {error}")
        elif damaged in self._stock.batches:
            self._stock.set_aside(damaged, error)

    def _failed_inside(self, failure: Failure, pieces: list[Piece]) -> None:
        """A defect of ours must not lose a batch or stop the intake."""
        log.failure("intake {intake}: defect while delivering", failure, intake=self.name)
        self._stock.put_back([piece for piece in pieces if piece.batch in self._stock.batches], split=True)
        self._attempts.fail(f"defect: {failure.value!r}")
