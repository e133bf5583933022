"""Tests which names of client certificates match ``client_names``, and the memory of the clients that were seen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.tls.client_names import ClientNames
from bridge.tls.seen_clients import (
    FILE,
    LARGEST,
    MOST,
    PRECISION_MS,
    WEEK_MS,
    SeenClient,
    SeenClients,
    SeenClientsFile,
    Sighting,
    read_clients,
)

NOW_MS = 1_795_435_200_000


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*.branch.example", "a.branch.example", True),
        ("*.branch.example", "A.Branch.EXAMPLE", True),
        ("*.BRANCH.example", "a.branch.example.", True),
        ("*.branch.example", "a.b.branch.example", False),
        ("*.branch.example", "branch.example", False),
        ("*.branch.example", ".branch.example", False),
        ("*.branch.example", "a.branch.example.evil", False),
        ("*.*.branch.example", "a.b.branch.example", True),
        ("*.*.branch.example", "a.branch.example", False),
        ("a.*.example", "a.b.example", True),
        ("gw.branch.example", "gw.branch.example", True),
        ("gw.branch.example", "gw-branch.example", False),
        ("gw-*", "gw-1", True),
        ("gw-*", "gw-", True),
        ("gw-*", "gw-1.example", False),
        ("gw-*.example", "gw-1.example", True),
        ("gw-?.example", "gw-1.example", True),
        ("gw?example", "gw.example", False),
        ("*", "gateway", True),
        ("*", "Firewall 1", True),
        ("*", "gw.example", False),
        ("*", "xn--bcher-kva", True),
        ("**.example", "a.example", True),
        ("**.example", "a.b.example", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "b\u00fccher.example", True),
        ("*.example", "xn--bcher-kva.example", True),
        ("xn--*.example", "xn--bcher-kva.example", False),
        ("*a.example", "xn--bcher-kva.example", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("10.0.0.*", "10.0.0.7", True),
        ("10.*", "10.0.0.7", False),
    ],
)
def test_a_star_stands_for_one_label(pattern: str, name: str, matches: bool) -> None:
    assert ClientNames([pattern]).match([name]) is matches
    assert ClientNames(["other", pattern]).match(["an.other.name", name]) is matches


def test_no_name_matches_nothing() -> None:
    assert not ClientNames(["*"]).match([])
    assert not ClientNames(["*"]).match([""])


@pytest.mark.parametrize(
    ("pattern", "name", "extended"),
    [
        ("*.branch.example", "a.b.branch.example", "*.*.branch.example"),
        ("*.branch.example", "a.b.c.branch.example", "*.*.*.branch.example"),
        ("gw-*", "gw-1.example", "gw-*.example"),
        ("gw-*.x", "gw-1.y.x", "gw-1.y.x"),
        ("*", "gw.example", "*.*"),
    ],
)
def test_formerly_accepted_name_gets_a_pattern_that_accepts_it(pattern: str, name: str, extended: str) -> None:
    names = ClientNames([pattern])
    assert names.matched_formerly([name]) and not names.match([name])
    assert names.pattern_for([name]) == extended
    assert ClientNames([extended]).match([name])


def test_time_is_bounded_for_hostile_names() -> None:
    """The test hangs if an expression takes exponential time."""
    names = ClientNames(["*a*a*a*.example", "*?*?*?.example"])
    assert not names.match(["a" * 3000 + ".exampl"])


class Disk:
    """Runs jobs at once and counts them; `fails` makes the next ones fail."""

    def __init__(self) -> None:
        self.jobs = 0
        self.fails = False

    def work(self, job: Callable[[], object], done: Callable[[object], object], /) -> None:
        self.jobs += 1
        done(OSError(28, "No space left on device") if self.fails else job())


def test_clients_are_kept_for_a_week_in_a_file_that_is_rarely_written(tmp_path: Path) -> None:
    now, disk, seen = [NOW_MS / 1000], Disk(), SeenClients()
    file = SeenClientsFile(tmp_path, seen, wall=lambda: now[0], work=disk.work)
    client = SeenClient("secure", ("gw-1.example", "Gateway 1"))
    file.look()
    assert disk.jobs == 0
    seen.note(*client, "192.0.2.1")
    file.look()
    assert read_clients(tmp_path) == {client: Sighting("192.0.2.1", NOW_MS)}
    for _ in range(5):
        now[0] += 60
        seen.note(*client, "192.0.2.1")
        file.look()
    assert disk.jobs == 1
    now[0] += PRECISION_MS / 1000
    seen.note(*client, "192.0.2.2")
    disk.fails = True
    file.look()
    disk.fails = False
    file.look()
    assert disk.jobs == 3
    again = SeenClients()
    SeenClientsFile(tmp_path, again, wall=lambda: now[0], work=disk.work)
    assert again.clients == {client: Sighting("192.0.2.2", int(now[0] * 1000))}
    now[0] += WEEK_MS / 1000 + 1
    file.look()
    assert read_clients(tmp_path) == {}


def test_number_of_clients_is_bounded() -> None:
    seen = SeenClients()
    for turn in range(3):
        for number in range(MOST):
            seen.note("secure", (f"{turn}-{number}",), "192.0.2.1")
            seen.note("secure", (f"more-{turn}-{number}",), "192.0.2.1")
        seen.update(NOW_MS + turn)
    assert len(seen.clients) == MOST
    assert all(client.names[0].startswith(("2-", "more-2-")) for client in seen.clients)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b'{"clients": 1}', b'{"clients": [[1]]}', b'{"clients": [["a", 5, "b", 1]]}',
        b'{"clients": [["a", [], "b", 1e999]]}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_file_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_clients(tmp_path) == {}


def test_link_or_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    content = json.dumps({"clients": [["secure", ["gw.example"], "192.0.2.1", NOW_MS]]}).encode()
    (tmp_path / FILE).write_bytes(content)
    assert read_clients(tmp_path)
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to("elsewhere")
    assert read_clients(tmp_path) == {}
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).write_bytes(content.ljust(LARGEST))
    assert read_clients(tmp_path)
    (tmp_path / FILE).write_bytes(content.ljust(LARGEST + 1))
    assert read_clients(tmp_path) == {}
    os.truncate(tmp_path / FILE, 1 << 40)
    assert read_clients(tmp_path) == {}


def test_no_more_clients_are_read_than_are_remembered(tmp_path: Path) -> None:
    rows = [["secure", [f"gw-{n}.example"], "192.0.2.1", NOW_MS] for n in range(MOST + 1)]
    (tmp_path / FILE).write_text(json.dumps({"clients": rows}))
    found = read_clients(tmp_path)
    assert len(found) == MOST
    assert SeenClient("secure", ("gw-0.example",)) not in found


def test_written_file_is_not_too_large_to_be_read(tmp_path: Path) -> None:
    disk, seen = Disk(), SeenClients()
    file = SeenClientsFile(tmp_path, seen, wall=lambda: NOW_MS / 1000, work=disk.work)
    for number in range(100):
        seen.note("secure", (f"{number}-{'x' * (LARGEST // 50)}",), "192.0.2.1")
    file.look()
    kept = [client.names[0].partition("-")[0] for client in read_clients(tmp_path)]
    assert kept == [str(number) for number in range(51, 100)]


def test_links_in_the_place_of_the_file_are_not_followed_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    other = tmp_path / "other"
    other.write_text("unchanged")
    for name in (FILE, f".{FILE}.new"):
        (tmp_path / "spool" / name).symlink_to(other)
    disk, seen = Disk(), SeenClients()
    file = SeenClientsFile(tmp_path / "spool", seen, wall=lambda: NOW_MS / 1000, work=disk.work)
    seen.note("secure", ("gw.example",), "192.0.2.1")
    file.look()
    assert other.read_text() == "unchanged"
    assert [each.name for each in (tmp_path / "spool").iterdir()] == [FILE]
    assert list(read_clients(tmp_path / "spool")) == [SeenClient("secure", ("gw.example",))]
