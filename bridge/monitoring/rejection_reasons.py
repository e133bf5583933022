"""Says what each reason code of a rejection means and what to do."""

from typing import NamedTuple


class RejectionReason(NamedTuple):
    """Describes a reason for which listeners reject connections, datagrams or requests."""

    meaning: str
    remedy: str
    is_problem: bool = True
    "False if another problem of the gateway is the cause and says what to do."


_NOT_YOURS = "If it is not one of your devices, block it in the firewall"
_TLS_VERSION = "update the sender, or set legacy_ciphers: true for this listener if it offers only old cipher suites"
_TRUST = "let the sender present a certificate of an authority in client_ca_file"
_LINE = "check the line to this sender"
_SMALLER = "let this sender send smaller requests, or raise max_events_per_request"

REASONS = {
    "not_in_allow": RejectionReason(
        "its address is not in allow", f"if it is one of your devices, add its address to allow. {_NOT_YOURS}"
    ),
    "max_connections": RejectionReason(
        "max_connections reached", "raise max_connections, or let senders keep their connections open"
    ),
    "max_connections_per_peer": RejectionReason(
        "max_connections_per_peer reached", "raise max_connections_per_peer if many senders share this address"
    ),
    "plain_text": RejectionReason(
        "plain text on a TLS port", "let the sender use TLS, or send it to a tcp: listener on another port"
    ),
    "tls_on_plain_port": RejectionReason(
        "TLS on a plain-text port", "send it to a tls: listener, or switch off TLS at the sender"
    ),
    "tls_version": RejectionReason("no TLS version or cipher suite in common", _TLS_VERSION),
    "tls_anonymous": RejectionReason(
        "TLS without certificates", "let the sender verify the listener's certificate; for rsyslog's omrelp, set"
        ' tls.caCert, tls.myCert and tls.myPrivKey, or load the module with tls.tlslib="openssl" and set tls.caCert',
    ),
    "handshake": RejectionReason("the TLS handshake failed", f"check the TLS settings of the sender. {_NOT_YOURS}"),
    "handshake_timeout": RejectionReason(
        "the TLS handshake was not finished in time", f"{_LINE}, or raise handshake_timeout. {_NOT_YOURS}"
    ),
    "handshake_broken": RejectionReason(
        "it closed the connection during the TLS handshake",
        f"check the log of the sender: it may not accept the listener's certificate. {_NOT_YOURS}",
    ),
    "tls_broken": RejectionReason("damaged TLS data", f"{_LINE}: something modifies its data in transit"),
    "client_certificate": RejectionReason("no usable client certificate", _TRUST),
    "client_authority": RejectionReason("its certificate is of an authority that is not in client_ca_file", _TRUST),
    "client_expired": RejectionReason(
        "its certificate has expired or is not valid yet", "renew the certificate of the sender, or correct its clock"
    ),
    "client_name": RejectionReason(
        "no name of its certificate is in client_names", "add the name of its certificate to client_names"
    ),
    "client_fingerprint": RejectionReason(
        "its certificate is not in client_fingerprints", "add the fingerprint of its certificate to client_fingerprints"
    ),
    "server_certificate": RejectionReason(
        "it does not accept the listener's certificate",
        "install the authority of the listener's certificate on the sender, or renew the certificate",
    ),
    "relp_protocol": RejectionReason("it does not speak RELP", "let it use RELP, or send it to a tcp: listener"),
    "not_kept": RejectionReason(
        "its messages could not be stored, so they were not acknowledged",
        "the sender repeats them; see the problems of the spool", is_problem=False,
    ),
    "answers_not_read": RejectionReason("it did not read its acknowledgements", "check the RELP client of the sender"),
    "unfinished_frames": RejectionReason(
        "its unfinished messages took too much memory", "let it end its messages as framing: of this listener says"
    ),
    "intake_key": RejectionReason(
        "a request without a valid intake key", "check the intake key in the configuration of this sender"
    ),
    "bad_request": RejectionReason("a request that is not HTTP/1.1", "check that this sender posts events by HTTP/1.1"),
    "request_too_large": RejectionReason("a request that is too large", _SMALLER),
    "request_buffer": RejectionReason(
        "no room for its requests", "let this sender use fewer connections, or raise request_buffer"
    ),
    "request_timeout": RejectionReason("a request that took too long", f"{_LINE}. {_NOT_YOURS}"),
    "answer_not_read": RejectionReason("it did not read the answer to its request", _LINE),
    "no_proxy_header": RejectionReason(
        "a load balancer's connection without a PROXY header",
        "let the load balancer send the PROXY header, or remove it from trusted_proxies",
    ),
    "proxy_header_from_stranger": RejectionReason(
        "a PROXY header from an address that is not in trusted_proxies",
        f"if it is your load balancer, add its address to trusted_proxies. {_NOT_YOURS}",
    ),
}  # fmt: skip
"All reason codes that listeners count."

_UNKNOWN = RejectionReason("rejected", "see the log")


def reason_of(code: str) -> RejectionReason:
    """Returns the description of a reason code."""
    return REASONS.get(code, _UNKNOWN)
