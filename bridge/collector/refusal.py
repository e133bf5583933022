"""Defines the exception for a refused request; its text is sent in the response and never contains a secret."""

from collections.abc import Mapping


class Refusal(Exception):
    """Raised to answer a request with ``status`` and ``{"error": text}``.

    ``errors`` are the faults per event of a batch without any accepted event (see `bridge.collector.formats`).
    ``reason`` is the code under which a listener counts the refusal; None: it is not counted.
    """

    def __init__(
        self, status: int, text: str, *, headers: Mapping[str, str] | None = None,
        errors: list[dict[str, object]] | None = None, reason: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})
        self.errors = errors or []
        self.reason = reason
