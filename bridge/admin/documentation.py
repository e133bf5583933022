"""Serves the HTML documentation that the Debian package installs."""
# mypy: disallow-untyped-calls=False

from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import Request

from bridge.admin.missing_page import NOT_INSTALLED, MissingPage

FOLDER = Path("/usr/share/syslog-bridge/html")
"The package installs the pages here. Other installations have none."

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".png": "image/png", ".json": "application/json",
}  # fmt: skip


class Documentation(Resource):
    """Serves the files below a folder that existed when it was created. All other paths are answered with 404.

    A file is read for each request, so that an upgrade of the package is seen at once.
    """

    isLeaf = True

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__()
        self._files = {
            str(path.relative_to(folder)): path
            for path in folder.rglob("*")
            if path.suffix in CONTENT_TYPES and path.is_file() and not path.is_symlink()
        }

    @property
    def is_installed(self) -> bool:
        """True if there is a first page to link to."""
        return "index.html" in self._files

    def render_GET(self, request: Request) -> bytes:
        """Returns the file for the rest of the path; the folder is its ``index.html``."""
        rest = request.postpath or []
        name = "index.html" if rest == [b""] else b"/".join(rest).decode("utf-8", "replace")
        try:
            path = self._files[name]
            data = path.read_bytes()
        except (KeyError, OSError):
            return MissingPage(NOT_INSTALLED).render(request)
        request.setHeader("Content-Type", CONTENT_TYPES[path.suffix])
        request.setHeader("Cache-Control", "no-cache")
        return data
