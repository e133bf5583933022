"""Serves the pages of the admin site; each page is a function from a query to a result, called per request.

Every response may contain hostile text. So the headers forbid to sniff JSON as HTML and to read or frame a response
from other sites, and the status page may run only its own files.
"""
# mypy: disallow-untyped-calls=False

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from urllib.parse import parse_qs

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from bridge.admin.auth import Authentication
from bridge.admin.documentation import CONTENT_TYPES, Documentation
from bridge.admin.missing_page import MissingPage
from bridge.admin.site import SECURITY_HEADERS, AdminChannel, AdminLimits, AdminRequest

log = Logger(namespace="admin")

JSON = dict[str, object]
Query = Mapping[str, str]


class Encoded(bytes):
    """JSON that is already encoded as text."""


Result = JSON | Encoded | bytes | tuple[int, str]
"JSON, a scrape of metrics, or an HTTP status and text."
Page = Callable[[Query], "Result | Deferred[Result]"]

MAX_FIELDS = 20
"Fields of a query, at most."

_LINK = b'<span id="documentation" hidden>'
"Encloses the link to the documentation in the status page; shown if the documentation is installed."


class _PageResource(Resource):
    """Calls a page for each request."""

    isLeaf = True

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def render_GET(self, request: Request) -> bytes | int:
        try:
            query = parse_qs(request.uri.partition(b"?")[2].decode("ascii", "replace"), max_num_fields=MAX_FIELDS)
        except ValueError:
            return _encode(request, (400, f"the query has more than {MAX_FIELDS} fields\n"))
        result = self._page({name: values[-1] for name, values in query.items()})
        if not isinstance(result, Deferred):
            return _encode(request, result)
        finished = request.notifyFinish()
        finished.addErrback(lambda reason: result.cancel())

        def answer(later: Result) -> None:
            if not finished.called:
                request.write(_encode(request, later))
                request.finish()

        def defect(failure: Failure) -> None:
            if not finished.called:
                log.failure("admin: defect in {path}", failure, path=request.path.decode("ascii", "replace"))
                request.setResponseCode(500)
                request.finish()

        result.addCallback(answer).addErrback(defect)
        return NOT_DONE_YET


def _encode(request: Request, result: Result) -> bytes:
    """Sets status and headers for a result and returns the body."""
    request.setHeader("Cache-Control", "no-store")
    if isinstance(result, Encoded):
        request.setHeader("Content-Type", "application/json")
        return result
    if isinstance(result, bytes):
        request.setHeader("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        return result
    if isinstance(result, tuple):
        request.setResponseCode(result[0])
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return result[1].encode()
    request.setHeader("Content-Type", "application/json")
    return json.dumps(result).encode() + b"\n"


class _Asset(Resource):
    """Serves a file of the status page. The browser revalidates it with its ETag on each use."""

    isLeaf = True

    def __init__(self, data: bytes, content_type: str) -> None:
        super().__init__()
        self._data = data
        self._content_type = content_type
        self._tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'

    def render_GET(self, request: Request) -> bytes:
        request.setHeader("Content-Type", self._content_type)
        request.setHeader("Cache-Control", "no-cache")
        if request.setETag(self._tag.encode()):
            return b""
        return self._data


def site(
    pages: Mapping[str, Page], authentication: Authentication | None = None, limits: AdminLimits | None = None,
    documentation: Documentation | None = None,
) -> Site:  # fmt: skip
    """Builds the site: pages by path, such as ``api/status``, the status page with its files, and the documentation."""
    root = _Folder()
    if documentation is not None and not documentation.is_installed:
        documentation = None
    if documentation is not None:
        root.putChild(b"docs", documentation)
    for path, page in pages.items():
        *folders, name = path.encode().split(b"/")
        parent: Resource = root
        for folder in folders:
            if folder not in parent.children:
                parent.putChild(folder, _Folder())
            parent = parent.children[folder]
        parent.putChild(name, _PageResource(page))
    for file in (files("bridge.admin") / "static").iterdir():
        content_type = CONTENT_TYPES.get(f".{file.name.rpartition('.')[2]}")
        if content_type is not None:
            path = "" if file.name == "index.html" else file.name
            data = file.read_bytes()
            if documentation is not None and not path:
                data = data.replace(_LINK, _LINK.replace(b" hidden", b""))
            root.putChild(path.encode(), _Asset(data, content_type))
    return AdminSite(root, authentication, limits)


class _Folder(Resource):
    """Answers its own path and unknown paths below it with 404."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        return MissingPage()

    def render_GET(self, request: Request) -> bytes:
        return MissingPage().render(request)


class AdminSite(Site):
    """Serves resources within limits. Sets the headers of every response, and authenticates each request before it is
    answered. Without ``limits``, only bodies are refused.

    Has no access log: a probe every second would hide the lines that matter.
    """

    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource, authentication: Authentication | None, limits: AdminLimits | None) -> None:
        super().__init__(root, requestFactory=AdminRequest, parsePOSTFormSubmission=False)
        # The default protocol also speaks HTTP/2 if it is installed, which would bypass the limits.
        self.protocol = AdminChannel  # type: ignore[assignment]
        self.limits = limits
        self._authentication = authentication

    def log(self, request: object) -> None:
        """Logs nothing."""

    def acceptableProtocols(self) -> list[bytes]:
        """Returns only HTTP/1.1."""
        return [b"http/1.1"]

    def getResourceFor(self, request: Request) -> Resource:
        """Returns the resource that answers a request: the page, or the rejection."""
        for name, value in SECURITY_HEADERS.items():
            request.setHeader(name, value)
        if self._authentication is not None:
            if (refusal := self._authentication.refusal(request)) is not None:
                return _PageResource(lambda query: (refusal[0], refusal[1] + "\n"))
            if request.path == b"/readyz" and not self._authentication.knows(request):
                return _OneWordStatus(super().getResourceFor(request))
        resource: Resource = super().getResourceFor(request)
        return resource


class _OneWordStatus(Resource):
    """Answers with another page's status in one word: the details are only for clients with the token."""

    isLeaf = True

    def __init__(self, other: Resource) -> None:
        super().__init__()
        self._other = other

    def render_GET(self, request: Request) -> bytes:
        self._other.render(request)
        return b"ready\n" if request.code == 200 else b"not ready\n"
