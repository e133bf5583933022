"""Locates what `tests/peers/fetch` unpacked, and the environment it needs to run from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).resolve().parents[2] / ".cache" / "peers"


class PeerMissing(Exception):
    """The daemon was not fetched; the text says what to run."""


@dataclass(frozen=True)
class Unpacked:
    """The directory that Debian packages were unpacked into."""

    root: Path

    @classmethod
    def find(cls, name: str) -> Unpacked:
        """Returns the unpacked packages; raises PeerMissing if `fetch` did not complete."""
        root = PEERS / name
        if not (root / "complete").exists():
            raise PeerMissing(f"{name} is not in .cache/peers: run `sh tests/peers/fetch` (needs apt-get)")
        return cls(root)

    def program(self, name: str) -> str:
        return str(self.root / "usr/sbin" / name)

    def library(self, pattern: str) -> str:
        """Returns the path below usr/lib that matches (the multiarch directory differs per architecture)."""
        return str(next((self.root / "usr/lib").glob(pattern)))

    @property
    def environment(self) -> dict[str, str]:
        """Puts its own libraries before the system's, and sets UTC, since RFC 3164 times are local and have no zone."""
        folders = sorted({str(path.parent) for path in self.root.rglob("*.so*") if path.parent.parent.name == "lib"})
        return {"LD_LIBRARY_PATH": ":".join(folders), "TZ": "UTC"}
