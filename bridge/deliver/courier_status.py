"""Shows the state of one intake's delivery to the status page, metrics, quotas and the cluster."""

from urllib.parse import urlsplit

from bridge.deliver.cause import Cause
from bridge.deliver.context import DeliveryContext, DeliveryPath
from bridge.deliver.pending import PendingBatches
from bridge.deliver.response_handler import DeliveryCounters
from bridge.deliver.retry_state import RetryState


class CourierStatus(DeliveryCounters):
    """State and counters of one courier."""

    def __init__(
        self, name: str, delivery_path: DeliveryPath, context: DeliveryContext, pending: PendingBatches,
        retry_state: RetryState,
    ) -> None:  # fmt: skip
        super().__init__()
        self.name = name
        self._delivery_path = delivery_path
        self._context = context
        self._pending = pending
        self._retry_state = retry_state

    @property
    def state(self) -> str:
        """Returns idle, delivering, backing-off or parked."""
        if self.parked is not None:
            return "parked"
        if self._retry_state.failures or (self._pending and self._delivery_path.base_urls.state != "closed"):
            return "backing-off"
        return "delivering" if self._pending else "idle"

    @property
    def parked(self) -> str | None:
        """Returns why the intake is parked; None if it is not parked."""
        return self._retry_state.parked

    @property
    def last_error(self) -> str | None:
        """Returns the latest error; None since a request was accepted, unless files cannot be read."""
        return self._retry_state.last_error or self.unreadable_text

    @property
    def last_cause(self) -> Cause | None:
        """Returns the cause of ``last_error``, if it is known."""
        if self._retry_state.last_error is not None:
            return self._retry_state.last_cause
        return None if self.unreadable_text is None else Cause.FILES

    @property
    def failing_seconds(self) -> float | None:
        """Returns the seconds since the first failure; None since a request was accepted."""
        since = self._retry_state.failing_since
        return None if since is None else self._context.clock.seconds() - since

    @property
    def server(self) -> str:
        """Returns host and port of the first URL of the requests."""
        return urlsplit(self._delivery_path.target.url).netloc.rpartition("@")[2]

    @property
    def unreadable_text(self) -> str | None:
        """Returns which files cannot be read; None if all can be."""
        return self._pending.unreadable.text

    @property
    def next_attempt_in(self) -> float | None:
        """Returns the seconds until the next attempt; None if no wait is set."""
        own = self._retry_state.next_in
        if own is None and self._pending and self._delivery_path.base_urls.state == "open":
            return max(0.0, round(self._delivery_path.base_urls.retry_at - self._context.clock.seconds(), 1))
        return own

    @property
    def waiting_events(self) -> int:
        """Returns the number of sealed events that are not settled."""
        return self._pending.events

    @property
    def waiting_bytes(self) -> int:
        """Returns the bytes of the sealed events that are not settled, as lines."""
        return self._pending.size

    @property
    def waiting_disk(self) -> int:
        """Returns the allocated bytes on disk of the waiting batches, and of settled ones that must stay."""
        return self._pending.disk + self._context.store.kept_disk.get(self.name, 0)

    @property
    def oldest_sequence(self) -> int | None:
        """Returns the sequence of the sealed batch that has waited longest, in a pack or not."""
        return self._pending.oldest_sequence
