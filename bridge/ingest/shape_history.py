"""Learns which kinds of messages a source sends, and judges whether they have changed for good.

A *kind* is the layout of a message, and whether its event matches the format of its intake. The *main* kinds of a
source are those that match the format or, if none does, its most frequent kind. A change is *suspected* when a message
of a new kind comes, and *confirmed* when new kinds have replaced the main ones. Some conditions keep ordinary traffic
from looking like a change:

- A single message, or a burst of a rare kind beside the usual messages, confirms nothing: of the messages since the
  first new one, at least half must be of new kinds and at most a twentieth of the main ones.
- Silence of the main kinds must mean something: at the usual rate of the source, at least ``EXPECTED`` of them would
  have come. Without a format to compare with, they must also be missing for longer than so far.
- The main kinds must be missing for twice as many messages as ever before.
- A kind that came at three times, or beside the usual messages on the first day, is no longer new.

Times are in milliseconds since the epoch. The caller has the clock.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.grammar import Header

LEARNED = 50
"Messages after which the kinds of a source are known."
LEARNED_FEW = 20
"The same for a source that was first seen a day ago."
DAY_MS = 86_400_000
RATE_MS = 1_200_000
RATE_EVENTS = 20
"The usual rate of a source is that of so long a time and so many events at least, and of twice as many at most."
MOST_KINDS = 8
"Kinds that are remembered of one source. The rarest is replaced."
KNOWN = 3
"Count from which a kind is no longer new."
APART_MS = 600_000
"Time between two of the times at which a new kind must come to be known."
MIN_MAIN_SHARE = 0.2
"Share of messages that must match the format. If fewer do, the layouts are compared."
CHECK_EVERY = 4
"While nothing is suspected, every fourth message of a known layout is compared with the format,"
CHECK_AFTER_MS = 4000
"and one after such a time without a sample."

NEW = 20
"Examined messages of new kinds that a change needs."
NEW_AT_FIRST = 40
"The same on the first day of a source, when many usual kinds have not come yet."
LONGER = 2
"So many times more messages than ever came in sequence without one of the main kinds."
EXPECTED = 20.0
"Messages of the main kinds that would have come if nothing had changed."
SHORTEST_MS = 40_000
"Shortest time after which a change is confirmed. A device that starts sends other messages for some seconds."
KNOWN_RUN = 100
"""The numbers of messages, examined and expected, if the kinds are known ones that do not match the format. It must
also be ``KNOWN_RUN_FACTOR`` times more in sequence than ever, since a day at least."""
KNOWN_RUN_FACTOR = 10

EXAMINED = 8192
"Bytes of a message that are examined."
_CAP = 255

_TEXTS = (
    ("CEF", re.compile(rb"[^{}\n]{0,60}?CEF: ?[01]\|")),
    ("LEEF", re.compile(rb"[^{}\n]{0,60}?LEEF:[12]\.0\|")),
    ("JSON", re.compile(rb'[^"{\n]{0,20}\{\s*+"[^"]{1,64}"\s*+:')),
    ("XML", re.compile(rb"<[?A-Za-z]")),
    ("key=value", re.compile(rb"[A-Za-z][\w.@-]{0,48}=")),
)


class MessageLayout(NamedTuple):
    """Describes how a message is built: the shape of its header, its parts, and the beginning of its text."""

    shape: str
    tag: bool
    host: bool
    text: str
    "CEF, LEEF, JSON, XML, key=value or text"

    def words(self, other: "MessageLayout") -> str:
        """Describes the layout in a few words that tell it from another."""
        if self.shape != other.shape:
            return self.shape
        parts = [self.shape] + [self.text] * (self.text != other.text)
        parts += ["without tag"] * (other.tag and not self.tag) + ["without host"] * (other.host and not self.host)
        return ", ".join(parts)


class MessageKind(NamedTuple):
    """A kind of messages. ``fits`` is None if there is no format, or if a match proves little."""

    layout: MessageLayout
    fits: bool | None


def layout_of(frame: bytes, header: Header) -> MessageLayout:
    """Returns the layout of a frame, whose first bytes have the given header."""
    if header.shape == "rfc5424-malformed-data":
        # The structured data may be longer than the bytes that were parsed.
        header = parser.read(frame[:EXAMINED])
    text = header.msg[:200].lstrip(b" \xef\xbb\xbf")
    found = next((name for name, begins in _TEXTS if begins.match(text)), "text")
    return _layout(header.shape, header.app_name != b"", header.hostname != b"", found)


@lru_cache(maxsize=1000)
def _layout(shape: str, tag: bool, host: bool, text: str) -> MessageLayout:
    # Cached, so that all sources share the objects.
    return MessageLayout(shape, tag, host, text)


@lru_cache(maxsize=1000)
def _shared(kinds: tuple[MessageKind, ...]) -> tuple[MessageKind, ...]:
    return kinds


class ShapeHistory:
    """Holds the kinds of one source with their counts, which are halved again and again. Takes about 300 bytes."""

    __slots__ = (
        "_age", "_counts", "_gap", "_longest", "_main_ms", "_rare_ms", "_run", "_turn", "events", "kinds", "since_ms",
        "target",
    )  # fmt: skip

    def __init__(self, target: int, since_ms: int, events: int) -> None:
        self.target = target
        "Identifies the intakes and formats that the messages are compared with."
        self.since_ms = since_ms
        self.events = events
        "Events of the source at that time, from which its usual rate is measured."
        self.kinds: tuple[MessageKind, ...] = ()
        self._counts = b""
        self._age = self._gap = self._main_ms = self._run = self._longest = self._turn = self._rare_ms = 0

    def is_learned(self, now_ms: int) -> bool:
        """Returns True if enough messages are known for a change to mean something."""
        total = sum(self._counts)
        return total >= LEARNED or (total >= LEARNED_FEW and self._is_old(now_ms))

    def _is_old(self, now_ms: int) -> bool:
        return self._age * RATE_MS + now_ms - self.since_ms >= DAY_MS

    def skips(self, layout: MessageLayout, silent_ms: int) -> bool:
        """Returns True if a message of a known layout need not be compared with the format this time."""
        self._turn = 0 if silent_ms >= CHECK_AFTER_MS else (self._turn + 1) % CHECK_EVERY
        return self._turn != 0 and self._run < KNOWN and any(kind.layout == layout for kind in self.kinds)

    def note_usual(self, now_ms: int, events: int) -> None:
        """Records the events so far, while nothing is suspected."""
        passed, count = now_ms - self.since_ms, events - self.events
        if passed >= 2 * RATE_MS and count >= 2 * RATE_EVENTS:
            self._age = min(_CAP, self._age + passed // 2 // RATE_MS)
            self.since_ms, self.events = now_ms - passed // 2, events - count // 2

    def learn(self, kind: MessageKind, now_ms: int) -> None:
        """Counts a message of a usual kind."""
        if kind in self.kinds:
            place = self.kinds.index(kind)
            count = max(KNOWN, min(_CAP, self._counts[place] + 1))
            self._set(place, count)
            if count == _CAP:
                self._counts = bytes(count if count < KNOWN else max(KNOWN, count // 2) for count in self._counts)
                self._gap = max(0, self._gap - 1)
        else:
            self._add(kind, KNOWN)
        if self.is_main(kind):
            if self._main_ms:
                # Bits of the seconds: small numbers take no memory.
                self._gap = max(self._gap, (max(0, now_ms - self._main_ms) // 1000).bit_length())
            self._main_ms = now_ms
            self._longest, self._run = max(self._longest, self._run), 0
        else:
            self._run = min(_CAP, self._run + 1)

    def learn_new(self, kinds: Counter[MessageKind], now_ms: int, *, at_once: bool = False) -> None:
        """Counts new kinds that came beside the usual ones. ``at_once``: they are known from now on.

        On the first day of a source, they are known at once as well: so long, many usual kinds have not come yet.
        """
        if not at_once:
            self._longest = max(self._longest, min(_CAP, kinds.total()))
        at_once = at_once or not self._is_old(now_ms)
        if not at_once and 0 <= now_ms - self._rare_ms < APART_MS:
            return
        self._rare_ms = now_ms
        for kind, _ in kinds.most_common(MOST_KINDS // 2):
            if kind in self.kinds:
                place = self.kinds.index(kind)
                self._set(place, min(_CAP, max(self._counts[place] + 1, KNOWN * at_once)))
            else:
                self._add(kind, KNOWN if at_once else 1)

    def _set(self, place: int, count: int) -> None:
        self._counts = b"%b%c%b" % (self._counts[:place], count, self._counts[place + 1 :])

    def _add(self, kind: MessageKind, count: int) -> None:
        kinds, counts = self.kinds, self._counts
        if len(kinds) >= MOST_KINDS:
            place = counts.index(min(counts))
            kinds, counts = (*kinds[:place], *kinds[place + 1 :]), counts[:place] + counts[place + 1 :]
        self.kinds, self._counts = _shared((*kinds, kind)), b"%b%c" % (counts, count)

    def shares(self) -> list[tuple[MessageKind, float]]:
        """Returns the kinds with their recent shares, the most frequent first."""
        total = sum(self._counts) or 1
        pairs = zip(self.kinds, self._counts, strict=True)
        return [(kind, round(count / total, 3)) for kind, count in sorted(pairs, key=lambda pair: -pair[1])]

    @property
    def fitting_share(self) -> float:
        """Returns the share of messages that match the format."""
        pairs = zip(self.kinds, self._counts, strict=True)
        return sum(count for kind, count in pairs if kind.fits) / (sum(self._counts) or 1)

    @property
    def compares_layouts(self) -> bool:
        """True if there is no format to compare with, or if the messages did not match it anyway."""
        return self.fitting_share < MIN_MAIN_SHARE

    @property
    def main(self) -> MessageKind:
        """Returns the most frequent kind; among those that match the format, if there is one to compare with."""
        any_kind = self.compares_layouts
        pairs = zip(self._counts, self.kinds, strict=True)
        return max((pair for pair in pairs if any_kind or pair[1].fits), key=lambda pair: pair[0])[1]

    def is_main(self, kind: MessageKind) -> bool:
        """Returns True for a message of a main kind."""
        return kind == self.main if self.compares_layouts else kind.fits is True

    def is_new(self, kind: MessageKind) -> bool:
        """Returns True for a kind that is a sign of a change."""
        if not self.compares_layouts and kind.fits is not False:
            return False
        return kind not in self.kinds or self._counts[self.kinds.index(kind)] < KNOWN

    def is_long_run(self, now_ms: int) -> bool:
        """Returns True if known kinds that do not match the format come as never before."""
        if self._run < NEW or self._run <= KNOWN * self._longest or not self._is_old(now_ms):
            return False
        return self.fitting_share >= MIN_MAIN_SHARE

    def confirms(self, change: "SuspectedChange", now_ms: int) -> bool:
        """Returns True if the suspected change is certain enough."""
        least = NEW if self._is_old(now_ms) else NEW_AT_FIRST
        needed, expected = max(least, LONGER * max(self._longest, self._run)), EXPECTED
        if change.known:
            needed, expected = max(KNOWN_RUN, KNOWN_RUN_FACTOR * self._longest), float(KNOWN_RUN)
        passed = now_ms - change.began_ms
        if change.new < needed or change.new * 2 < change.total or change.main * 20 > change.total:
            return False
        if passed < SHORTEST_MS or (self.compares_layouts and passed < 1000 << self._gap):
            return False
        rate = (change.events - self.events) / max(1000, change.began_ms - self.since_ms)
        share = self.shares()[0][1] if self.compares_layouts else self.fitting_share
        return rate * share * passed >= expected


class SuspectedChange:
    """Counts the messages of a source since the first one of a new kind, and remembers one before and one after."""

    __slots__ = (
        "_returned",
        "after",
        "before",
        "began_ms",
        "confirmed_ms",
        "disposition",
        "events",
        "kinds",
        "known",
        "main",
        "main_kind",
        "new",
        "total",
    )  # fmt: skip

    RETURNED = 5
    "Messages of the main kinds, more than of new ones, after which a confirmed change is over."

    def __init__(
        self, main_kind: MessageKind, began_ms: int, events: int, before: bytes | None, *, known: bool = False
    ) -> None:
        self.main_kind = main_kind
        self.began_ms = began_ms
        self.events = events
        "Events of the source when the change began."
        self.before = before
        "A message from before, or None if messages may not be shown."
        self.after: bytes | None = None
        self.known = known
        "True if the messages are of known kinds that do not match the format."
        self.confirmed_ms: int | None = None
        self.kinds: Counter[MessageKind] = Counter()
        self.new = self.main = self.total = 0
        self.disposition: tuple[str | None, str | None] = (None, None)
        "Intake and format of the latest message of a new kind."
        self._returned = 0

    def note(self, kind: MessageKind, history: ShapeHistory) -> bool:
        """Counts a message. Returns True if it is of a new kind."""
        new = kind.fits is False if self.known else history.is_new(kind)
        main = not new and history.is_main(kind)
        self.total, self.new, self.main = self.total + 1, self.new + new, self.main + main
        self._returned = max(0, self._returned + main - new)
        if new and (kind in self.kinds or len(self.kinds) < MOST_KINDS):
            self.kinds[kind] += 1
        return new

    def confirm(self, now_ms: int) -> None:
        """Marks the change as certain."""
        self.confirmed_ms, self._returned = now_ms, 0

    def forget_messages(self) -> None:
        """Removes the text of the messages, because messages may not be shown any more."""
        self.before = self.after = None

    @property
    def is_over(self) -> bool:
        """True if the main kinds come again: they never stopped, or they have returned."""
        if self.confirmed_ms is not None:
            return self._returned >= self.RETURNED
        return self.main >= KNOWN and self.main * 10 > self.total

    @property
    def new_kind(self) -> MessageKind:
        """Returns the most frequent of the new kinds."""
        return self.kinds.most_common(1)[0][0]
