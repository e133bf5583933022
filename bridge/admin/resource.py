# mypy: disallow-untyped-calls=False
"""The admin endpoint: ``/healthz``, ``/readyz``, ``/metrics``, ``/api/status``.

``/readyz`` fails only while listeners are not bound or the spool has no room: a balancer must not drop gateways that
can still spool because the collector is away. Trouble in delivery is in the body.
"""

import json
from collections.abc import Callable

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

JSON = dict[str, object]


class _Page(Resource):
    """A page made anew for each request. ``make`` gives a status code and what to say."""

    isLeaf = True

    def __init__(self, make: Callable[[], tuple[int, str | bytes | JSON]]) -> None:
        super().__init__()
        self._make = make

    def render_GET(self, request: Request) -> bytes:
        """GET and HEAD."""
        status, said = self._make()
        request.setResponseCode(status)
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("X-Content-Type-Options", "nosniff")
        if isinstance(said, bytes):
            request.setHeader("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            return said
        if isinstance(said, str):
            request.setHeader("Content-Type", "text/plain; charset=utf-8")
            return said.encode()
        request.setHeader("Content-Type", "application/json")
        return json.dumps(said).encode() + b"\n"


def site(
    *,
    status: Callable[[], JSON],
    unready: Callable[[], list[str]],
    trouble: Callable[[], list[str]],
    metrics: Callable[[], bytes],
) -> Site:
    """The admin site. ``unready`` gives what keeps us from taking messages, ``trouble`` what is wrong beside that."""

    def ready() -> tuple[int, str]:
        missing = unready()
        return (503 if missing else 200), "\n".join(missing or trouble() or ["ready"]) + "\n"

    root = Resource()
    root.putChild(b"healthz", _Page(lambda: (200, "alive\n")))
    root.putChild(b"readyz", _Page(ready))
    root.putChild(b"metrics", _Page(lambda: (200, metrics())))
    api = Resource()
    root.putChild(b"api", api)
    api.putChild(b"status", _Page(lambda: (200, status())))
    return _QuietSite(root, parsePOSTFormSubmission=False)


class _QuietSite(Site):
    """No access log: a probe every second would bury what matters."""

    noisy = False
    displayTracebacks = False

    def log(self, request: object) -> None:
        """Nothing."""
