"""Tests the TLS server in memory against Python's ssl as client: accepted clients, and the errors of the others."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

from bridge.tls.ciphers import acceptable, is_anonymous, legacy_suites
from bridge.tls.pem import PemError, names_of, read_identity
from bridge.tls.server import ClientRefused, ClientTerms, ServerContext, TlsTerms, handshake_fault
from bridge.tls.suites import LEGACY, STRONG, SUITES, TLS_1_3, named
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


class HandshakeSides(NamedTuple):
    server: SSL.Connection
    client: ssl.SSLObject
    to_client: ssl.MemoryBIO


class HandshakeFailed(Exception):
    """Raised when a handshake fails, with the server's reason code and text."""


def make_handshake(server_context, client_context, session=None):
    """Makes a handshake and returns both sides. Raises HandshakeFailed as soon as the server has failed."""
    server_side = server_context.serverConnectionForTLS(None)
    server_side.set_accept_state()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client_context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1", session=session)
    done, refusal, first_data = set(), None, b""
    for _ in range(10):
        if "client" not in done and refusal is None:
            try:
                client_side.do_handshake()
                done.add("client")
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                refusal = error
        if data := to_server.read():
            first_data = first_data or data
            server_side.bio_write(data)
        if "server" not in done:
            try:
                server_side.do_handshake()
                done.add("server")
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                raise HandshakeFailed(*handshake_fault(server_side, error, first_data)) from None
        try:
            to_client.write(server_side.bio_read(65536))
        except SSL.WantReadError:
            pass
        if len(done) == 2:
            break
    assert len(done) == 2, refusal
    # TLS 1.3 sends session tickets after the handshake.
    with pytest.raises(ssl.SSLWantReadError):
        client_side.read(1)
    return HandshakeSides(server_side, client_side, to_client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("requires_certificate", [False, True])
def test_resumed_session_has_the_names_of_its_client(pki, server, version, requires_certificate):
    context = ServerContext(
        server.certificate,
        server.private_key,
        ClientTerms(pki.ca, ("gw-*.example",)) if requires_certificate else ClientTerms(),
    )
    client_context = client(pki, pki.issue("gw-1.example") if requires_certificate else None, version=version)
    first = make_handshake(context, client_context)
    second = make_handshake(context, client_context, first.client.session)
    assert second.client.session_reused
    assert (
        context.authorize(first.server)
        == context.authorize(second.server)
        == (("gw-1.example",) if requires_certificate else ())
    )


def test_tls_1_1_is_rejected(pki, server):
    context = ServerContext(server.certificate, server.private_key)
    client_context = client(pki, version=ssl.TLSVersion.TLSv1_2)
    client_context.set_ciphers("ALL:@SECLEVEL=0")
    client_context.minimum_version = client_context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(HandshakeFailed) as failed:
        make_handshake(context, client_context)
    assert failed.value.args == ("tls_version", "the client speaks neither TLS 1.2 nor 1.3")


@pytest.mark.parametrize(
    ("case", "reason", "text"),
    [
        ("none", "client_certificate", "sent no certificate"),
        (
            "other authority",
            "client_authority",
            r"\(gw-2.example\) was issued by an authority that is not in client_ca_file",
        ),
        ("expired", "client_expired", r"\(gw-3.example\) has expired"),
        ("early", "client_expired", "is not valid yet"),
    ],
)
def test_rejected_client_has_reason_and_text(pki, other_authority, server, case, reason, text):
    own = {
        "none": lambda: None,
        "other authority": lambda: other_authority.issue("gw-2.example"),
        "expired": lambda: pki.issue("gw-3.example", not_before=PAST, not_after=PAST + timedelta(days=1)),
        "early": lambda: pki.issue("gw-4.example", not_before=datetime.now(UTC) + timedelta(days=1)),
    }[case]()
    context = ServerContext(server.certificate, server.private_key, ClientTerms(pki.ca))
    with pytest.raises(HandshakeFailed, match=text) as failed:
        make_handshake(context, client(pki, own))
    assert failed.value.args[0] == reason


def test_clients_are_authorized_by_name_or_fingerprint(pki, other_authority, server):
    known, other = (
        pki.issue("fw-1.example", common_name="Firewall 1"),
        other_authority.issue("fw-1.example", file="other"),
    )

    def authorize(own, *terms):
        context = ServerContext(server.certificate, server.private_key, ClientTerms(*terms))
        return context.authorize(make_handshake(context, client(pki, own)).server)

    assert authorize(known, pki.ca, ("FW-?.example",)) == ("fw-1.example", "Firewall 1")
    assert authorize(known, pki.ca, ("firewall *",)) == ("fw-1.example", "Firewall 1")
    with pytest.raises(ClientRefused, match=r"\(fw-1.example, Firewall 1\) is in client_names") as refused:
        authorize(known, pki.ca, ("fw-1", "*.example.org"))
    assert refused.value.reason == "client_name"
    # With fingerprints, the authority matters only if one is given.
    assert authorize(other, None, (), frozenset({other.fingerprint})) == ("fw-1.example",)
    with pytest.raises(ClientRefused, match=f"{known.fingerprint}, which is not in client_fingerprints") as refused:
        authorize(known, pki.ca, (), frozenset({other.fingerprint}))
    assert refused.value.reason == "client_fingerprint"
    with pytest.raises(HandshakeFailed):
        authorize(other, pki.ca, (), frozenset({other.fingerprint}))


def test_client_that_refuses_the_certificate_is_reported(pki, other_authority, server):
    context = ServerContext(server.certificate, server.private_key)
    with pytest.raises(HandshakeFailed, match=r"does not accept the listener's certificate .*unknown ca") as failed:
        make_handshake(context, client(other_authority))
    assert failed.value.args[0] == "server_certificate"


def test_new_connections_use_a_renewed_certificate(pki, other_authority, tmp_path):
    first = pki.issue("127.0.0.1", file="renewed", not_after=datetime.now(UTC) + timedelta(days=2))
    context = ServerContext(first.certificate, first.private_key)
    old, client_end, incoming = make_handshake(context, client(pki))
    expiry_before = context.expires
    pki.issue("127.0.0.1", file="renewed", not_after=datetime.now(UTC) + timedelta(days=90))
    context.replace_with(ServerContext(first.certificate, first.private_key))
    assert 80 * 86400 < context.expires - expiry_before < 90 * 86400
    presented = make_handshake(context, client(pki)).client.getpeercert()
    assert ssl.cert_time_to_seconds(presented["notAfter"]) == context.expires
    old.send(b"still there")
    incoming.write(old.bio_read(4096))
    assert client_end.read(100) == b"still there"
    first.private_key.write_bytes(other_authority.issue("127.0.0.1").private_key.read_bytes())
    with pytest.raises(PemError, match="does not belong to the certificate"):
        context.replace_with(ServerContext(first.certificate, first.private_key))
    assert (
        ssl.cert_time_to_seconds(make_handshake(context, client(pki)).client.getpeercert()["notAfter"])
        == context.expires
    )


def test_unusable_files_are_reported_with_their_name(pki, server, tmp_path):
    key = load_pem_private_key(server.private_key.read_bytes(), None)
    encrypted_key = tmp_path / "locked.key"
    form = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    encrypted_key.write_bytes(key.private_bytes(*form))
    for certificate, private_key, text in (
        (server.certificate, encrypted_key, f"{encrypted_key}: the private key is encrypted"),
        (server.private_key, None, "holds no readable PEM certificate"),
        (server.certificate, server.certificate, "holds no readable PEM private key"),
        (tmp_path / "nowhere", None, "cannot read .*nowhere: No such file"),
    ):
        with pytest.raises(PemError, match=text):
            read_identity(certificate, private_key)


def test_intermediate_certificates_are_sent(pki, server, tmp_path):
    intermediate = pki._ca.create_child_ca()
    chain_file = tmp_path / "both.pem"
    intermediate.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(chain_file)
    # The client trusts only the root certificate.
    presented = make_handshake(ServerContext(chain_file), client(pki)).client.getpeercert()
    issuer = dict(part[0] for part in presented["issuer"])
    subject = x509.load_pem_x509_certificate(intermediate.cert_pem.bytes()).subject
    assert issuer["organizationalUnitName"] in subject.rfc4514_string()


def test_names_of_returns_the_names_of_a_certificate(pki):
    issued = pki.issue("a.example", "192.0.2.7", common_name="a.example")
    assert names_of(x509.load_pem_x509_certificate(issued.certificate.read_bytes())) == ("a.example", "192.0.2.7")


def client_with_ciphers(authority, ciphers):
    context = client(authority, version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    return context


WEAK = ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"]


@pytest.mark.parametrize("ciphers", WEAK)
def test_cbc_and_static_rsa_are_refused_with_their_names(pki, server, ciphers):
    with pytest.raises(HandshakeFailed) as failed:
        make_handshake(ServerContext(server.certificate, server.private_key), client_with_ciphers(pki, ciphers))
    reason, text = failed.value.args
    assert reason == "tls_version"
    assert f"with CBC or static RSA ({ciphers})" in text and "legacy_ciphers: true" in text


def rsa_server(directory):
    """Returns certificate and key of a server with an RSA key: static RSA needs one."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, PAST, datetime.now(UTC) + timedelta(days=30))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = directory / "rsa.pem"
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + key_pem)
    return path


@pytest.mark.parametrize("ciphers", [each for each in WEAK if "ECDSA" not in each])
def test_legacy_ciphers_are_accepted_on_request(tmp_path, ciphers):
    path = rsa_server(tmp_path)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    client_context.load_verify_locations(path)
    client_context.set_ciphers(ciphers)
    sides = make_handshake(ServerContext(path, terms=TlsTerms(legacy_ciphers=True)), client_context)
    assert sides.client.cipher()[0] == ciphers
    with pytest.raises(HandshakeFailed):
        make_handshake(ServerContext(path), client_context)


@pytest.mark.parametrize("legacy", [False, True])
def test_strong_ciphers_are_preferred(pki, server, legacy):
    context = ServerContext(server.certificate, server.private_key, terms=TlsTerms(legacy_ciphers=legacy))
    sides = make_handshake(context, client_with_ciphers(pki, "ECDHE+AES:ECDHE+AESGCM"))
    assert "GCM" in sides.client.cipher()[0]


def test_unknown_offer_is_not_called_legacy(pki, server):
    """A client without a common suite that legacy_ciphers would not accept either."""
    with pytest.raises(HandshakeFailed, match="no cipher or signature algorithm in common"):
        make_handshake(
            ServerContext(server.certificate, server.private_key), client_with_ciphers(pki, "ECDHE+CAMELLIA"),
        )  # fmt: skip


def test_min_version_refuses_an_older_client(pki, server):
    context = ServerContext(server.certificate, server.private_key, terms=TlsTerms("1.3"))
    assert make_handshake(context, client(pki)).client.version() == "TLSv1.3"
    with pytest.raises(HandshakeFailed) as failed:
        make_handshake(context, client(pki, version=ssl.TLSVersion.TLSv1_2))
    reason, text = failed.value.args
    assert (reason, text) == (
        "tls_version", "the client does not speak TLS 1.3. Update it, or set tls_min_version: 1.2",
    )  # fmt: skip


def test_cipher_suites_are_the_only_ones(pki, server):
    suites = ("TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256")
    context = ServerContext(server.certificate, server.private_key, terms=TlsTerms(cipher_suites=suites))
    assert make_handshake(context, client(pki)).client.cipher()[0] == suites[0]
    older = make_handshake(context, client(pki, version=ssl.TLSVersion.TLSv1_2))
    assert older.client.cipher()[0] == suites[1]
    with pytest.raises(HandshakeFailed, match="none of the listener's cipher_suites") as failed:
        make_handshake(context, client_with_ciphers(pki, "ECDHE+CHACHA20"))
    assert failed.value.args[0] == "tls_version"


def test_suites_of_tls_1_3_stay_if_none_is_listed(pki, server):
    terms = TlsTerms(cipher_suites=("ECDHE-ECDSA-CHACHA20-POLY1305",))
    context = ServerContext(server.certificate, server.private_key, terms=terms)
    assert make_handshake(context, client(pki)).client.cipher()[0] == "TLS_AES_256_GCM_SHA384"


def test_listed_suites_are_those_of_openssl():
    every = {cipher.fullName for cipher in acceptable(legacy=True)._ciphers}
    strong = {cipher.fullName for cipher in acceptable(legacy=False)._ciphers}
    assert set(SUITES) <= every and len(set(SUITES)) == len(SUITES)
    assert {*TLS_1_3, *STRONG} <= strong and not strong & set(LEGACY)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("nothing", "nothing"),
    ],
)
def test_suites_have_two_names(name, expected):
    assert named(name) == expected


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x00\x05\x01\x00", b"\x16\x03\x01" + b"\xff" * 80])
def test_damaged_client_hello_offers_nothing(data):
    assert legacy_suites(data) == []
    assert not is_anonymous(data)


def client_hello(*suites):
    """Returns a TLS record with the beginning of a ClientHello that offers these suites."""
    offered = b"".join(suite.to_bytes(2, "big") for suite in suites)
    body = b"\x03\x03" + bytes(32) + b"\x00" + len(offered).to_bytes(2, "big") + offered + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("suites", "anonymous"),
    [
        # What librelp offers with GnuTLS and without a certificate of its own, alone and with an authority.
        ((0x1302, 0x1303, 0x1301, 0x1304, 0xA7, 0x3A, 0xA6, 0x34), True),
        ((0x1302, 0x1303, 0x1301, 0x1304), True),
        ((0x34, 0x00FF), True),
        ((0x34, 0xC02F), False),
        ((0x1301, 0x2F), False),
        ((0x1304,), False),
        ((0x00FF,), False),
    ],
)
def test_client_without_certificates_is_recognized(suites, anonymous):
    assert is_anonymous(client_hello(*suites)) is anonymous


def test_anonymous_client_is_told_what_is_missing(pki, server):
    context = client(pki, version=ssl.TLSVersion.TLSv1_2)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ADH-AES128-SHA:@SECLEVEL=0")
    with pytest.raises(HandshakeFailed) as failed:
        make_handshake(ServerContext(server.certificate, server.private_key), context)
    assert failed.value.args == (
        "tls_anonymous", "the client offers only TLS without certificates (anonymous key exchange)",
    )  # fmt: skip


def test_client_that_an_earlier_version_accepted_is_named_with_a_pattern(pki, server):
    context = ServerContext(server.certificate, server.private_key, ClientTerms(pki.ca, ("*.branch.example",)))
    sides = make_handshake(context, client(pki, pki.issue("a.b.branch.example")))
    with pytest.raises(ClientRefused, match=r'one label only. Add "\*\.\*\.branch\.example" to accept it') as refused:
        context.authorize(sides.server)
    assert refused.value.former_names[0] == "a.b.branch.example"
    sides = make_handshake(context, client(pki, pki.issue("a.other.example")))
    with pytest.raises(ClientRefused) as refused:
        context.authorize(sides.server)
    assert refused.value.former_names == ()
