"""Tests the TLS server in memory against Python's ssl as client: accepted clients, and the errors of the others."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

from bridge.tls.pem import PemError, names_of, read_identity
from bridge.tls.server import (
    ClientRefused,
    ClientTerms,
    ServerContext,
    handshake_fault,
)
from tests.harness.pki import Authority

PAST = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other_authority"))


@pytest.fixture(scope="module")
def server(pki):
    return pki.issue("127.0.0.1")


def client(authority, own=None, *, version=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(authority.ca)
    if own is not None:
        context.load_cert_chain(own.certificate, own.private_key)
    return context


class Both(NamedTuple):
    server: SSL.Connection
    client: ssl.SSLObject
    to_client: ssl.MemoryBIO


class Failed(Exception):
    """Raised when a handshake fails, with the server's reason code and text."""


def shake(server_context, client_context, session=None):
    """Makes a handshake and returns both sides. Raises Failed as soon as the server has failed."""
    served = server_context.serverConnectionForTLS(None)
    served.set_accept_state()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client_context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1", session=session)
    done, refusal = set(), None
    for _ in range(10):
        if "client" not in done and refusal is None:
            try:
                asking.do_handshake()
                done.add("client")
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                refusal = error
        if data := to_server.read():
            served.bio_write(data)
        if "server" not in done:
            try:
                served.do_handshake()
                done.add("server")
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                raise Failed(*handshake_fault(served, error)) from None
        try:
            to_client.write(served.bio_read(65536))
        except SSL.WantReadError:
            pass
        if len(done) == 2:
            break
    assert len(done) == 2, refusal
    # TLS 1.3 sends session tickets after the handshake.
    with pytest.raises(ssl.SSLWantReadError):
        asking.read(1)
    return Both(served, asking, to_client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asks", [False, True])
def test_a_session_is_resumed_with_the_names_of_its_client(pki, server, version, asks):
    context = ServerContext(
        server.certificate, server.private_key, ClientTerms(pki.ca, ("gw-*",)) if asks else ClientTerms()
    )
    side = client(pki, pki.issue("gw-1.example") if asks else None, version=version)
    first = shake(context, side)
    again = shake(context, side, first.client.session)
    assert again.client.session_reused
    assert context.authorize(first.server) == context.authorize(again.server) == (("gw-1.example",) if asks else ())


def test_tls_1_1_is_rejected(pki, server):
    context = ServerContext(server.certificate, server.private_key)
    side = client(pki, version=ssl.TLSVersion.TLSv1_2)
    side.set_ciphers("ALL:@SECLEVEL=0")
    side.minimum_version = side.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(Failed) as failed:
        shake(context, side)
    assert failed.value.args == ("tls_version", "the client speaks neither TLS 1.2 nor 1.3")


@pytest.mark.parametrize(
    ("case", "word", "says"),
    [
        ("none", "client_certificate", "sent no certificate"),
        (
            "other authority",
            "client_authority",
            r"\(gw-2.example\) was issued by an authority that is not in client_ca",
        ),
        ("expired", "client_expired", r"\(gw-3.example\) has expired"),
        ("early", "client_expired", "is not valid yet"),
    ],
)
def test_a_rejected_client(pki, other_authority, server, case, word, says):
    own = {
        "none": lambda: None,
        "other authority": lambda: other_authority.issue("gw-2.example"),
        "expired": lambda: pki.issue("gw-3.example", not_before=PAST, not_after=PAST + timedelta(days=1)),
        "early": lambda: pki.issue("gw-4.example", not_before=datetime.now(UTC) + timedelta(days=1)),
    }[case]()
    context = ServerContext(server.certificate, server.private_key, ClientTerms(pki.ca))
    with pytest.raises(Failed, match=says) as failed:
        shake(context, client(pki, own))
    assert failed.value.args[0] == word


def test_names_and_fingerprints(pki, other_authority, server):
    mine, other = (
        pki.issue("fw-1.example", common_name="Firewall 1"),
        other_authority.issue("fw-1.example", file="other"),
    )

    def authorize(own, *terms):
        context = ServerContext(server.certificate, server.private_key, ClientTerms(*terms))
        return context.authorize(shake(context, client(pki, own)).server)

    assert authorize(mine, pki.ca, ("FW-?.example",)) == ("fw-1.example", "Firewall 1")
    assert authorize(mine, pki.ca, ("firewall *",)) == ("fw-1.example", "Firewall 1")
    with pytest.raises(ClientRefused, match=r"\(fw-1.example, Firewall 1\) is in client_names") as refused:
        authorize(mine, pki.ca, ("fw-1", "*.example.org"))
    assert refused.value.reason == "client_name"
    # With fingerprints, the authority matters only if one is given.
    assert authorize(other, None, (), frozenset({other.fingerprint})) == ("fw-1.example",)
    with pytest.raises(ClientRefused, match=f"{mine.fingerprint}, which is not in client_fingerprints") as refused:
        authorize(mine, pki.ca, (), frozenset({other.fingerprint}))
    assert refused.value.reason == "client_fingerprint"
    with pytest.raises(Failed):
        authorize(other, pki.ca, (), frozenset({other.fingerprint}))


def test_our_certificate_is_refused(pki, other_authority, server):
    context = ServerContext(server.certificate, server.private_key)
    with pytest.raises(Failed, match=r"does not accept the listener's certificate .*unknown ca") as failed:
        shake(context, client(other_authority))
    assert failed.value.args[0] == "server_certificate"


def test_new_connections_use_a_renewed_certificate(pki, other_authority, tmp_path):
    first = pki.issue("127.0.0.1", file="renewed", not_after=datetime.now(UTC) + timedelta(days=2))
    context = ServerContext(first.certificate, first.private_key)
    old, still, incoming = shake(context, client(pki))
    ends = context.expires
    pki.issue("127.0.0.1", file="renewed", not_after=datetime.now(UTC) + timedelta(days=90))
    context.reload()
    assert 80 * 86400 < context.expires - ends < 90 * 86400
    shown = shake(context, client(pki)).client.getpeercert()
    assert ssl.cert_time_to_seconds(shown["notAfter"]) == context.expires
    old.send(b"still there")
    incoming.write(old.bio_read(4096))
    assert still.read(100) == b"still there"
    first.private_key.write_bytes(other_authority.issue("127.0.0.1").private_key.read_bytes())
    with pytest.raises(PemError, match="does not belong to the certificate"):
        context.reload()
    assert ssl.cert_time_to_seconds(shake(context, client(pki)).client.getpeercert()["notAfter"]) == context.expires


def test_faults_of_files(pki, server, tmp_path):
    key = load_pem_private_key(server.private_key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    form = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    locked.write_bytes(key.private_bytes(*form))
    for certificate, private_key, says in (
        (server.certificate, locked, f"{locked}: the private key is encrypted"),
        (server.private_key, None, "holds no readable PEM certificate"),
        (server.certificate, server.certificate, "holds no readable PEM private key"),
        (tmp_path / "nowhere", None, "cannot read .*nowhere: No such file"),
    ):
        with pytest.raises(PemError, match=says):
            read_identity(certificate, private_key)


def test_the_chain_is_served(pki, server, tmp_path):
    intermediate = pki._ca.create_child_ca()
    both = tmp_path / "both.pem"
    intermediate.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(both)
    shown = shake(ServerContext(both), client(pki)).client.getpeercert()  # the client knows the root alone
    issuer = dict(part[0] for part in shown["issuer"])
    subject = x509.load_pem_x509_certificate(intermediate.cert_pem.bytes()).subject
    assert issuer["organizationalUnitName"] in subject.rfc4514_string()


def test_names_of_a_certificate(pki):
    issued = pki.issue("a.example", "192.0.2.7", common_name="a.example")
    assert names_of(x509.load_pem_x509_certificate(issued.certificate.read_bytes())) == ("a.example", "192.0.2.7")
