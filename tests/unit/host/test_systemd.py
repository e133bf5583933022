"""Tests the notifications to the service manager in the wire form of sd_notify(3)."""

import os
import socket

from bridge.host.systemd import ServiceManager, first_environment


def received_by_manager(directory, notify, **environment):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(directory / "n"))
        notify(ServiceManager({"NOTIFY_SOCKET": str(directory / "n"), **environment}))
        messages = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(manager, 4096, 4)
            except BlockingIOError:
                return messages
            messages.append((data.decode(), len(fds)))
            for number in fds:
                os.close(number)


def test_each_notification_has_its_wire_form(tmp_path):
    def notify(manager):
        manager.ready()
        manager.status("two\nlines  and blanks")
        manager.notify_watchdog()
        manager.stopping()
        with socket.socket() as kept_socket:
            manager.keep("a%3Ab", kept_socket)
        manager.forget("a%3Ab")

    assert received_by_manager(tmp_path, notify) == [
        ("READY=1", 0), ("STATUS=two lines and blanks", 0), ("WATCHDOG=1", 0), ("STOPPING=1", 0),
        ("FDSTORE=1\nFDPOLL=0\nFDNAME=a%3Ab", 1), ("FDSTOREREMOVE=1\nFDNAME=a%3Ab", 0),
    ]  # fmt: skip


def test_reloading_notification_has_the_monotonic_time(tmp_path):
    ((message, _),) = received_by_manager(tmp_path, ServiceManager.reloading)
    word, _, time = message.partition("\n")
    assert word == "RELOADING=1"
    assert time.startswith("MONOTONIC_USEC=")


def test_nothing_is_sent_without_a_service_manager():
    ServiceManager().ready()
    ServiceManager({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()
    assert not ServiceManager().listens
    assert ServiceManager({"LISTEN_FDS": "1", "LISTEN_PID": "1"}).inherited() == []


def test_watchdog_applies_only_to_the_named_process():
    process_id = str(os.getpid())
    assert ServiceManager({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": process_id}).watchdog == 60.0
    assert ServiceManager({"WATCHDOG_USEC": "60000000"}).watchdog == 60.0
    assert ServiceManager({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}).watchdog is None


def test_first_environment_lacks_variables_that_are_set_later():
    os.environ["SET_LATER"] = "x"
    try:
        assert "SET_LATER" not in first_environment()
        assert first_environment()["PATH"]
    finally:
        del os.environ["SET_LATER"]
