"""Finds the intake key of a request and checks it against the accepted keys.

The key is the header ``X-SEKOIAIO-INTAKE-KEY``, the HTTP Basic password (any user), the query ``intake_key=``, or part
of the JSON body; the first one present is used. It is never in a response, log line or error.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import hmac
from collections.abc import Set

from twisted.web.server import Request

from bridge.collector.refusal import Refusal

KEY_HEADER = "X-SEKOIAIO-INTAKE-KEY"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="intake", charset="UTF-8"'}


class Keys:
    """Holds the accepted keys. None: any key that is not empty. ``optional``: events without a key are accepted too."""

    def __init__(self, keys: Set[str] | None, *, optional: bool = False) -> None:
        self.optional = optional
        self.replace(keys)

    def replace(self, keys: Set[str] | None) -> None:
        """Replaces the accepted keys."""
        self._known = None if keys is None else [_as_bytes(key) for key in keys]

    def of_request(self, request: Request) -> str | None:
        """Returns the checked key of header, Basic password or query; None if the request has none of them.

        Raises Refusal (401) if the key is unknown.
        """
        header = request.getHeader(KEY_HEADER.encode()) or b""
        raw = header.strip() or request.getPassword() or (request.args or {}).get(b"intake_key", [b""])[0]
        return self.checked(raw.decode("utf-8", "surrogateescape")) if raw else None

    def checked(self, key: str, where: str = "") -> str:
        """Returns the key if it is accepted. ``where`` names the event in the error text.

        Raises Refusal (401) if it is not.
        """
        if self._known is not None:
            given, found = _as_bytes(key), False
            # Every key is compared in full, so the response time does not reveal a nearly correct key.
            for known in self._known:
                found |= hmac.compare_digest(known, given)
            if not found:
                raise Refusal(401, f"{where}unknown intake key", headers=_CHALLENGE)
        return key


def missing_key(where: str = "") -> Refusal:
    """Returns the 401 for an event without a key."""
    text = f"{where}no intake key: send it as header {KEY_HEADER}, as HTTP Basic password or as query intake_key="
    return Refusal(401, text, headers=_CHALLENGE)


def _as_bytes(key: str) -> bytes:
    # Keys from JSON may contain lone surrogates, and compare_digest accepts only ASCII as str.
    return key.encode("utf-8", "surrogatepass")
