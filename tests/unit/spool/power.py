"""A fault layer over a real folder: what a disk keeps when the power goes.

It watches fsync. A file's contents are durable as they were at its last fsync; where a file stands (its name) as it
was at the last fsync of a folder that it was in, or is in. At a power cut each file is, by chance, where it stands
now or where it durably stood (a rename is one or the other, never both, never neither), and holds what is durable
and any part of what was appended since; or zeros where that had got its length but not its contents.
"""

import os
from pathlib import Path


class Power:
    """Watches a folder and all below; between ``on`` and ``off`` it stands in for ``os.fsync`` and ``os.write``."""

    def __init__(self, root: Path):
        self.root = root
        self.contents = {}
        "inode -> bytes that are durable"
        self.places = {}
        "inode -> path that is durable"
        self.kept = {}
        "inode -> descriptor: what has no name now may have one again"
        self._fsync = os.fsync
        self.room = None
        "Writes that still succeed; None: all."
        self._write = os.write

    def on(self):
        os.fsync, os.write = self.fsync, self.write

    def off(self):
        os.fsync, os.write = self._fsync, self._write

    def write(self, descriptor, data):
        """A disk that is full takes a part of what is written, and then nothing."""
        if self.room is None:
            return self._write(descriptor, data)
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        written = self._write(descriptor, bytes(data)[: self.room])
        self.room -= written
        return written

    def fsync(self, descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        inode = os.fstat(descriptor).st_ino
        if not path.is_dir():
            self.contents[inode] = path.read_bytes()
            return
        here = {each.stat().st_ino: each for each in path.iterdir() if each.is_file()}
        for known, place in list(self.places.items()):
            if place.parent == path and known not in here:
                # Its going is durable.
                del self.places[known]
                os.close(self.kept.pop(known))
        for known, place in here.items():
            self.places[known] = place
            if known not in self.kept:
                self.kept[known] = os.open(place, os.O_RDONLY)

    def cut(self, chance):
        """The power goes; ``chance`` is a random.Random."""
        now = {path.stat().st_ino: path for path in self.root.rglob("*") if path.is_file()}
        after = {}
        # In the order of names: inode numbers differ from run to run.
        for inode in sorted({*now, *self.places}, key=lambda inode: str(now.get(inode) or self.places[inode])):
            places = [place for place in (now.get(inode), self.places.get(inode)) if place is not None]
            if inode in now and inode not in self.places:
                # Its first name was never synced: perhaps it has none.
                places.append(None)
            place = chance.choice(places)
            if place is None:
                continue
            data = now[inode].read_bytes() if inode in now else self._whole(inode)
            durable = self.contents.get(inode, b"")
            if data.startswith(durable) and len(data) > len(durable):
                data = data[: chance.randint(len(durable), len(data))]
                if chance.random() < 0.2:
                    data = durable + bytes(len(data) - len(durable))
            after[place] = data
        for path in now.values():
            path.unlink()
        self.forget()
        for path, data in after.items():
            path.write_bytes(data)

    def _whole(self, inode):
        size = os.fstat(self.kept[inode]).st_size
        return os.pread(self.kept[inode], size, 0)

    def forget(self):
        """Everything stands where it stands: before a new life, all that is there is durable."""
        for descriptor in self.kept.values():
            os.close(descriptor)
        self.kept.clear()
        self.contents.clear()
        self.places.clear()

    def settle(self):
        """What is there now is durable, as after a long while."""
        self.forget()
        for path in self.root.rglob("*"):
            if path.is_file():
                inode = path.stat().st_ino
                self.contents[inode] = path.read_bytes()
                self.places[inode] = path
                self.kept[inode] = os.open(path, os.O_RDONLY)
