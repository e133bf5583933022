"""Maps the causes of failed deliveries to what the operator can do."""

_CHECK_CONNECTION = 'run "syslog-bridge check --connect": it names the step that fails (DNS, firewall, proxy)'
_CHECK_TLS = 'run "syslog-bridge check --connect"; if a proxy inspects TLS, add its CA as extra_ca_file'
_OTHER_SERVER = "something else answers instead of the collector: check the URL and any proxy in between"

REMEDIES = {
    "key": 'put the right intake key into its file: run "syslog-bridge key set NAME"',
    "url": "check url: and endpoint: of the intake",
    "name": 'run "syslog-bridge check --connect" and check the DNS settings of this gateway',
    "connection": _CHECK_CONNECTION,
    "certificate": _CHECK_TLS,
    "client_certificate": "set client_cert_file to one that the server accepts",
    "ciphers": "let the server offer TLS 1.3 or AES-GCM, or set legacy_ciphers: true for the collector",
    "tls": _CHECK_TLS,
    "proxy": "allow this gateway to reach the collector through the proxy",
    "foreign": _OTHER_SERVER,
    "too_large": "check the limit of request bodies of a proxy in front of the collector",
    "rate": "no action is needed: delivery is retried; lower max_request_rate if this persists",
    "server": "the collector has a fault; delivery resumes by itself when it is back",
    "refused": "check the format and payload form of the intake; once another event of it is accepted, what was refused"
    ' is in "syslog-bridge quarantine list --reason refused"',
    "shortfall": "report it to the vendor: the requests are in SPOOL/.quarantine/evidence",
    "files": "repair the disk, or the mode of the files: they are tried again by themselves",
    "broker": 'check the broker of the shared backlog (cluster); "syslog-bridge status" shows its state',
    "retired": "add the intake to the configuration again, or move its events to another intake",
    "defect": "report this as a defect, with the log",
}
"Remedies by the value of ``deliver.cause.Cause``. ``NAME`` stands for an intake."


def remedy_for(cause: str | None, *intakes: str) -> str:
    """Returns the remedy for a cause, None for an unknown one. The name of a single intake is filled in."""
    remedy = REMEDIES.get(cause or "", "see the log")
    return remedy.replace("NAME", intakes[0]) if len(intakes) == 1 else remedy


def fault_and_remedy(error: str, cause: str | None, *intakes: str) -> tuple[str, str]:
    """Returns the text of an error without what it says is to check, and the remedy.

    The remedy is that of the cause. A rejected certificate has many faults: there, the error says what to check, such
    as the gateway's clock.
    """
    fault, _, to_check = error.partition("; check the ")
    if cause == "certificate" and to_check:
        return fault, f"check the {to_check}"
    return fault, remedy_for(cause, *intakes)
