"""Reads certificates and private keys from PEM files. Error texts name the file and the fault, never the content."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bridge.util.errors import BridgeError
from bridge.util.file_access import to_install, to_read
from bridge.util.files import read_regular

LARGEST = 4 << 20
"Maximum bytes of a PEM file. The authorities of a system take some hundred KiB."


class PemError(BridgeError, ValueError):
    """Raised when a PEM file cannot be used. The text names the file. Pydantic's validators expect a ValueError."""

    def __init__(self, path: Path, text: str, hint: str = "") -> None:
        super().__init__(text, hint)
        self.path = path


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificate chain of a server, its own certificate first, and the private key of that certificate."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes

    @property
    def expires(self) -> float:
        """Time at which the first certificate of the chain expires, in seconds since the epoch."""
        return min(certificate.not_valid_after_utc.timestamp() for certificate in self.chain)


def read_identity(certificate: Path, private_key: Path | None = None) -> Identity:
    """Reads a certificate chain and its private key. Raises PemError.

    ``private_key`` must have no passphrase. If it is None, the key is in the certificate's file.
    """
    chain = read_certificates(certificate)
    key_file = private_key or certificate
    key = _read_key(key_file)
    if key.public_key() != chain[0].public_key():
        text = f"{key_file}: this private key does not belong to the certificate in {certificate}"
        raise PemError(key_file, text, "Use the key that the certificate was requested with.")
    return Identity(chain, key)


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Reads all certificates of a file. Raises PemError if the file has none or cannot be read."""
    data = _read(path)
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise PemError(path, f"{path}: holds no readable PEM certificate", _to_convert("CERTIFICATE")) from None


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Returns the names of a certificate: DNS names and addresses of its subjectAltName, then its common name."""
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
    # Names are shown and logged: return only printable names.
    return tuple(dict.fromkeys(name for name in found if name and name.isprintable()))


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Returns the SHA-256 fingerprint in lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _read_key(path: Path) -> PrivateKeyTypes:
    data = _read(path)
    try:
        return load_pem_private_key(data, password=None)
    except TypeError:
        raise PemError(path, f"{path}: the private key is encrypted", "Use a key without a passphrase.") from None
    except ValueError:
        raise PemError(path, f"{path}: holds no readable PEM private key", _to_convert("PRIVATE KEY")) from None


def _to_convert(label: str) -> str:
    """Returns what a PEM file must have, as a sentence. ``label`` is that of RFC 7468."""
    return f"Name a file that has the line -----BEGIN {label}-----. openssl converts other forms, such as DER."


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST)
    except OSError as error:
        hint = to_read(path) if isinstance(error, PermissionError) else to_install(path)
        raise PemError(path, f"cannot read {path}: {error.strerror}", hint) from None
