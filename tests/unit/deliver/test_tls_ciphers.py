"""Tests the cipher suites of connections to the collector, in memory against Python's ssl as server."""

from __future__ import annotations

import ssl

import pytest
from OpenSSL import SSL

from bridge.deliver.error_text import describe_tls_error
from bridge.deliver.tls import CachedPolicy, Trust
from tests.harness.pki import Authority, Issued


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def issued(pki: Authority) -> Issued:
    return pki.issue("collector.example")


def connect(authority: Authority, server: Issued, ciphers: str, *, legacy: bool) -> str:
    """Makes a handshake with a server that has only these suites. Returns the suite. Raises SSL.Error."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server.certificate, server.private_key)
    context.set_ciphers(ciphers)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context.wrap_bio(to_server, to_client, server_side=True)
    policy = CachedPolicy(Trust(ca_file=authority.ca, legacy_ciphers=legacy))
    connection: SSL.Connection = policy.creatorForNetloc(b"collector.example", 443).clientConnectionForTLS(None)
    connection.set_connect_state()
    for _ in range(6):
        done = True
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            done = False
        try:
            to_server.write(connection.bio_read(65536))
        except SSL.WantReadError:
            pass
        try:
            server_side.do_handshake()
        except ssl.SSLError:
            pass
        if data := to_client.read():
            connection.bio_write(data)
        if done:
            break
    cipher = connection.get_cipher_name()
    assert cipher is not None
    return cipher


def test_authenticated_encryption_with_forward_secrecy_is_used(pki: Authority, issued: Issued) -> None:
    for legacy in (False, True):
        assert "GCM" in connect(pki, issued, "ECDHE+AES:ECDHE+AESGCM", legacy=legacy)


def test_server_with_cbc_only_needs_legacy_ciphers(pki: Authority, issued: Issued) -> None:
    with pytest.raises(SSL.Error) as failed:
        connect(pki, issued, "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA", legacy=False)
    assert "set legacy_ciphers: true" in describe_tls_error(failed.value)
    assert connect(pki, issued, "ECDHE-ECDSA-AES128-SHA", legacy=True) == "ECDHE-ECDSA-AES128-SHA"
