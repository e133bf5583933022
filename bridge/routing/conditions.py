"""Compiles and checks the conditions of a route. Conditions are ANDed, members of a list are ORed.

``source``, ``listener`` and ``client_name`` depend on the peer alone and are checked when a peer is first seen. The
others depend on the header or the message, and stay in the peer's *residual* rules.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple, Protocol

from bridge.util.expression import Expression, LimitExceeded

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_NAME = 1024
"Longest host or app name that a glob can match."


class MessageLike(Protocol):
    """Declares the ``message: {contains, starts_with, matches}`` condition, as the configuration has it."""

    @property
    def contains(self) -> Sequence[str]: ...
    @property
    def starts_with(self) -> Sequence[str]: ...
    @property
    def matches(self) -> Sequence[Expression]: ...


class ConditionsLike(Protocol):
    """Declares the conditions of a route or of its ``except``, as the configuration has them."""

    @property
    def source(self) -> Sequence[Network]: ...
    @property
    def listener(self) -> Sequence[str]: ...
    @property
    def client_name(self) -> Sequence[str]: ...
    @property
    def hostname(self) -> Sequence[str]: ...
    @property
    def app_name(self) -> Sequence[str]: ...
    @property
    def procid(self) -> Sequence[str]: ...
    @property
    def msgid(self) -> Sequence[str]: ...
    @property
    def facility(self) -> Sequence[int]: ...
    @property
    def min_severity(self) -> int | None: ...
    @property
    def max_severity(self) -> int | None: ...
    @property
    def message(self) -> MessageLike | None: ...


class Facts(NamedTuple):
    """The fields of a frame that conditions look at; ``b""`` means that the frame lacks the field."""

    hostname: bytes = b""
    app_name: bytes = b""
    procid: bytes = b""
    msgid: bytes = b""
    priority: bytes = b""
    text: bytes = b""


class Conditions:
    """Holds the compiled conditions on a frame. Without conditions, every frame matches.

    ``on_limit`` is called for each message on which an expression exceeds its match limit. Such a message does not
    match.
    """

    __slots__ = (
        "_contains",
        "_expressions",
        "_globs",
        "_hostname",
        "_on_limit",
        "_priorities",
        "_starts_with",
        "needs",
    )

    def __init__(self, given: ConditionsLike, on_limit: Callable[[], None] | None = None) -> None:
        globs = {name: _globs(getattr(given, name)) for name in ("app_name", "procid", "msgid")}
        self._globs = [(name, pattern) for name, pattern in globs.items() if pattern is not None]
        self._hostname = _globs(given.hostname)
        self._priorities = _priorities(given)
        self._contains = _encoded(given.message.contains) if given.message else ()
        self._starts_with = _encoded(given.message.starts_with) if given.message else ()
        self._expressions = given.message.matches if given.message else ()
        self._on_limit = on_limit
        used = {
            "hostname": self._hostname is not None,
            "priority": self._priorities is not None,
            "text": bool(self._contains or self._starts_with or self._expressions),
            **dict.fromkeys((name for name, _ in self._globs), True),
        }
        self.needs = frozenset(name for name, is_used in used.items() if is_used)
        "Columns that the conditions read. If empty, the conditions always hold."

    def hold(self, facts: Facts) -> bool:
        """Returns True if a frame meets all conditions."""
        if self._priorities is not None and facts.priority not in self._priorities:
            return False
        if self._hostname and not (
            _matches(self._hostname, facts.hostname) or _matches(self._hostname, _short(facts.hostname))
        ):
            return False
        for name, pattern in self._globs:
            if not _matches(pattern, getattr(facts, name)):
                return False
        if self._contains and not any(part in facts.text for part in self._contains):
            return False
        if self._starts_with and not facts.text.startswith(self._starts_with):
            return False
        return not self._expressions or self._any_matches(facts.text)

    def _any_matches(self, text: bytes) -> bool:
        exceeded = False
        for expression in self._expressions:
            try:
                if expression.matches(text):
                    return True
            except LimitExceeded:
                exceeded = True
        if exceeded and self._on_limit is not None:
            self._on_limit()
        return False


def peer_matches(given: ConditionsLike, listener: str, address: Address | None, client: Sequence[str] = ()) -> bool:
    """Returns True if a peer meets the conditions that depend on the peer alone.

    ``address`` is None for a peer without an IP address. ``client`` holds the names in its certificate.
    """
    if given.listener and listener not in given.listener:
        return False
    if given.client_name and not any(globs_match(given.client_name, name) for name in client):
        return False
    if not given.source:
        return True
    return address is not None and any(address.version == n.version and address in n for n in given.source)


def globs_match(patterns: Sequence[str], name: str, *, short: bool = False) -> bool:
    """Returns True if one of the globs matches a name, or, with ``short``, the first label of a host name."""
    globs, encoded = _globs(patterns), name.encode("utf-8", "surrogateescape")
    return globs is not None and (_matches(globs, encoded) or (short and _matches(globs, _short(encoded))))


def _priorities(given: ConditionsLike) -> frozenset[bytes] | None:
    """Returns the PRI values that meet the conditions on facility and severity, or None without such conditions."""
    if not given.facility and given.min_severity is None and given.max_severity is None:
        return None
    worst = given.max_severity or 0
    mildest = 7 if given.min_severity is None else given.min_severity
    facilities = given.facility or range(24)
    return frozenset(
        b"%d" % (8 * facility + severity) for facility in facilities for severity in range(worst, mildest + 1)
    )


def _encoded(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(text.encode("utf-8", "surrogateescape") for text in texts)


def _short(hostname: bytes) -> bytes:
    """Returns the first label of a full host name. An IPv4 address is returned whole."""
    return hostname if hostname.replace(b".", b"").isdigit() else hostname.partition(b".")[0]


def _matches(globs: re.Pattern[bytes], name: bytes) -> bool:
    # A forged name may be as long as a frame; real names are short.
    return 0 < len(name) <= LONGEST_NAME and globs.fullmatch(name) is not None


def _globs(patterns: Sequence[str]) -> re.Pattern[bytes] | None:
    """Compiles globs (``*``, ``?``) to one expression that ignores case, or returns None if there are none."""
    if not patterns:
        return None
    return re.compile(b"|".join(map(_glob, _encoded(patterns))), re.IGNORECASE)


def _glob(pattern: bytes) -> bytes:
    """Translates a glob to a regular expression with at most quadratic run time, whatever the name.

    Each piece between two stars is matched at its first occurrence, without backtracking, as fnmatch does.
    """
    first, *others = (re.escape(piece).replace(rb"\?", rb"[\x00-\xff]") for piece in re.split(rb"\*+", pattern))
    if not others:
        return first
    middle = b"".join(rb"(?>[\x00-\xff]*?" + piece + rb")" for piece in others[:-1])
    return first + middle + rb"[\x00-\xff]*" + others[-1]
