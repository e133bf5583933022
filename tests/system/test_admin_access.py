"""Tests the admin endpoint with TLS and token, and that both are required beyond loopback."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

import trustme

from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.process import SYSLOG_BRIDGE, Process
from tests.harness.running import bridging
from tests.harness.send import send_lines

TOKEN = "a-token-of-32-characters-in-all.."


def certificate(directory: Path, authority: trustme.CA) -> dict[str, str]:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(directory / "admin.key"))
    issued.cert_chain_pems[0].write_to_path(str(directory / "admin.pem"))
    return {"cert_file": str(directory / "admin.pem"), "key_file": str(directory / "admin.key")}


def request(bridge: Bridge, context: ssl.SSLContext, path: str, token: str | None = None) -> tuple[int, bytes, int]:
    """Returns status, body and the serial number of the server certificate; zeros if the connection fails."""
    connection = http.client.HTTPSConnection("127.0.0.1", bridge.admin, context=context, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = connection.sock.getpeercert()
        assert shown
        response = connection.getresponse()
        return response.status, response.read(), int(str(shown["serialNumber"]), 16)
    except ConnectionError:
        return 0, b"", 0
    finally:
        connection.close()


def test_admin_endpoint_requires_tls_and_token_and_reloads_both(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with bridging(tmp_path, "http://127.0.0.1:9") as bridge:
        token = tmp_path / "token"
        token.write_text(TOKEN + "\n")
        bridge.configuration["admin"]["show_messages"] = False
        bridge.configuration |= {"unrouted": "hold", "routes": [{"intake": "all", "source": "192.0.2.1"}]}
        bridge.configuration["admin"] |= certificate(tmp_path, authority) | {"token": {"file": str(token)}}
        process = bridge.launch()
        process.wait_until(lambda: request(bridge, context, "/readyz")[0] == 200, "ready")
        assert request(bridge, context, "/api/status")[0] == 401
        assert request(bridge, context, "/api/status", "wrong")[0] == 401
        status, body, serial = request(bridge, context, "/api/status", TOKEN)
        assert status == 200
        assert b'"ledger"' in body
        status, body, _ = request(bridge, context, "/metrics", TOKEN)
        assert b'syslog_bridge_certificate_expiry_seconds{name="admin.listen"}' in body
        assert bridge.get("/api/status")[0] == 0, "plain HTTP is not answered"
        assert_no_message_is_shown(bridge, context)
        # A reload reads both again; later connections get the new certificate.
        certificate(tmp_path, authority)
        token.write_text("another-token-of-more-than-16\n")
        process.signal(1)
        until(
            lambda: request(bridge, context, "/api/status", "another-token-of-more-than-16")[0] == 200,
            "new token is accepted",
        )
        assert request(bridge, context, "/api/status", TOKEN)[0] == 401
        assert request(bridge, context, "/healthz")[2] != serial
        assert TOKEN not in process.stderr


def assert_no_message_is_shown(bridge: Bridge, context: ssl.SSLContext) -> None:
    """Asserts that with ``show_messages: false`` neither a page nor ``tail`` shows a message."""
    send_lines(bridge.tcp, [b"<13>Nov 23 07:24:00 gw app: PRIVATE"], source="127.0.1.1")
    until(lambda: b'"unrouted": 1' in request(bridge, context, "/api/quarantine", TOKEN)[1], "frame is held")
    for path in ("/api/source?address=127.0.1.1", "/api/unrouted", "/api/quarantine", "/api/log", "/api/status"):
        status, body, _ = request(bridge, context, path, TOKEN)
        assert status == 200
        assert b"PRIVATE" not in body, path
    tail = Process([SYSLOG_BRIDGE, "tail", "-c", str(bridge.file)], directory=bridge.directory, name="tail")
    assert tail.wait() == 1
    assert "show_messages" in tail.stderr


def test_admin_endpoint_beyond_loopback_requires_tls_and_token(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "bridge", collector_url="http://127.0.0.1:9", intakes={"all": {}})
    bridge.configuration["admin"] = {"listen": f"0.0.0.0:{bridge.admin}"}
    check = Process(
        [SYSLOG_BRIDGE, "run", "-c", str(bridge.write_configuration())], directory=tmp_path, name="run"
    )  # fmt: skip
    assert check.wait() == 2
    assert "an address other than loopback requires cert_file, key_file, token" in check.stderr
