"""Checks that this machine can run a configuration.

Its ports are free, its certificates are valid, and the service can write to the spool.

Root sees which process has a port. Then it becomes the user of the service, whose rights count for everything else: the
configuration, keys, certificates and the spool.
"""

import errno
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bridge.config import Config, ConfigurationError, MachineFinding, load
from bridge.host.privileges import User, become
from bridge.listen.sockets import Holder, bind_error, holder_of, try_port
from bridge.operations import spool_owner
from bridge.setup.certificate_check import certificate_findings
from bridge.setup.service_user import environments, service_user
from bridge.util import file_access
from bridge.util.errors import BridgeError

UNIT = "syslog-bridge.service"
_SYSTEMD = Path("/run/systemd/system")
_STATE = Path("/var/lib/syslog-bridge")
"The folder that the unit of the package may write to."
_INIT = 1
"The process that keeps the sockets of a service between two processes, and those of socket units."
_QUERY_TIMEOUT = 5.0


class MachineCheck:
    """Checks this machine for the configuration in a file. ``packaged``: the unit of the package uses this file."""

    def __init__(self, file: Path, *, packaged: bool) -> None:
        self._file = file
        self._packaged = packaged
        self._user: User | None = None
        self._ports: list[tuple[MachineFinding, Holder | None]] = []
        self._sandbox: list[MachineFinding] = []
        self._owner: str | None = None

    def become_service_user(self) -> None:
        """Looks at the ports, and becomes the user of the service if this process is root. Raises BridgeError.

        Takes over the environment of the running bridge, which names its credentials and may have secrets. Does nothing
        if the configuration has errors.
        """
        try:
            config = load(self._file, secrets=False)
        except ConfigurationError:
            return
        directory = config.spool.directory
        self._ports = list(taken_ports(config))
        try:
            self._user = user = service_user(directory, packaged=self._packaged)
            known = {} if user is None else environments(user)
            if user is not None:
                if self._packaged:
                    self._sandbox = list(sandbox_findings(directory))
                become(user)
        except OSError as error:
            raise BridgeError(f"{directory}: {error.strerror}", "Run the command as the user of the bridge") from None
        self._owner = _owner(directory)
        for name, value in known.get(self._owner or "", {}).items():
            os.environ.setdefault(name, value)

    def findings(self, config: Config) -> list[MachineFinding]:
        """Returns what was found for the configuration, as the user that this process has become."""
        found = [finding for finding, holder in self._ports if not is_own(holder, self._owner)]
        found += certificate_findings(config, time.time())
        if self._user is not None:
            found += spool_faults(config.spool.directory, self._user)
        found += read_only_faults(config.spool.directory)
        return [*found, *self._sandbox]


def _owner(directory: Path) -> str | None:
    """Returns the process that has the lock of a spool, or None. Returns ``unknown`` if this user cannot see it."""
    try:
        return spool_owner.owner(directory)
    except OSError:
        return "unknown"


def taken_ports(config: Config) -> Iterator[tuple[MachineFinding, Holder | None]]:
    """Yields each address that cannot be bound now, and the process that has it, if this user can see it."""
    transports: list[tuple[tuple[str | int, ...], str, str, int]] = [
        (("listeners", position, listener.kind), listener.transport, listener.address.host, listener.address.port)
        for position, listener in enumerate(config.listeners)
        if listener.unix_path is None
    ]
    admin = config.admin.listen
    for path, kind, host, port in [*transports, (("admin", "listen"), "tcp", admin.host, admin.port)]:
        beside_ipv4 = any(
            other_kind == kind and other_port == port and "." in other_host
            for _, other_kind, other_host, other_port in transports
        )
        try:
            try_port(kind, host, port, v6only=host != "*" and beside_ipv4)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                # The service may have rights that this process lacks, above all for ports below 1024.
                continue
            text, hint = bind_error(error, kind, host, port)
            holder = holder_of(kind, port) if error.errno == errno.EADDRINUSE else None
            about = "admin.listen: " if path[0] == "admin" else ""
            yield MachineFinding(path, f"{about}{text}. {hint}", error=False), holder


def is_own(holder: Holder | None, owner: str | None) -> bool:
    """Returns True if a port is open in the running bridge, or is kept for it by the service manager.

    ``owner`` is the process that has the lock of the spool. If the holder cannot be seen, it is taken for that process.
    """
    if holder is None:
        return owner is not None
    return str(holder.pid) == owner or holder.pid == _INIT


def spool_faults(directory: Path, user: User) -> Iterator[MachineFinding]:
    """Yields a finding if this process, which has the rights of ``user``, cannot use the directory of the spool."""
    owner, group = file_access.user_name(user.uid), file_access.group_name(user.gid)
    path = ("spool", "directory")
    place = shlex.quote(str(directory))
    existing = next(folder for folder in (directory, *directory.absolute().parents) if _reachable(folder))
    if not existing.is_dir():
        text = f"directory: {existing} is not a directory. Remove it, or choose another path."
        yield MachineFinding(path, text, error=True)
    elif not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        if existing == directory:
            command = f"sudo chown {owner}:{group} {place} && sudo chmod u+rwx {place}"
            text = f"user {owner} may not write to {directory}. Run: {command}."
        else:
            made = f"sudo install -d -o {owner} -g {group} -m 0750 {place}"
            text = f"{directory} does not exist, and user {owner} may not create it. Run: {made}."
        yield MachineFinding(path, f"directory: {text}", error=True)


def read_only_faults(directory: Path) -> Iterator[MachineFinding]:
    """Yields a finding if the directory of the spool is on a filesystem that is mounted read-only."""
    existing = next(folder for folder in (directory, *directory.absolute().parents) if _reachable(folder))
    try:
        read_only = bool(os.statvfs(existing).f_flag & os.ST_RDONLY)
    except OSError:
        return
    if read_only:
        text = f"directory: the filesystem of {directory} is read-only. Mount it read-write, or choose another path."
        yield MachineFinding(("spool", "directory"), text, error=True)


def _reachable(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def sandbox_findings(directory: Path) -> Iterator[MachineFinding]:
    """Yields a finding if the unit of the package hides the directory of the spool from the service or protects it."""
    absolute = directory.absolute()
    if not _SYSTEMD.is_dir() or absolute.is_relative_to(_STATE):
        return
    asked = ("ProtectSystem", "ReadWritePaths")
    try:
        done = subprocess.run(
            ["systemctl", "show", UNIT, *(f"--property={name}" for name in asked)],
            capture_output=True, text=True, timeout=_QUERY_TIMEOUT, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    writable = [Path(each.lstrip("-+")) for each in shlex.split(found.get("ReadWritePaths", ""))]
    if found.get("ProtectSystem") == "strict" and not any(map(absolute.is_relative_to, writable)):
        text = (
            f"directory: the service may not write to {directory}. Run sudo systemctl edit syslog-bridge, add the lines"
            f" [Service] and ReadWritePaths={absolute}, and restart the service."
        )
        yield MachineFinding(("spool", "directory"), text, error=False)
