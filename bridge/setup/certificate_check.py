"""Checks the certificates of a configuration for their dates: expired, about to expire, or not valid yet."""

from collections.abc import Iterator
from pathlib import Path

from bridge.config import Config, MachineFinding
from bridge.monitoring.certificate_expiry import WARN_BEFORE, state_of
from bridge.tls.pem import PemError, read_certificates


def certificate_findings(config: Config, now: float) -> Iterator[MachineFinding]:
    """Yields a warning for each certificate of a listener or of the admin server that is not valid for long.

    ``now`` is in seconds since the epoch. Files that cannot be read are errors of the configuration, not findings.
    """
    listeners = [(("listeners", place, "cert_file"), each.cert_file) for place, each in enumerate(config.listeners)]
    admin: tuple[tuple[str | int, ...], Path | None] = (("admin", "cert_file"), config.admin.cert_file)
    for path, file in [*listeners, admin]:
        if file is not None and (fault := _fault(file, now)):
            yield MachineFinding(path, f"cert_file: {fault}", error=False)


def _fault(file: Path, now: float) -> str | None:
    try:
        chain = read_certificates(file)
    except PemError:
        return None
    begins = max(certificate.not_valid_before_utc for certificate in chain)
    if begins.timestamp() > now:
        return f"{file} is valid from {begins:%Y-%m-%d %H:%M} UTC on. Check the clock of this machine."
    left = min(certificate.not_valid_after_utc.timestamp() for certificate in chain) - now
    return f"{file} {state_of(left)}. Renew it, then reload." if left < WARN_BEFORE else None
