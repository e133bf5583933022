"""Tests the defaults of the limits that only HTTPS listeners have."""

from bridge.config import Listener


def test_defaults_fit_the_usual_batches_of_agents() -> None:
    """Agents send at most 10 MiB at once, and one client may buffer half of all."""
    listener = Listener()
    assert (listener.max_events_per_request, listener.request_buffer) == (100_000, 64 << 20)
    assert listener.request_buffer // 2 >= 3 * (10 << 20)
