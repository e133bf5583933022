"""Who may read the admin site: by token, or, on loopback, under no other site's name."""

import base64

import pytest
from twisted.internet.testing import StringTransport

from bridge.admin.auth import Authentication
from bridge.admin.resource import site

TOKEN = "a-token-of-32-characters-in-all.."
PAGES = {
    "healthz": lambda query: (200, "alive\n"),
    "readyz": lambda query: (503, "intake x is parked\n"),
    "metrics": lambda query: b"# metrics\n",
    "api/status": lambda query: {"secret": "<script>"},
}


def ask(path, *, token=TOKEN, method="GET", **headers):
    """Status and the whole answer, as the bytes go over the wire."""
    made = site(PAGES, Authentication(lambda: token))
    made.timeOut = None
    protocol = made.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    fields = {"Host": "127.0.0.1:8514", "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    protocol.dataReceived("\r\n".join(lines).encode())
    said = transport.value().decode()
    return int(said.split()[1]), said


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic("anybody", TOKEN), basic("", TOKEN)])
@pytest.mark.parametrize("path", ["/", "/page.js", "/metrics", "/api/status"])
def test_the_token_opens(path, header):
    assert ask(path, Authorization=header)[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        basic(TOKEN, ""),
        "Basic ****",
        "Digest x",
        TOKEN,
    ],
)
@pytest.mark.parametrize("path", ["/", "/page.js", "/metrics", "/api/status", "/api/log", "/nothing", "//api/status"])
def test_without_it_nothing_is_said(path, header):
    status, said = ask(path, Authorization=header)
    assert status == 401
    assert 'WWW-Authenticate: Basic realm="' in said
    assert "secret" not in said
    assert "# metrics" not in said
    assert TOKEN not in said


def test_a_balancer_learns_one_word():
    assert ask("/healthz")[0] == 200
    status, said = ask("/readyz")
    assert status == 503
    assert said.endswith("\r\n\r\nnot ready\n")
    assert "intake x is parked" in ask("/readyz", Authorization=f"Bearer {TOKEN}")[1]


@pytest.mark.parametrize("host", ["127.0.0.1:8514", "[::1]:8514", "localhost", "LOCALHOST:1", "gw.localhost:8514", ""])
def test_on_loopback_it_is_asked_by_address_or_as_localhost(host):
    assert ask("/api/status", token=None, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8514", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_another_sites_name_reads_nothing(host):
    for path in ("/", "/api/status", "/metrics"):
        status, said = ask(path, token=None, Host=host)
        assert status == 403
        assert "secret" not in said
    assert ask("/healthz", token=None, Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method):
    assert ask("/api/status", method=method, Authorization=f"Bearer {TOKEN}", Content_Length="0")[0] in (405, 501)


def test_every_answer_has_the_strict_headers():
    for path in ("/", "/api/status", "/nothing", "/metrics", "/healthz"):
        _, said = ask(path, Authorization=f"Bearer {TOKEN}")
        assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in said
        assert "X-Content-Type-Options: nosniff" in said
