"""Posts to the HTTPS listener as an agent does: a client of the collector's API."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any


class Agent:
    """Posts to the gateway over one HTTPS connection."""

    def __init__(self, port: int, ca: Path, *, source: str | None = None) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.set_alpn_protocols(["h2", "http/1.1"])  # as curl, and every browser
        self._connection = http.client.HTTPSConnection(
            "localhost", port, context=context, timeout=180, source_address=None if source is None else (source, 0)
        )

    def post(self, path: str, body: bytes | object, **headers: str) -> tuple[int, dict[str, str], Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("POST", path, data, named)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(text)

    def close(self) -> None:
        """Closes the connection; the next `post` opens it again."""
        self._connection.close()
