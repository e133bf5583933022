"""Syslog over TLS (RFC 5425): real clients, with and without certificates; what is wrong is told once."""

from __future__ import annotations

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
from tests.harness.collector import Arrived, Collector
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


class Scene(NamedTuple):
    """A bridge with an open TLS listener, and one that wants certificates of `pki` for gw-* names."""

    collector: Collector
    bridge: Bridge
    pki: Authority
    stranger: Authority
    own: Issued
    open_port: int
    mutual_port: int

    def arrived(self, mark: str, count: int) -> list[Arrived]:
        def found() -> list[Arrived]:
            return [event for event in self.collector.refresh() if mark in event.text.split()]

        until(lambda: len(found()) >= count, lambda: f"{count} events with {mark!r}: {found()}\n{self.bridge.status()}")
        return found()

    def rejections(self, listener: str) -> dict[str, int]:
        counts: dict[str, int] = self.bridge.status()["refusals"].get(listener, {})
        return counts


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tls")
    pki, stranger = Authority(folder / "pki"), Authority(folder / "stranger")
    server = pki.issue("127.0.0.1", "localhost", file="server")
    served = {"certificate": str(server.certificate), "private_key": str(server.private_key)}
    open_port, mutual_port = free_port(), free_port()
    tcp = free_port()
    listeners: list[dict[str, Any]] = [
        {"name": "plain", "tcp": f"127.0.0.1:{tcp}"},
        {"name": "open", "tls": f"127.0.0.1:{open_port}", **served},
        {
            "name": "mutual", "tls": f"127.0.0.1:{mutual_port}", **served,
            "client_ca": str(pki.ca), "client_names": ["gw-*"],
        },
    ]  # fmt: skip
    routes = [{"intake": "branch", "client_name": "gw-branch*"}, {"intake": "hosts", "source": "127.0.0.1"}]
    with running(folder, intakes={"branch": {}, "hosts": {}}, listeners=listeners, routes=routes) as (
        collector,
        bridge,
    ):
        bridge.tcp = tcp
        yield Scene(collector, bridge, pki, stranger, pki.issue("gw-branch-1", file="client"), open_port, mutual_port)


def frames(mark: str, count: int = 5) -> tuple[list[bytes], list[str]]:
    messages = [rfc5424(number, NOW - timedelta(minutes=1)) for number in range(count)]
    return [m.frame + f" {mark}".encode() for m in messages], [f"{m.text} {mark}" for m in messages]


def counted(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("framing", ["lf", "octet-counted"])
@pytest.mark.parametrize("mutual", [False, True])
def test_openssl(scene: Scene, version: str, framing: str, mutual: bool) -> None:
    mark = f"openssl{version}-{framing}-{mutual}"
    sent, texts = frames(mark)
    data = b"".join(counted(frame) if framing == "octet-counted" else frame + b"\n" for frame in sent)
    options = [version, "-CAfile", str(scene.pki.ca), "-verify_return_error"]
    if mutual:
        options += ["-cert", str(scene.own.certificate), "-key", str(scene.own.private_key)]
    said = s_client(scene.mutual_port if mutual else scene.open_port, data, *options)
    assert "Verification: OK" in said, said
    events = scene.arrived(mark, len(texts))
    assert_same((event.text for event in events), texts)
    assert {event.key for event in events} == {key_of("branch" if mutual else "hosts")}


@pytest.mark.parametrize("daemon", ["rsyslog", "syslog-ng"])
@pytest.mark.parametrize("octet_counted", [False, True])
@pytest.mark.parametrize("mutual", [False, True])
def test_daemons(scene: Scene, tmp_path: Path, daemon: str, octet_counted: bool, mutual: bool) -> None:
    mark = f"{daemon}-tls-{octet_counted}-{mutual}"
    sent, texts = frames(mark, 20)
    port = scene.mutual_port if mutual else scene.open_port
    security = Security(scene.pki.ca, scene.own if mutual else None, "localhost")
    forwarding = Forwarding(port, "tls", "rfc5424", octet_counted=octet_counted, security=security)
    try:
        client = {"rsyslog": rsyslog.start, "syslog-ng": syslog_ng.start}[daemon](forwarding, directory=tmp_path)
    except PeerMissing as missing:
        pytest.skip(str(missing))
    try:
        client.feed(frame.decode() for frame in sent)
        events = scene.arrived(mark, len(texts))
    finally:
        client.stop()
    assert_same((event.text for event in events), texts)
    assert {event.key for event in events} == {key_of("branch" if mutual else "hosts")}


def plain_text(scene: Scene) -> None:
    with socket.create_connection(("127.0.0.1", scene.open_port), timeout=180) as connection:
        connection.sendall(b"<13>Nov 24 00:00:00 gw app: in the clear\n")
        _until_closed(connection)


def tls_on_the_plain_port(scene: Scene) -> None:
    with pytest.raises((ssl.SSLError, OSError)), tls(scene.bridge.tcp, scene.pki.ca):
        pass


def no_certificate(scene: Scene) -> None:
    _refused(scene, None)


def a_stranger(scene: Scene) -> None:
    _refused(scene, scene.stranger.issue("gw-stranger"))


def an_expired_one(scene: Scene) -> None:
    past = datetime.now(UTC) - timedelta(days=30)
    _refused(scene, scene.pki.issue("gw-old", not_before=past, not_after=past + timedelta(days=1)))


def another_name(scene: Scene) -> None:
    _refused(scene, scene.pki.issue("printer-7"))


def a_client_that_does_not_trust_us(scene: Scene) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"), tls(scene.open_port, scene.stranger.ca):
        pass


def tls_1_1(scene: Scene) -> None:
    said = s_client(scene.open_port, b"", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said, said


def _refused(scene: Scene, own: Issued | None) -> None:
    # In TLS 1.3 the client's part is done before ours: it learns of the refusal when it reads.
    with pytest.raises((ssl.SSLError, OSError)), tls(scene.mutual_port, scene.pki.ca, own) as connection:
        connection.sendall(b"<13>Nov 24 00:00:00 gw app: never\n")
        _until_closed(connection)
        raise ConnectionResetError


def _until_closed(connection: socket.socket) -> None:
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


@pytest.mark.parametrize(
    ("wrong", "listener", "reason", "says"),
    [
        (plain_text, "open", "plain_text", "does not speak TLS"),
        (tls_on_the_plain_port, "plain", "tls_on_plain_port", "it begins a TLS handshake"),
        (no_certificate, "mutual", "client_certificate", "the client sent no certificate"),
        (
            a_stranger, "mutual", "client_authority",
            r"\(gw-stranger\) was issued by an authority that is not in client_ca",
        ),
        (an_expired_one, "mutual", "client_expired", r"the client's certificate \(gw-old\) has expired"),
        (another_name, "mutual", "client_name", r"\(printer-7\) is in client_names"),
        (a_client_that_does_not_trust_us, "open", "server_certificate", "does not accept the listener's certificate"),
        (tls_1_1, "open", "tls_version", "the client speaks neither TLS 1.2 nor 1.3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_once_and_disturbs_nobody(
    scene: Scene, wrong: Any, listener: str, reason: str, says: str
) -> None:
    before = scene.rejections(listener).get(reason, 0)
    received = scene.bridge.ledger()["received"]
    mark = f"beside-{wrong.__name__}"
    sent, texts = frames(mark, 4)
    with tls(scene.open_port, scene.pki.ca) as bystander:
        bystander.sendall(counted(sent[0]) + counted(sent[1]))
        wrong(scene)
        until(
            lambda: scene.rejections(listener).get(reason, 0) == before + 1,
            lambda: f"{reason}: {scene.rejections(listener)}\n{scene.bridge.process and scene.bridge.process.stderr}",
        )
        bystander.sendall(counted(sent[2]) + counted(sent[3]))
    assert_same((event.text for event in scene.arrived(mark, 4)), texts)
    assert scene.bridge.ledger()["received"] == received + 4, "nothing of the refused was taken for a message"
    assert scene.bridge.process is not None
    lines = re.findall(
        f"listener {listener}: connection from 127.0.0.1 closed: .*{says}.*", scene.bridge.process.stderr
    )
    assert len(lines) == 1, scene.bridge.process.stderr
    assert f'syslog_bridge_connections_refused_total{{listener="{listener}",reason="{reason}"}} {before + 1}.0' in (
        scene.bridge.get("/metrics")[1].decode()
    )


def test_a_renewed_certificate_drops_nobody(scene: Scene) -> None:
    """On SIGHUP; and a pair that does not fit is told, and changes nothing."""
    process = scene.bridge.process
    assert process is not None
    key = scene.pki.ca.parent / "server.key"

    def shown() -> bytes:
        with tls(scene.open_port, scene.pki.ca) as connection:
            certificate = connection.getpeercert(binary_form=True)
            assert certificate is not None
            return certificate

    sent, texts = frames("renewed", 2)
    with tls(scene.open_port, scene.pki.ca) as old:
        old.sendall(counted(sent[0]))
        first = shown()
        scene.pki.issue("127.0.0.1", file="server", not_after=datetime.now(UTC) + timedelta(days=5))
        process.signal(signal.SIGHUP)
        until(lambda: shown() != first, "the new certificate is shown")
        old.sendall(counted(sent[1]))
    assert_same((event.text for event in scene.arrived("renewed", 2)), texts)
    # Whole seconds: within half a second of its making it is five days.
    assert 4 * 86400 < scene.bridge.status()["certificates"]["open"] <= 5 * 86400

    def told() -> set[str]:
        return {alarm["about"] for alarm in scene.bridge.status()["alarms"] if alarm["kind"] == "certificate"}

    until(lambda: told() == {"open", "mutual"}, lambda: f"alarms of both listeners: {told()}")
    assert re.search(
        r'^syslog_bridge_certificate_expiry_seconds\{name="open"\} 43[12]\d{3}\.',
        scene.bridge.get("/metrics")[1].decode(),
        re.M,
    )
    second = shown()
    key.write_bytes(scene.stranger.issue("127.0.0.1").private_key.read_bytes())
    process.signal(signal.SIGHUP)
    scene.bridge.process.wait_until(
        lambda: "does not belong to the certificate" in scene.bridge.process.stderr,
        "the pair that does not fit is told",  # type: ignore[union-attr]
    )
    assert shown() == second
    scene.pki.issue("127.0.0.1", file="server")
    process.signal(signal.SIGHUP)
    until(lambda: shown() != second, "a whole pair is shown again")
    until(lambda: not scene.bridge.status()["alarms"], "the alarm has ended")
