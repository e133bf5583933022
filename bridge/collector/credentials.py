# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)
"""Which intake key a request carries, and whether it is a known one.

The key comes as header ``X-SEKOIAIO-INTAKE-KEY``, as HTTP Basic password (any user), as query ``intake_key=``, or in
the JSON body; the first that is there decides. Its text is in no answer, log line or error.
"""

import hmac
from collections.abc import Set

from twisted.web.server import Request

from bridge.collector.refusal import Refusal

KEY_HEADER = "X-SEKOIAIO-INTAKE-KEY"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="intake", charset="UTF-8"'}


class Keys:
    """The keys that are let in; None: any key that is not empty. ``optional``: an event may also come without."""

    def __init__(self, keys: Set[str] | None, *, optional: bool = False) -> None:
        self.optional = optional
        self.become(keys)

    def become(self, keys: Set[str] | None) -> None:
        """Let others in from now on."""
        self._known = None if keys is None else [_as_bytes(key) for key in keys]

    def of_request(self, request: Request) -> str | None:
        """The checked key of header, Basic password or query, None when the request has none of them.

        Raises Refusal (401): the key is unknown.
        """
        header = request.getHeader(KEY_HEADER.encode()) or b""
        raw = header.strip() or request.getPassword() or (request.args or {}).get(b"intake_key", [b""])[0]
        return self.checked(raw.decode("utf-8", "surrogateescape")) if raw else None

    def checked(self, key: str, where: str = "") -> str:
        """The key itself if it is known; ``where`` names the event in the error's text.

        Raises Refusal (401).
        """
        if self._known is not None:
            given, found = _as_bytes(key), False
            # Every key is compared, whole: the time taken tells nothing about which one was nearly right.
            for known in self._known:
                found |= hmac.compare_digest(known, given)
            if not found:
                raise Refusal(401, f"{where}unknown intake key", headers=_CHALLENGE)
        return key


def missing_key(where: str = "") -> Refusal:
    """The 401 for an event without a key."""
    text = f"{where}no intake key: give it as header {KEY_HEADER}, as HTTP Basic password or as query intake_key="
    return Refusal(401, text, headers=_CHALLENGE)


def _as_bytes(key: str) -> bytes:
    # Keys from JSON may hold lone surrogates; compare_digest takes str only when it is ASCII.
    return key.encode("utf-8", "surrogatepass")
