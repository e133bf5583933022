"""Names a node of the cluster after its host and its spool, as several hosts may have the same name."""

import secrets
import socket
from pathlib import Path

from bridge.spool import SpoolError

FILE = ".node"
"File in the spool that holds the random part of the name. Batch sequences are unique only within one spool."


def node_name(spool: Path) -> str:
    """Returns ``HOST-XXXXXXXX``; creates the random part at the first call. Raises SpoolError."""
    file = spool / FILE
    try:
        if not file.exists():
            file.write_text(secrets.token_hex(4) + "\n")
        mark = file.read_text().strip()
    except OSError as error:
        raise SpoolError(f"{file}: {error.strerror}") from None
    return f"{socket.gethostname()}-{mark}"
