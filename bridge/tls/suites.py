"""Lists the cipher suites that a listener may be limited to, by their names in OpenSSL.

``named`` also takes the names of the IANA registry, as ``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``.
"""

import re

TLS_1_3 = {"TLS_AES_256_GCM_SHA384": 0x1302, "TLS_CHACHA20_POLY1305_SHA256": 0x1303, "TLS_AES_128_GCM_SHA256": 0x1301}
"Suites of TLS 1.3, which each listener has by default, and their numbers in a ClientHello."
STRONG = (
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-AES128-CCM", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-CHACHA20-POLY1305",
)  # fmt: skip
"Suites of TLS 1.2 with forward secrecy and authenticated encryption."
LEGACY = {
    "ECDHE-ECDSA-AES256-SHA384": 0xC024, "ECDHE-RSA-AES256-SHA384": 0xC028, "ECDHE-ECDSA-AES128-SHA256": 0xC023,
    "ECDHE-RSA-AES128-SHA256": 0xC027, "ECDHE-ECDSA-AES256-SHA": 0xC00A, "ECDHE-RSA-AES256-SHA": 0xC014,
    "ECDHE-ECDSA-AES128-SHA": 0xC009, "ECDHE-RSA-AES128-SHA": 0xC013, "DHE-RSA-AES256-SHA256": 0x006B,
    "DHE-RSA-AES128-SHA256": 0x0067, "DHE-RSA-AES256-SHA": 0x0039, "DHE-RSA-AES128-SHA": 0x0033,
    "AES256-GCM-SHA384": 0x009D, "AES128-GCM-SHA256": 0x009C, "AES256-SHA256": 0x003D, "AES128-SHA256": 0x003C,
    "AES256-SHA": 0x0035, "AES128-SHA": 0x002F,
}  # fmt: skip
"Suites of TLS 1.2 with CBC or static RSA, which need ``legacy_ciphers``. With their numbers."
SUITES = (*TLS_1_3, *STRONG, *LEGACY)

_IANA = re.compile(r"TLS_(?:(ECDHE|DHE)_)?(RSA|ECDSA)_WITH_(AES_(?:128|256)|CHACHA20)_(\w+)")


def named(name: str) -> str:
    """Returns OpenSSL's name of a suite, given by either name. A name that is unknown is returned as it is."""
    match = _IANA.fullmatch(name.upper())
    if match is None:
        return name
    exchange, authentication, cipher, rest = match.groups()
    # OpenSSL names neither static RSA nor CBC, and not the hash of ChaCha20.
    key = f"{exchange}-{authentication}-" if exchange else ""
    mode = rest.removeprefix("CBC_").replace("_", "-").removesuffix("-SHA256" if cipher == "CHACHA20" else "")
    return f"{key}{cipher.replace('_', '')}-{mode}"
