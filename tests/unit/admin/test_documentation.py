"""Tests that the admin site serves the installed documentation and links to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from bridge.admin.auth import Authentication
from bridge.admin.documentation import Documentation
from bridge.admin.resource import AdminSite, site

TOKEN = "a-token-of-32-characters-in-all.."
LINK = '<span id="documentation"><a href="docs/index.html">'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    html = tmp_path / "html"
    (html / "operate").mkdir(parents=True)
    (html / "index.html").write_text("front page")
    (html / "operate/health.html").write_text("health page")
    (html / "picture.png").write_text("picture")
    (html / "unknown.bin").write_text("unknown")
    (tmp_path / "secret.html").write_text("secret")
    (html / "link.html").symlink_to(tmp_path / "secret.html")
    return html


def get(folder: Path, path: str, *, token: str | None = None) -> tuple[int, str]:
    """Requests a path from loopback. Returns the status and the whole response as text."""
    return request(site({}, Authentication(lambda: token), documentation=Documentation(folder)), path)


def request(served: AdminSite, path: str) -> tuple[int, str]:
    served.timeOut = None
    protocol, transport = served.buildProtocol(None), StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    protocol.connectionLost(Failure(ConnectionDone()))
    response = transport.value().decode()
    return int(response.split()[1]), response


@pytest.mark.parametrize(
    ("path", "text", "content_type"),
    [
        ("/docs/index.html", "front page", "text/html; charset=utf-8"),
        ("/docs/", "front page", "text/html; charset=utf-8"),
        ("/docs/operate/health.html", "health page", "text/html; charset=utf-8"),
        ("/docs/picture.png", "picture", "image/png"),
    ],
)
def test_files_are_served_under_the_policy_of_the_page(folder: Path, path: str, text: str, content_type: str) -> None:
    status, response = get(folder, path)
    assert status == 200
    assert response.endswith(text)
    assert f"Content-Type: {content_type}\r\n" in response
    assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in response


@pytest.mark.parametrize(
    "path",
    ["/docs/../secret.html", "/docs/%2e%2e/secret.html", "/docs/link.html", "/docs/unknown.bin", "/docs/operate"],
)
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    assert get(folder, path)[0] == 404


def test_file_that_was_removed_is_404(folder: Path) -> None:
    served = Documentation(folder)
    (folder / "index.html").unlink()
    assert served.is_installed
    assert get(folder, "/docs/index.html")[0] == 404


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/docs/operate", "no such page of the documentation. The Debian package installs it"),
        ("/nosuch", "no such page. The status page is /, and /api/openapi.json lists all others"),
        ("/api", "no such page."), ("/api/nosuch", "no such page."),
    ],
)  # fmt: skip
def test_missing_page_says_where_the_others_are(folder: Path, path: str, text: str) -> None:
    served = site({"api/status": lambda query: {}}, Authentication(lambda: None), documentation=Documentation(folder))
    status, response = request(served, path)
    assert (status, "Content-Type: text/plain; charset=utf-8\r\n" in response) == (404, True)
    assert response.partition("\r\n\r\n")[2].startswith(text)


def test_documentation_needs_the_token(folder: Path) -> None:
    assert get(folder, "/docs/index.html", token=TOKEN)[0] == 401


def test_status_page_links_to_the_documentation_only_if_it_is_installed(folder: Path, tmp_path: Path) -> None:
    assert LINK in get(folder, "/")[1]
    without = get(tmp_path / "none", "/")[1]
    assert LINK not in without
    assert LINK.replace(">", " hidden>", 1) in without
