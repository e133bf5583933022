# mypy: disallow-untyped-calls=False
"""The admin site's pages: each a function from a query to what is said, made anew for each request.

Everything that is said may hold hostile text. So JSON is never to be sniffed as HTML, other sites may neither read nor
frame it, and the status page may run nothing but its own files.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from urllib.parse import parse_qs

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import NoResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from bridge.admin.auth import Authentication

log = Logger(namespace="admin")

JSON = dict[str, object]
Query = Mapping[str, str]


class Encoded(bytes):
    """JSON that is text already."""


Said = JSON | Encoded | bytes | tuple[int, str]
"JSON; a scrape; or a status code and text."
Page = Callable[[Query], "Said | Deferred[Said]"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
}
_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip


class _Answering(Resource):
    """A page made anew for each request."""

    isLeaf = True

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def render_GET(self, request: Request) -> bytes | int:
        """GET and HEAD."""
        given = parse_qs(request.uri.partition(b"?")[2].decode("ascii", "replace"), max_num_fields=20)
        said = self._page({name: values[-1] for name, values in given.items()})
        if not isinstance(said, Deferred):
            return _told(request, said)
        gone = request.notifyFinish()
        gone.addErrback(lambda reason: said.cancel())

        def answer(later: Said) -> None:
            if not gone.called:
                request.write(_told(request, later))
                request.finish()

        def defect(failure: Failure) -> None:
            if not gone.called:
                log.failure("admin: defect in {path}", failure, path=request.path.decode("ascii", "replace"))
                request.setResponseCode(500)
                request.finish()

        said.addCallback(answer).addErrback(defect)
        return NOT_DONE_YET


def _told(request: Request, said: Said) -> bytes:
    _put_headers(request)
    request.setHeader("Cache-Control", "no-store")
    if isinstance(said, Encoded):
        request.setHeader("Content-Type", "application/json")
        return said
    if isinstance(said, bytes):
        request.setHeader("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        return said
    if isinstance(said, tuple):
        request.setResponseCode(said[0])
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return said[1].encode()
    request.setHeader("Content-Type", "application/json")
    return json.dumps(said).encode() + b"\n"


def _put_headers(request: Request) -> None:
    for name, value in _HEADERS.items():
        request.setHeader(name, value)


class _Asset(Resource):
    """A file of the status page. The browser asks each time whether it has changed."""

    isLeaf = True

    def __init__(self, data: bytes, kind: str) -> None:
        super().__init__()
        self._data = data
        self._kind = kind
        self._tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'

    def render_GET(self, request: Request) -> bytes:
        """GET and HEAD."""
        _put_headers(request)
        request.setHeader("Content-Type", self._kind)
        request.setHeader("Cache-Control", "no-cache")
        if request.setETag(self._tag.encode()):
            return b""
        return self._data


def site(pages: Mapping[str, Page], authentication: Authentication | None = None) -> Site:
    """Builds the site: pages by path, such as ``api/status``, and the status page with its files."""
    root = _Folder()
    for path, page in pages.items():
        *folders, name = path.split("/")
        place: Resource = root
        for folder in folders:
            known = place.children.get(folder.encode())
            if known is None:
                known = _Folder()
                place.putChild(folder.encode(), known)
            place = known
        place.putChild(name.encode(), _Answering(page))
    for file in (files("bridge.admin") / "static").iterdir():
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            name = "" if file.name == "index.html" else file.name
            root.putChild(name.encode(), _Asset(file.read_bytes(), kind))
    return GuardedSite(root, authentication)


class _Folder(Resource):
    """Says 404 in a line, with the headers of everything else."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """What is not there."""
        _put_headers(request)
        return NoResource()


class QuietSite(Site):
    """No access log: a probe every second would bury what matters."""

    noisy = False
    displayTracebacks = False

    def log(self, request: object) -> None:
        """Nothing."""


class GuardedSite(QuietSite):
    """Asks the guard before it answers."""

    def __init__(self, root: Resource, authentication: Authentication | None) -> None:
        super().__init__(root, parsePOSTFormSubmission=False)
        self._authentication = authentication

    def getResourceFor(self, request: Request) -> Resource:
        """What answers a request."""
        if self._authentication is not None:
            if (refusal := self._authentication.refusal(request)) is not None:
                return _Answering(lambda query: (refusal[0], refusal[1] + "\n"))
            if request.path == b"/readyz" and not self._authentication.knows(request):
                return _Worded(super().getResourceFor(request))
        resource: Resource = super().getResourceFor(request)
        return resource


class _Worded(Resource):
    """Another page's status in one word: what is wrong here is for those who show the token."""

    isLeaf = True

    def __init__(self, other: Resource) -> None:
        super().__init__()
        self._other = other

    def render_GET(self, request: Request) -> bytes:
        """GET and HEAD."""
        self._other.render(request)
        return b"ready\n" if request.code == 200 else b"not ready\n"
