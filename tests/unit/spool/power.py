"""Simulates in a real folder what a disk keeps after a power cut.

The simulator replaces fsync. The contents of a file are durable as of its last fsync. Its name is durable as of the
last fsync of a folder that it was in, or is in. After a power cut each file has, at random, its current name or its
durable name: a rename is either done or not done. The file holds its durable contents and any part of what was appended
since, or zeros where only its new length was written.
"""

import os
from pathlib import Path


class PowerCutSimulator:
    """Observes a folder and its subfolders. Replaces ``os.fsync`` and ``os.write`` between ``start`` and ``stop``."""

    def __init__(self, root: Path):
        self.root = root
        self.synced_contents = {}
        "inode -> durable bytes"
        self.synced_paths = {}
        "inode -> durable path"
        self.descriptors = {}
        "inode -> descriptor; a file that was unlinked may be back after a power cut"
        self._fsync = os.fsync
        self.writable_bytes = None
        "Number of bytes that can still be written; None: unlimited."
        self._write = os.write

    def start(self):
        os.fsync, os.write = self.fsync, self.write

    def stop(self):
        os.fsync, os.write = self._fsync, self._write

    def write(self, descriptor, data):
        """Writes as many bytes as the disk has room for, then fails with ENOSPC."""
        if self.writable_bytes is None:
            return self._write(descriptor, data)
        if self.writable_bytes <= 0:
            raise OSError(28, "No space left on device")
        written = self._write(descriptor, bytes(data)[: self.writable_bytes])
        self.writable_bytes -= written
        return written

    def fsync(self, descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        inode = os.fstat(descriptor).st_ino
        if not path.is_dir():
            self.synced_contents[inode] = path.read_bytes()
            return
        present = {each.stat().st_ino: each for each in path.iterdir() if each.is_file()}
        for known, path_of_file in list(self.synced_paths.items()):
            if path_of_file.parent == path and known not in present:
                # The removal of the file is durable.
                del self.synced_paths[known]
                os.close(self.descriptors.pop(known))
        for known, path_of_file in present.items():
            self.synced_paths[known] = path_of_file
            if known not in self.descriptors:
                self.descriptors[known] = os.open(path_of_file, os.O_RDONLY)

    def cut_power(self, rng):
        """Leaves the files as after a power cut; ``rng`` is a random.Random."""
        current = {path.stat().st_ino: path for path in self.root.rglob("*") if path.is_file()}
        surviving = {}
        # Sorted by path, because inode numbers differ from run to run.
        for inode in sorted(
            {*current, *self.synced_paths}, key=lambda inode: str(current.get(inode) or self.synced_paths[inode])
        ):
            candidates = [
                path_of_file
                for path_of_file in (current.get(inode), self.synced_paths.get(inode))
                if path_of_file is not None
            ]
            if inode in current and inode not in self.synced_paths:
                # No name of the file was ever synced, so it may be gone.
                candidates.append(None)
            path_of_file = rng.choice(candidates)
            if path_of_file is None:
                continue
            data = current[inode].read_bytes() if inode in current else self._read_unlinked(inode)
            synced = self.synced_contents.get(inode, b"")
            if data.startswith(synced) and len(data) > len(synced):
                data = data[: rng.randint(len(synced), len(data))]
                if rng.random() < 0.2:
                    data = synced + bytes(len(data) - len(synced))
            surviving[path_of_file] = data
        for path in current.values():
            path.unlink()
        self.reset()
        for path, data in surviving.items():
            path.write_bytes(data)

    def _read_unlinked(self, inode):
        size = os.fstat(self.descriptors[inode]).st_size
        return os.pread(self.descriptors[inode], size, 0)

    def reset(self):
        """Forgets all recorded state and closes the descriptors."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
        self.descriptors.clear()
        self.synced_contents.clear()
        self.synced_paths.clear()

    def record_all(self):
        """Records everything that exists now as durable."""
        self.reset()
        for path in self.root.rglob("*"):
            if path.is_file():
                inode = path.stat().st_ino
                self.synced_contents[inode] = path.read_bytes()
                self.synced_paths[inode] = path
                self.descriptors[inode] = os.open(path, os.O_RDONLY)
