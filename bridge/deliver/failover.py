"""Chooses the base URL of an intake's next request: the URLs in order of preference, each with its circuit breaker.

A request uses the first URL whose breaker allows it. If the breaker of the first URL is open, requests go to the next
URL at once. The breaker occasionally lets a probe through to the first URL. As soon as a probe gets a response, all
requests use the first URL again.
"""

from bridge.deliver.circuit_breaker import CircuitBreaker


class BaseUrls:
    """Base URLs of one intake, usually one."""

    def __init__(self, *breakers: CircuitBreaker) -> None:
        self._breakers = breakers

    def __len__(self) -> int:
        return len(self._breakers)

    def __contains__(self, breaker: CircuitBreaker) -> bool:
        return breaker in self._breakers

    @property
    def state(self) -> str:
        """Returns closed if any breaker is closed; otherwise probing or open."""
        states = {breaker.state for breaker in self._breakers}
        return "closed" if "closed" in states else "probing" if "probing" in states else "open"

    @property
    def retry_at(self) -> float:
        """Returns the monotonic time in seconds at which the next URL with an open breaker is tried again."""
        return min((each.retry_at for each in self._breakers if each.state != "closed"), default=0.0)

    def choose(self, name: str, connections: int) -> CircuitBreaker | None:
        """Returns the breaker of the URL for an intake's next request; None if no request is allowed now."""
        return next((breaker for breaker in self._breakers if breaker.allows(name, connections)), None)

    def position(self, breaker: CircuitBreaker) -> int:
        """Returns the index of the breaker's URL."""
        return self._breakers.index(breaker)

    def change(self, name: str, previous: "BaseUrls | None") -> None:
        """Registers an intake at these URLs and removes it from the previous ones."""
        for old in previous._breakers if previous else ():
            if old not in self:
                old.remove(name)
        for new in self._breakers:
            if previous is None or new not in previous:
                new.add(name)

    def leave(self, name: str) -> None:
        """Removes an intake from all URLs."""
        for breaker in self._breakers:
            breaker.remove(name)
