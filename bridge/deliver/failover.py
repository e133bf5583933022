"""Where an intake's requests may go: its base URLs in the order of preference, each with its breaker.

A request goes to the first URL whose breaker lets it. So while the first is in trouble the next carries on at once, and
a probe now and then goes to the first (its breaker's turn), which has everything again as soon as one is answered.
"""

from bridge.deliver.circuit_breaker import CircuitBreaker


class BaseUrls:
    """Of one intake; usually one."""

    def __init__(self, *breakers: CircuitBreaker) -> None:
        self._breakers = breakers

    def __len__(self) -> int:
        return len(self._breakers)

    def __contains__(self, breaker: CircuitBreaker) -> bool:
        return breaker in self._breakers

    @property
    def state(self) -> str:
        """closed where any URL is not in trouble; else probing or open"""
        states = {breaker.state for breaker in self._breakers}
        return "closed" if "closed" in states else "probing" if "probing" in states else "open"

    @property
    def retry_at(self) -> float:
        """When the first of those in trouble is tried again, in monotonic seconds."""
        return min((each.retry_at for each in self._breakers if each.state != "closed"), default=0.0)

    def choose(self, name: str, connections: int) -> CircuitBreaker | None:
        """The URL of the next request of an intake; None: none may go now."""
        return next((breaker for breaker in self._breakers if breaker.allows(name, connections)), None)

    def position(self, breaker: CircuitBreaker) -> int:
        """Which URL's it is."""
        return self._breakers.index(breaker)

    def change(self, name: str, before: "BaseUrls | None") -> None:
        """An intake uses these instead of others."""
        for old in before._breakers if before else ():
            if old not in self:
                old.remove(name)
        for new in self._breakers:
            if before is None or new not in before:
                new.add(name)

    def leave(self, name: str) -> None:
        """It uses none any more."""
        for breaker in self._breakers:
            breaker.remove(name)
