"""Tests that listeners stop accepting while few descriptors are left, and accept again."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from bridge.listen.descriptors import CHECK_EVERY, ENDS_AFTER, DescriptorReserve

LIMIT = 2000
"More than the descriptors of other tests in this process."
RESERVED = LIMIT * 3 // 4
"The lowest number that is reserved."


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """Limits the descriptors of the process. Yields a list of descriptors that are closed at the end."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, limits[1]))
    held: list[int] = []
    yield held
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for each in held:
        os.close(each)


def take(opened: list[int], *, below: int) -> None:
    """Opens descriptors until the lowest free number reaches ``below``."""
    while (number := os.open("/", os.O_PATH)) < below - 1:
        opened.append(number)
    opened.append(number)


def test_a_quarter_of_the_descriptors_is_reserved(opened: list[int]) -> None:
    reserve = DescriptorReserve()
    take(opened, below=RESERVED - 1)
    assert reserve.has_room()
    take(opened, below=RESERVED)
    assert not reserve.has_room()
    # Even without any descriptor, it only says so.
    take(opened, below=LIMIT)
    assert not reserve.has_room()
    os.close(opened.pop())
    assert not reserve.has_room()
    # A connection that ends makes room for one connection, and no more.
    freed = opened.pop(0)
    os.close(freed)
    assert reserve.has_room()
    opened.insert(0, os.open("/", os.O_PATH))
    assert opened[0] == freed
    assert not reserve.has_room()


def test_listeners_accept_again_once_descriptors_are_free(opened: list[int]) -> None:
    reserve, clock, resumed = DescriptorReserve(), Clock(), list[str]()
    take(opened, below=RESERVED)

    def resume_closed() -> None:
        resumed.append("closed")

    reserve.wait(clock, lambda: resumed.append("tcp"))
    reserve.wait(clock, resume_closed)
    reserve.forget(resume_closed)
    clock.pump([CHECK_EVERY] * 3)
    assert (reserve.exhausted(clock.seconds()), resumed) == (True, [])
    for each in opened[-50:]:
        os.close(each)
    del opened[-50:]
    clock.pump([CHECK_EVERY] * 3)
    assert (reserve.exhausted(clock.seconds()), resumed) == (True, ["tcp"])
    clock.advance(ENDS_AFTER)
    assert not reserve.exhausted(clock.seconds())
    assert not clock.getDelayedCalls()
