"""Detects whether the process runs in a container."""

import os
from pathlib import Path

MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"Files that Docker and Podman create in their containers."


def in_container() -> bool:
    """Returns True if the process runs in a container of Docker, Podman, Kubernetes or systemd-nspawn."""
    named = os.environ.get("container") or os.environ.get("KUBERNETES_SERVICE_HOST")  # noqa: SIM112  # its name
    return bool(named) or any(mark.exists() for mark in MARKS)
