"""Finds the intake key of a request and checks it against the accepted keys.

The key is the header ``X-SEKOIAIO-INTAKE-KEY``, the HTTP Basic password (any user), the query ``intake_key=``, or part
of the JSON body; the first one present is used. It is never in a response, log line or error. A key that is present but
empty or unreadable is refused: a client that means to authenticate is never treated as one without a key.
"""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

import base64
import hmac
from collections.abc import Sequence, Set
from typing import NoReturn

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

        Raises Refusal (401) if the key is unknown, empty or cannot be read.
        """
        raw = _sent_key(request)
        return None if raw is None else self.checked(raw.decode("utf-8", "surrogateescape"))

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
                raise _unauthorized(f"{where}unknown intake key")
        return key


def _sent_key(request: Request) -> bytes | None:
    """Returns the key of header, Basic password or query as it was sent, None if there is none of them."""
    headers = request.requestHeaders
    if (key := headers.getRawHeaders(KEY_HEADER.encode())) is not None:
        if len(set(key)) > 1:
            raise _unauthorized(f"several headers {KEY_HEADER}")
        return key[0].strip() or _no_key(f"the header {KEY_HEADER} is empty")
    if (basic := headers.getRawHeaders(b"Authorization")) is not None:
        return _password(basic) or _no_key("Authorization must be Basic, with the intake key as the password")
    query: list[bytes] | None = (request.args or {}).get(b"intake_key")
    if query is not None:
        return query[0] or _no_key("the query intake_key= is empty")
    return None


def _password(headers: Sequence[bytes]) -> bytes:
    """Returns the password of a Basic Authorization header (RFC 7617); empty if it is malformed."""
    scheme, _, encoded = headers[0].partition(b" ")
    if len(set(headers)) > 1 or scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _no_key(text: str) -> NoReturn:
    raise _unauthorized(text)


def _unauthorized(text: str) -> Refusal:
    return Refusal(401, text, headers=_CHALLENGE, reason="intake_key")


def missing_key(where: str = "") -> Refusal:
    """Returns the 401 for an event without a key."""
    text = f"{where}no intake key: send it as header {KEY_HEADER}, as HTTP Basic password or as query intake_key="
    return _unauthorized(text)


def _as_bytes(key: str) -> bytes:
    # Keys from JSON may contain lone surrogates, and compare_digest accepts only ASCII as str.
    return key.encode("utf-8", "surrogatepass")
