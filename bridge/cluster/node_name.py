"""By which name the fleet knows a node: its host's, and that of its spool, as hosts may be called alike."""

import secrets
import socket
from pathlib import Path

from bridge.spool import SpoolError

FILE = ".node"
"In the spool: a name of one spool, as sequences are."


def node_name(spool: Path) -> str:
    """``HOST-XXXXXXXX``. Raises SpoolError."""
    file = spool / FILE
    try:
        if not file.exists():
            file.write_text(secrets.token_hex(4) + "\n")
        mark = file.read_text().strip()
    except OSError as error:
        raise SpoolError(f"{file}: {error.strerror}") from None
    return f"{socket.gethostname()}-{mark}"
