"""Defines the cipher suites of TLS 1.2 that are used by default, and the weaker ones for old peers.

By default all suites have forward secrecy and authenticated encryption (RFC 9325, section 4.2). With
``legacy_ciphers: true`` there are also CBC and static RSA, which devices without a software update since about 2015
need. TLS 1.3 has no such suites.
"""

import struct
from functools import cache

from twisted.internet.interfaces import IAcceptableCiphers
from twisted.internet.ssl import AcceptableCiphers

from bridge.tls.suites import LEGACY, TLS_1_3

_STRONG = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:DHE+AESGCM:DHE+CHACHA20:!aNULL:!aDSS"
"In OpenSSL's notation, the preferred ones first."
_WITH_LEGACY = f"{_STRONG}:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES"

_LEGACY_NAMES = {number: name for name, number in LEGACY.items()}
"Suites that ``_WITH_LEGACY`` adds, by their number."
_ANONYMOUS = frozenset((
    *range(0x0017, 0x001C), 0x0034, 0x003A, 0x0046, 0x006C, 0x006D, 0x0089, 0x009B, 0x00A6, 0x00A7, 0x00BF, 0x00C5,
    *range(0xC015, 0xC01A), 0xC046, 0xC047, 0xC05A, 0xC05B, 0xC084, 0xC085,
))  # fmt: skip
"Suites in which neither side has a certificate (DH_anon and ECDH_anon), by their number."
_WITHOUT_KEY_EXCHANGE = frozenset((0x00FF, 0x5600, *range(0x1301, 0x1306)))
"Numbers that do not name a key exchange: signals (RFC 5746, RFC 7507), and the suites of TLS 1.3."
_MOST_NAMED = 4
_RECORD, _HEADER = struct.Struct(">BHH"), struct.Struct(">B3sH32s")
_HANDSHAKE, _CLIENT_HELLO = 22, 1


@cache
def acceptable(*, legacy: bool, suites: tuple[str, ...] = ()) -> IAcceptableCiphers:
    """Returns the cipher suites for ``CertificateOptions``: those of TLS 1.2 in ``suites``, by default all."""
    limited = ":".join(name for name in suites if name not in TLS_1_3)
    default = _WITH_LEGACY if legacy else _STRONG
    ciphers: IAcceptableCiphers = AcceptableCiphers.fromOpenSSLCipherString(limited or default)
    return ciphers


def legacy_suites(first_data: bytes) -> list[str]:
    """Returns the names of the suites in ``LEGACY`` that a ClientHello offers: four of them, and how many more.

    ``first_data`` is the beginning of a connection. It may be anything.
    """
    found = [_LEGACY_NAMES[number] for number in _offered(first_data) if number in _LEGACY_NAMES]
    return found if len(found) <= _MOST_NAMED else [*found[:_MOST_NAMED], f"{len(found) - _MOST_NAMED} more"]


def is_anonymous(first_data: bytes) -> bool:
    """Returns True if a client without a common suite wants a key exchange without certificates.

    GnuTLS then offers anonymous suites, or none but those of TLS 1.3, which has no anonymous key exchange.
    ``first_data`` is the beginning of a connection. It may be anything.
    """
    numbers = set(_offered(first_data))
    suites = numbers - _WITHOUT_KEY_EXCHANGE
    return suites <= _ANONYMOUS and bool(suites or numbers.intersection(TLS_1_3.values()))


def _offered(first_data: bytes) -> tuple[int, ...]:
    """Returns the numbers of the suites that a ClientHello offers (RFC 5246, 7.4.1.2); none for other data."""
    try:
        kind, _, _ = _RECORD.unpack_from(first_data)
        message, _, _, _ = _HEADER.unpack_from(first_data, at := _RECORD.size)
        at += _HEADER.size
        at += 1 + first_data[at]
        (length,) = struct.unpack_from(">H", first_data, at)
        numbers: tuple[int, ...] = struct.unpack_from(f">{length // 2}H", first_data, at + 2)
    except (struct.error, IndexError):
        return ()
    return numbers if kind == _HANDSHAKE and message == _CLIENT_HELLO else ()
