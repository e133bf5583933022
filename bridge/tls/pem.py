"""Certificates and private keys in PEM files. A fault names the file and what is wrong, never its content."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class PemError(ValueError):
    """A file that cannot be used; the text names it."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.path = path


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server shows: its own certificate first, then its chain, and the key of the first."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes

    @property
    def expires(self) -> float:
        """When the first of its certificates expires, in seconds since the epoch."""
        return min(certificate.not_valid_after_utc.timestamp() for certificate in self.chain)


def read_identity(certificate: Path, private_key: Path | None = None) -> Identity:
    """``private_key`` must be without a passphrase; None: it is in the certificate's file. Raises PemError."""
    chain = read_certificates(certificate)
    key_file = private_key or certificate
    key = _read_key(key_file)
    if key.public_key() != chain[0].public_key():
        raise PemError(key_file, f"{key_file}: this private key does not belong to the certificate in {certificate}")
    return Identity(chain, key)


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a file. Raises PemError where there is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(_read(path)))
    except PemError:
        raise
    except ValueError:
        raise PemError(path, f"{path}: holds no readable PEM certificate") from None


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Whom a certificate names: DNS names and addresses of its subjectAltName, then its common name."""
    found: list[str] = []
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += alternatives.get_values_for_type(x509.DNSName)
        found += map(str, alternatives.get_values_for_type(x509.IPAddress))
    except (x509.ExtensionNotFound, ValueError):
        pass
    try:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        found += [value if isinstance(value := name.value, str) else "" for name in common]
    except ValueError:
        pass
    # A name is shown and logged.
    return tuple(dict.fromkeys(name for name in found if name and name.isprintable()))


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 in lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read(path), password=None)
    except TypeError:
        raise PemError(path, f"{path}: the private key is encrypted, give one without a passphrase") from None
    except PemError:
        raise
    except ValueError:
        raise PemError(path, f"{path}: holds no readable PEM private key") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PemError(path, f"cannot read {path}: {error.strerror}") from None
