"""Answers requests for pages that do not exist with 404 and a sentence for the reader."""
# mypy: disallow-untyped-calls=False

from twisted.web.resource import Resource
from twisted.web.server import Request

NO_SUCH_PAGE = "no such page. The status page is /, and /api/openapi.json lists all others"
NOT_INSTALLED = "no such page of the documentation. The Debian package installs it, other installations do not"


class MissingPage(Resource):
    """Answers every request with status 404 and a text."""

    isLeaf = True

    def __init__(self, text: str = NO_SUCH_PAGE) -> None:
        super().__init__()
        self._data = f"{text}\n".encode()

    def render(self, request: Request) -> bytes:
        request.setResponseCode(404)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return self._data
