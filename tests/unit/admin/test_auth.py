"""Tests authentication of the admin site: by token or, on loopback without a token, by the Host header."""

import base64

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from bridge.admin.auth import Authentication
from bridge.admin.resource import site

TOKEN = "a-token-of-32-characters-in-all.."
PAGES = {
    "healthz": lambda query: (200, "alive\n"),
    "readyz": lambda query: (503, "intake x is parked\n"),
    "metrics": lambda query: b"# metrics\n",
    "api/status": lambda query: {"secret": "<script>"},
}


def request(path, *, token=TOKEN, method="GET", **headers):
    """Sends a request. Returns the status and the whole response as text."""
    resource = site(PAGES, Authentication(lambda: token))
    resource.timeOut = None
    protocol = resource.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    fields = {"Host": "127.0.0.1:8514", "Connection": "close", **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    protocol.dataReceived("\r\n".join(lines).encode())
    # It waits for the client to close the connection, with a time limit.
    protocol.connectionLost(Failure(ConnectionDone()))
    response = transport.value().decode()
    return int(response.split()[1]), response


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic("anybody", TOKEN), basic("", TOKEN)])
@pytest.mark.parametrize("path", ["/", "/page.js", "/metrics", "/api/status"])
def test_token_gives_access(path, header):
    assert request(path, Authorization=header)[0] == 200


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
def test_response_without_a_valid_token_reveals_nothing(path, header):
    status, response = request(path, Authorization=header)
    assert status == 401
    assert 'WWW-Authenticate: Basic realm="' in response
    assert "secret" not in response
    assert "# metrics" not in response
    assert TOKEN not in response


def test_readyz_without_a_token_says_only_not_ready():
    assert request("/healthz")[0] == 200
    status, response = request("/readyz")
    assert status == 503
    assert response.endswith("\r\n\r\nnot ready\n")
    assert "intake x is parked" in request("/readyz", Authorization=f"Bearer {TOKEN}")[1]


@pytest.mark.parametrize("host", ["127.0.0.1:8514", "[::1]:8514", "localhost", "LOCALHOST:1", "gw.localhost:8514", ""])
def test_loopback_host_header_needs_no_token(host):
    assert request("/api/status", token=None, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8514", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_foreign_host_header_is_rejected(host):
    for path in ("/", "/api/status", "/metrics"):
        status, response = request(path, token=None, Host=host)
        assert status == 403
        assert "secret" not in response
    assert request("/healthz", token=None, Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_methods_that_change_data_are_rejected(method):
    assert request("/api/status", method=method, Authorization=f"Bearer {TOKEN}", Content_Length="0")[0] in (405, 501)


def test_every_response_has_the_security_headers():
    for path in ("/", "/api/status", "/nothing", "/metrics", "/healthz"):
        _, response = request(path, Authorization=f"Bearer {TOKEN}")
        assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in response
        assert "X-Content-Type-Options: nosniff" in response
