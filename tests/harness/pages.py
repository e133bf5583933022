"""Finds the pages of the documentation, and writes the files that their configuration blocks name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import trustme
import yaml

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "packaging/docs"
sys.path.insert(0, str(DOCS / "_tools"))

from documentation.blocks import Block, blocks  # noqa: E402

PAGES = [CHECKOUT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_tools" not in path.parts)]
BASIC = {
    "collector": {"region": "FRA1"},
    "listeners": [{"name": "udp", "udp": "127.0.0.1:5514"}, {"name": "tcp", "tcp": "127.0.0.1:5514"}],
    "sources": [{"source": "10.2.0.0/16", "timezone": "America/New_York"}],
    "intakes": {
        "firewalls": {"intake_key": {"file": "keys/firewalls"}},
        "linux": {"intake_key": {"file": "keys/linux"}, "payload": "line"},
    },
    "routes": [
        {"name": "firewalls", "intake": "firewalls", "source": ["10.1.0.1", "10.2.0.1"]},
        {"name": "linux", "intake": "linux", "source": "10.1.8.0/24"},
    ],
    "spool": {"directory": "spool"},
}


def marked(*kinds: str) -> Iterator[tuple[str, Block]]:
    """Yields the blocks whose mark begins with one of the kinds, each with ``PAGE:LINE``."""
    for page in PAGES:
        for block in blocks(page.read_text()):
            if block.mark.startswith(kinds):
                yield f"{page.relative_to(CHECKOUT)}:{block.line}", block


def completed(text: str) -> dict[str, Any]:
    """Returns a basic configuration with the keys of a block; intakes are joined."""
    part: Mapping[str, Any] = yaml.safe_load(text)
    return {**BASIC, **part, "intakes": {**BASIC["intakes"], **part.get("intakes", {})}}


def write_tls(folder: Path, *names: str) -> None:
    """Writes certificates with their keys, ``NAME.pem`` and ``NAME.key``, and the authority as ``ca.pem``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in names:
        certificate = authority.issue_cert("gateway.example.org")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
