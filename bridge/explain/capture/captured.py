"""Defines a frame of a capture, and its line in a file of samples."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import NamedTuple

from bridge.routing.conditions import Address

SAMPLES_HEADER = b"# syslog-bridge samples"
"Beginning of a file of samples that this program has written. Each other line is one sample."
_BEGINNING = "- "
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class CapturedFrame(NamedTuple):
    """A frame of a capture. None stands for what the capture does not record."""

    frame: bytes
    source: Address | None = None
    received: datetime | None = None
    port: int | None = None
    "Destination port."
    kind: str = "udp"
    "``udp`` or ``tcp``."


def sample_line(captured: CapturedFrame, **more: object) -> bytes:
    """Returns a frame as one line of a file of samples: YAML, whose item is a JSON object."""
    fields: dict[str, object] = {}
    if captured.source is not None:
        fields["from"] = str(captured.source)
    if captured.received is not None:
        fields["received"] = captured.received.isoformat()
    fields |= {key: value for key, value in more.items() if value is not None and key != "expect"}
    text = captured.frame.decode("utf-8", "replace")
    # YAML and JSON agree on printable text only.
    if text.isprintable() and text.encode() == captured.frame:
        fields["frame"] = text
    else:
        fields["base64"] = base64.b64encode(captured.frame).decode()
    fields["expect"] = more.get("expect", {})
    text = _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(fields, ensure_ascii=False))
    return f"{_BEGINNING}{text}\n".encode()


def read_sample_line(line: bytes) -> CapturedFrame | None:
    """Reads a line that ``sample_line`` wrote. Returns None if it is something else."""
    try:
        fields = json.loads(line.decode().removeprefix(_BEGINNING))
        return _captured(fields) if isinstance(fields, dict) else None
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None


def _captured(fields: Mapping[str, str]) -> CapturedFrame:
    frame = fields["frame"].encode() if "frame" in fields else base64.b64decode(fields["base64"], validate=True)
    source, received = fields.get("from"), fields.get("received")
    return CapturedFrame(
        frame, None if source is None else ip_address(source),
        None if received is None else datetime.fromisoformat(received),
    )  # fmt: skip
