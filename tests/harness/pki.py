"""Issues certificates for tests, in PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme
from cryptography import x509

from bridge.tls.pem import fingerprint_of


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: Path
    private_key: Path

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(x509.load_pem_x509_certificate(self.certificate.read_bytes()))


class Authority:
    """A certificate authority; its certificate is in the file `ca`."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA()
        self._directory = directory
        self.ca = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(
        self,
        *names: str,
        file: str | None = None,
        common_name: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Issued:
        """Issues a certificate for DNS names and addresses; `file` names its files, by default the first name."""
        leaf = self._ca.issue_cert(*names, common_name=common_name, not_before=not_before, not_after=not_after)
        stem = file or names[0]
        issued = Issued(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        issued.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(issued.private_key)
        return issued
