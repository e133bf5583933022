"""Tests syslog over TLS (RFC 5425) with real clients, with and without certificates, and with rejected clients."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness.asserting import assert_same
from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector, DeliveredEvent
from tests.harness.messages import rfc5424
from tests.harness.pki import Authority, Issued
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.running import running
from tests.harness.tls_clients import s_client, tls
from tests.peers import rsyslog, syslog_ng
from tests.peers.client import Forwarding, Security
from tests.peers.unpacked import PeerMissing

NOW = datetime.now(UTC)


class TlsFixture(NamedTuple):
    """A bridge with a TLS listener for all clients, and one that requires certificates of `pki` for gw-* names."""

    collector: Collector
    bridge: Bridge
    pki: Authority
    other_pki: Authority
    own: Issued
    open_port: int
    mutual_port: int

    def arrived(self, mark: str, count: int) -> list[DeliveredEvent]:
        def found() -> list[DeliveredEvent]:
            return [event for event in self.collector.refresh() if mark in event.text.split()]

        until(lambda: len(found()) >= count, lambda: f"{count} events with {mark!r}: {found()}\n{self.bridge.status()}")
        return found()

    def rejections(self, listener: str) -> dict[str, int]:
        counts: dict[str, int] = self.bridge.status()["refusals"].get(listener, {})
        return counts


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsFixture]:
    folder = tmp_path_factory.mktemp("tls")
    pki, other_pki = Authority(folder / "pki"), Authority(folder / "stranger")
    server = pki.issue("127.0.0.1", "localhost", file="server")
    served = {"cert_file": str(server.certificate), "key_file": str(server.private_key)}
    open_port, mutual_port = free_port(), free_port()
    tcp = free_port()
    listeners: list[dict[str, Any]] = [
        {"name": "plain", "tcp": f"127.0.0.1:{tcp}"},
        {"name": "open", "tls": f"127.0.0.1:{open_port}", **served},
        {
            "name": "mutual", "tls": f"127.0.0.1:{mutual_port}", **served,
            "client_ca_file": str(pki.ca), "client_names": ["gw-*"],
        },
    ]  # fmt: skip
    routes = [{"intake": "branch", "client_name": "gw-branch*"}, {"intake": "hosts", "source": "127.0.0.1"}]
    with running(folder, intakes={"branch": {}, "hosts": {}}, listeners=listeners, routes=routes) as (
        collector,
        bridge,
    ):
        bridge.tcp = tcp
        yield TlsFixture(
            collector, bridge, pki, other_pki, pki.issue("gw-branch-1", file="client"), open_port, mutual_port
        )


def frames(mark: str, count: int = 5) -> tuple[list[bytes], list[str]]:
    messages = [rfc5424(number, NOW - timedelta(minutes=1)) for number in range(count)]
    return [m.frame + f" {mark}".encode() for m in messages], [f"{m.text} {mark}" for m in messages]


def counted(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("framing", ["lf", "octet-counted"])
@pytest.mark.parametrize("mutual", [False, True])
def test_openssl_client_messages_arrive_once(gateway: TlsFixture, version: str, framing: str, mutual: bool) -> None:
    mark = f"openssl{version}-{framing}-{mutual}"
    sent, texts = frames(mark)
    data = b"".join(counted(frame) if framing == "octet-counted" else frame + b"\n" for frame in sent)
    options = [version, "-CAfile", str(gateway.pki.ca), "-verify_return_error"]
    if mutual:
        options += ["-cert", str(gateway.own.certificate), "-key", str(gateway.own.private_key)]
    output = s_client(gateway.mutual_port if mutual else gateway.open_port, data, *options)
    assert "Verification: OK" in output, output
    events = gateway.arrived(mark, len(texts))
    assert_same((event.text for event in events), texts)
    assert {event.key for event in events} == {key_of("branch" if mutual else "hosts")}


@pytest.mark.parametrize("daemon", ["rsyslog", "syslog-ng"])
@pytest.mark.parametrize("octet_counted", [False, True])
@pytest.mark.parametrize("mutual", [False, True])
def test_daemon_messages_over_tls_arrive_once(
    gateway: TlsFixture, tmp_path: Path, daemon: str, octet_counted: bool, mutual: bool
) -> None:
    mark = f"{daemon}-tls-{octet_counted}-{mutual}"
    sent, texts = frames(mark, 20)
    port = gateway.mutual_port if mutual else gateway.open_port
    security = Security(gateway.pki.ca, gateway.own if mutual else None, "localhost")
    forwarding = Forwarding(port, "tls", "rfc5424", octet_counted=octet_counted, security=security)
    try:
        client = {"rsyslog": rsyslog.start, "syslog-ng": syslog_ng.start}[daemon](forwarding, directory=tmp_path)
    except PeerMissing as missing:
        pytest.skip(str(missing))
    try:
        client.feed(frame.decode() for frame in sent)
        events = gateway.arrived(mark, len(texts))
    finally:
        client.stop()
    assert_same((event.text for event in events), texts)
    assert {event.key for event in events} == {key_of("branch" if mutual else "hosts")}


def plain_text(gateway: TlsFixture) -> None:
    with socket.create_connection(("127.0.0.1", gateway.open_port), timeout=180) as connection:
        connection.sendall(b"<13>Nov 24 00:00:00 gw app: in the clear\n")
        _until_closed(connection)


def tls_on_the_plain_port(gateway: TlsFixture) -> None:
    with pytest.raises((ssl.SSLError, OSError)), tls(gateway.bridge.tcp, gateway.pki.ca):
        pass


def no_certificate(gateway: TlsFixture) -> None:
    _refused(gateway, None)


def untrusted_certificate(gateway: TlsFixture) -> None:
    _refused(gateway, gateway.other_pki.issue("gw-stranger"))


def expired_certificate(gateway: TlsFixture) -> None:
    past = datetime.now(UTC) - timedelta(days=30)
    _refused(gateway, gateway.pki.issue("gw-old", not_before=past, not_after=past + timedelta(days=1)))


def wrong_client_name(gateway: TlsFixture) -> None:
    _refused(gateway, gateway.pki.issue("printer-7"))


def client_with_untrusted_server(gateway: TlsFixture) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"), tls(gateway.open_port, gateway.other_pki.ca):
        pass


def tls_1_1(gateway: TlsFixture) -> None:
    output = s_client(gateway.open_port, b"", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in output, output


def _refused(gateway: TlsFixture, own: Issued | None) -> None:
    # In TLS 1.3 the client finishes its handshake first; it learns of the rejection when it reads. A connection that
    # stays open fails here with TimeoutError.
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        tls(gateway.mutual_port, gateway.pki.ca, own) as connection,
    ):
        connection.sendall(b"<13>Nov 24 00:00:00 gw app: never\n")
        _until_closed(connection)


def _until_closed(connection: socket.socket) -> None:
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


@pytest.mark.parametrize(
    ("misbehave", "listener", "reason", "log_pattern"),
    [
        (plain_text, "open", "plain_text", "does not speak TLS"),
        (tls_on_the_plain_port, "plain", "tls_on_plain_port", "it begins a TLS handshake"),
        (no_certificate, "mutual", "client_certificate", "the client sent no certificate"),
        (
            untrusted_certificate, "mutual", "client_authority",
            r"\(gw-stranger\) was issued by an authority that is not in client_ca_file",
        ),
        (expired_certificate, "mutual", "client_expired", r"the client's certificate \(gw-old\) has expired"),
        (wrong_client_name, "mutual", "client_name", r"\(printer-7\) is in client_names"),
        (client_with_untrusted_server, "open", "server_certificate", "does not accept the listener's certificate"),
        (tls_1_1, "open", "tls_version", "the client speaks neither TLS 1.2 nor 1.3"),
    ],
)  # fmt: skip
def test_rejected_connection_is_logged_once_and_disturbs_no_other(
    gateway: TlsFixture, misbehave: Any, listener: str, reason: str, log_pattern: str
) -> None:
    before = gateway.rejections(listener).get(reason, 0)
    received = gateway.bridge.ledger()["received"]
    mark = f"beside-{misbehave.__name__}"
    sent, texts = frames(mark, 4)
    with tls(gateway.open_port, gateway.pki.ca) as other_client:
        other_client.sendall(counted(sent[0]) + counted(sent[1]))
        misbehave(gateway)
        until(
            lambda: gateway.rejections(listener).get(reason, 0) == before + 1,
            lambda: (
                f"{reason}: {gateway.rejections(listener)}\n{gateway.bridge.process and gateway.bridge.process.stderr}"
            ),
        )
        other_client.sendall(counted(sent[2]) + counted(sent[3]))
    assert_same((event.text for event in gateway.arrived(mark, 4)), texts)
    assert gateway.bridge.ledger()["received"] == received + 4, "data of the rejected connection became a message"
    assert gateway.bridge.process is not None
    lines = re.findall(
        f"listener {listener}: connection from 127.0.0.1 closed: .*{log_pattern}.*", gateway.bridge.process.stderr
    )
    assert len(lines) == 1, gateway.bridge.process.stderr
    assert f'syslog_bridge_connections_refused_total{{listener="{listener}",reason="{reason}"}} {before + 1}.0' in (
        gateway.bridge.get("/metrics")[1].decode()
    )


def test_renewed_certificate_keeps_open_connections(gateway: TlsFixture) -> None:
    """A SIGHUP loads the new certificate; a key that does not match is logged and changes nothing."""
    process = gateway.bridge.process
    assert process is not None
    key = gateway.pki.ca.parent / "server.key"

    def shown() -> bytes:
        with tls(gateway.open_port, gateway.pki.ca) as connection:
            certificate = connection.getpeercert(binary_form=True)
            assert certificate is not None
            return certificate

    sent, texts = frames("renewed", 2)
    with tls(gateway.open_port, gateway.pki.ca) as old:
        old.sendall(counted(sent[0]))
        first = shown()
        gateway.pki.issue("127.0.0.1", file="server", not_after=datetime.now(UTC) + timedelta(days=5))
        process.signal(signal.SIGHUP)
        until(lambda: shown() != first, "new certificate is sent")
        old.sendall(counted(sent[1]))
    assert_same((event.text for event in gateway.arrived("renewed", 2)), texts)
    # Whole seconds: a new certificate has five days or a little less.
    assert 4 * 86400 < gateway.bridge.status()["certificates"]["open"] <= 5 * 86400

    def alarms() -> set[str]:
        return {alarm["about"] for alarm in gateway.bridge.status()["alarms"] if alarm["kind"] == "certificate"}

    until(lambda: alarms() == {"open", "mutual"}, lambda: f"alarms of both listeners: {alarms()}")
    assert re.search(
        r'^syslog_bridge_certificate_expiry_seconds\{name="open"\} 43[12]\d{3}\.',
        gateway.bridge.get("/metrics")[1].decode(),
        re.M,
    )
    second = shown()
    key.write_bytes(gateway.other_pki.issue("127.0.0.1").private_key.read_bytes())
    process.signal(signal.SIGHUP)
    gateway.bridge.process.wait_until(
        lambda: "does not belong to the certificate" in gateway.bridge.process.stderr,
        "mismatched key is logged",  # type: ignore[union-attr]
    )
    assert shown() == second
    gateway.pki.issue("127.0.0.1", file="server")
    process.signal(signal.SIGHUP)
    until(lambda: shown() != second, "a matching pair is sent again")
    until(lambda: not gateway.bridge.status()["alarms"], "the alarm has ended")
