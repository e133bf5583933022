"""Why a request is not accepted: an exception whose text is the answer's, without any secret in it."""

from collections.abc import Mapping


class Refusal(Exception):
    """The request is answered with ``status`` and the text as ``{"error": text}``.

    ``errors`` are per-event faults of a batch of which nothing was accepted (see `bridge.collector.formats`).
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, object]] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})
        self.errors = errors or []
