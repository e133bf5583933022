"""Sends test messages over one blocking socket and describes its errors for the operator."""

import errno
import os
import socket
import ssl
from contextlib import closing, suppress

from bridge.routing.conditions import Address
from bridge.trial.send_target import ClientTls, SendError, SendTarget
from bridge.trial.tls_stream import TlsStream

CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
"Maximum wait for the receiver to close the connection after us. A receiver that keeps it open is not an error."


class SendConnection:
    """A socket to a target; ``source`` binds it to one of this machine's addresses. All methods raise SendError."""

    def __init__(self, target: SendTarget, source: Address | None = None, tls: ClientTls | None = None) -> None:
        self._target = target
        try:
            opened = _unix(target.path) if target.kind == "unix" else _connected(target, source)
            self._socket: socket.socket | TlsStream = (
                _secured(opened, target, tls or ClientTls()) if target.encrypted else opened
            )
        except (OSError, SendError) as error:
            raise self._error(error, source) from None
        self.datagrams = self._socket.type == socket.SOCK_DGRAM
        "True if each ``send`` is one message; False for a stream."

    def send(self, data: bytes) -> None:
        """Sends a datagram, or a part of the stream."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._error(error) from None

    def receive(self, seconds: float) -> bytes:
        """Returns the next data of a stream; raises SendError if none comes within ``seconds``, or at its end."""
        try:
            self._socket.settimeout(seconds)
            data = self._socket.recv(65536)
            self._socket.settimeout(None)
        except TimeoutError:
            raise SendError(
                f"{self._target}: no answer within {seconds:g} s", "Check that it is a RELP port."
            ) from None
        except OSError as error:
            raise self._error(error) from None
        if not data:
            raise self._error(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
        return data

    def close(self) -> None:
        """Closes the connection; raises an error that the receiver has reported by now."""
        try:
            with closing(self._socket), suppress(TimeoutError):
                if isinstance(self._socket, TlsStream):
                    self._socket.settimeout(_CLOSE_SECONDS)
                    self._socket.finish()
                elif not self.datagrams:
                    self._socket.shutdown(socket.SHUT_WR)
                    self._socket.settimeout(_CLOSE_SECONDS)
                    while self._socket.recv(4096):
                        pass
                # If no process listens on the port, the host may report it by ICMP after the datagram was sent.
                elif code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(code, os.strerror(code))
        except OSError as error:
            raise self._error(error) from None

    def abort(self) -> None:
        """Closes the connection after an error."""
        self._socket.close()

    def _error(self, error: OSError | SendError, source: Address | None = None) -> SendError:
        hint = ""
        if isinstance(error, SendError):
            return SendError(f"{self._target}: {error}")
        if isinstance(error, socket.gaierror):
            why = f"cannot resolve the host name ({error.strerror})"
        elif isinstance(error, ssl.SSLError):
            why, hint = _tls_error(error)
        elif isinstance(error, TimeoutError):
            why = f"no connection within {CONNECT_SECONDS:g} s"
        elif error.errno == errno.ECONNREFUSED and self._target.kind == "unix":
            why = "no process reads this socket (connection refused)"
        elif error.errno == errno.ECONNREFUSED:
            why = "no process listens on this port (connection refused)"
        elif error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            why, hint = "the receiver closed the connection", "Check allow and max_connections of its listener."
            if self._target.encrypted:
                hint = "Check that the port is one for TLS, and the allow and client_ca_file of its listener."
        elif error.errno == errno.EMSGSIZE:
            why, hint = "the message is longer than a datagram can be (65,507 bytes)", "Use tcp://."
        elif error.errno == errno.EADDRNOTAVAIL and source is not None:
            why = f"this machine has no address {source}"
        else:
            why = error.strerror or str(error)
        return SendError(f"{self._target}: {why}", hint)


def _connected(target: SendTarget, source: Address | None) -> socket.socket:
    kind = socket.SOCK_DGRAM if target.kind == "udp" else socket.SOCK_STREAM
    family = 0 if source is None else socket.AF_INET if source.version == 4 else socket.AF_INET6
    failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for address_family, _, _, _, address in socket.getaddrinfo(target.host, target.port, family, kind):
        opened = socket.socket(address_family, kind)
        try:
            if source is not None:
                opened.bind((str(source), 0))
            opened.settimeout(CONNECT_SECONDS)
            opened.connect(address)
            opened.settimeout(None)
        except OSError as error:
            opened.close()
            failure = error
            continue
        return opened
    raise failure


def _unix(path: str) -> socket.socket:
    """Connects to a Unix socket of either kind, as the sender cannot see which one it is."""
    failure: OSError | None = None
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        opened = socket.socket(socket.AF_UNIX, kind)
        try:
            opened.connect(path)
        except OSError as error:
            opened.close()
            failure = error
            if error.errno != errno.EPROTOTYPE:
                break
        else:
            return opened
    assert failure is not None
    raise failure


def _secured(opened: socket.socket, target: SendTarget, tls: ClientTls) -> TlsStream:
    """Does the TLS handshake. Closes the socket if it fails."""
    try:
        context = _context(tls)
        opened.settimeout(CONNECT_SECONDS)
        secured = TlsStream(opened, context, tls.server_name or target.host)
        secured.settimeout(None)
    except BaseException:
        opened.close()
        raise
    return secured


def _context(tls: ClientTls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ssl.SSLError) as error:
        raise SendError(f"cannot read the authorities {tls.ca}: {error.strerror or error}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        try:
            context.load_cert_chain(tls.certificate, tls.private_key)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "reason", None) or error.strerror or error
            raise SendError(
                f"cannot use the certificate {tls.certificate} with the key {tls.private_key or tls.certificate}: {why}"
            ) from None
    return context


def _tls_error(error: ssl.SSLError) -> tuple[str, str]:
    """Returns what failed in a TLS connection, and the remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the receiver's certificate is not accepted: {error.verify_message}",
            "Give its authority with --ca, its name with --server-name, or --insecure for a test.",
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in reason or "certificate" in reason:
        return f"the receiver rejects the TLS connection: {reason}", "Give a client certificate with --certificate."
    if reason in ("wrong version number", "record layer failure", "unexpected eof while reading"):
        return f"no TLS on this port ({reason})", "Check that the port is one for TLS."
    return f"the TLS handshake failed: {reason}", ""
