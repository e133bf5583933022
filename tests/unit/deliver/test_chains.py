"""Tests certificate chains that end in a cross-signed authority whose other issuer has expired.

leaf <- intermediate <- root, where `root` is self-signed and also signed by `old`, which has expired. The server sends
leaf, intermediate and the cross-signed root.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase
from twisted.web.server import Site
from twisted.web.static import Data

from bridge.deliver.client import Client
from bridge.deliver.error_text import describe_failure
from bridge.deliver.exchange import Response
from bridge.deliver.tls import Trust

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("old", "root", "intermediate", "localhost")}


def issue(subject, issuer, *, until=NOW + 300 * DAY):
    """Builds a certificate with the key of its subject, signed with the key of its issuer."""
    authority = subject != "localhost"
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(KEYS[subject].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 1000 * DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return builder.sign(KEYS[issuer], hashes.SHA256())


def pem(*certificates):
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


OLD = issue("old", "old", until=NOW - DAY)
ROOT = issue("root", "root")
CHAIN = (issue("localhost", "intermediate"), issue("intermediate", "root"), issue("root", "old"))


class ChainCase(TestCase):
    timeout = 30

    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        key = KEYS["localhost"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "key.pem").write_bytes(key)

    @inlineCallbacks
    def post(self, chain, *authorities):
        """Serves with a chain and trusts the authorities. Returns the response, or the description of the failure."""
        (self.folder / "chain.pem").write_bytes(pem(*chain))
        (self.folder / "ca.pem").write_bytes(pem(*authorities))
        context = ssl.DefaultOpenSSLContextFactory(
            f"{self.folder}/key.pem", f"{self.folder}/chain.pem", sslmethod=SSL.TLS_SERVER_METHOD
        )
        context.getContext().use_certificate_chain_file(f"{self.folder}/chain.pem")
        listening = reactor.listenSSL(0, Site(Data(b"", "text/plain")), context, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        client = Client(reactor, connections=1, timeout=5.0, trust=Trust(ca_file=self.folder / "ca.pem"))
        self.addCleanup(client.close)
        results = []
        url = f"https://localhost:{listening.getHost().port}/"
        yield client.post(url, b"x", {}).addCallbacks(results.append, lambda why: results.append(describe_failure(why)))
        return results[0]

    @inlineCallbacks
    def test_trusted_root_ends_the_path_whatever_else_has_signed_it(self):
        for authorities in ((ROOT, OLD), (OLD, ROOT), (ROOT,)):
            response = yield self.post(CHAIN, *authorities)
            self.assertIsInstance(response, Response, response)

    @inlineCallbacks
    def test_error_names_the_expired_authority(self):
        text = yield self.post(CHAIN, OLD)
        expired = f"the authority certificate old of the server's chain (issuer old) expired on {NOW - DAY:%F}"
        self.assertIn(expired, text)
        self.assertIn("update the trusted authorities", text)

    @inlineCallbacks
    def test_error_names_the_expired_server_certificate(self):
        expired = issue("localhost", "intermediate", until=NOW - DAY)
        text = yield self.post((expired, *CHAIN[1:]), ROOT)
        self.assertIn(f"the server certificate (issuer intermediate) expired on {NOW - DAY:%F}", text)
