"""Finds the type of the filesystem that holds a path."""

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2",
    "glusterfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "smb3", "smbfs",
}  # fmt: skip


def network_filesystem(path: Path) -> str | None:
    """Returns the type of the network or shared filesystem that a path is on; None if it is on another, or unknown."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
        resolved = path.resolve()
    except (OSError, RuntimeError):
        return None
    kind, depth = "", -1
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 5:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # A later mount covers an earlier one at the same place.
        if len(point.parts) >= depth and (point == resolved or point in resolved.parents):
            kind, depth = rest[0], len(point.parts)
    return kind if kind in _NETWORK else None
