"""sd_notify over a real datagram socket, and the addresses that people are shown."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.supervisor.notify import Notifier
from oatie_ops.supervisor.urls import human_urls


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """What systemd is to the service: a datagram socket with a short path."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(Path(directory) / "notify"))
        sock.settimeout(5)
        yield sock


def messages(manager: socket.socket, count: int) -> list[str]:
    return [manager.recv(4096).decode() for _ in range(count)]


def test_each_state_is_sent_as_the_protocol_spells_it(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    assert notifier.ready("serving release 7")
    assert notifier.stopping()
    assert notifier.status("2 workers\nREADY=0")
    assert notifier.main_pid(42)
    assert notifier.watchdog()
    assert messages(manager, 5) == [
        "READY=1\nSTATUS=serving release 7",
        "STOPPING=1",
        "STATUS=2 workers READY=0",
        "MAINPID=42",
        "WATCHDOG=1",
    ]


def test_reloading_carries_the_monotonic_clock(manager: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier(manager.getsockname()).reloading()
    [message] = messages(manager, 1)
    found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", message)
    assert found and before <= int(found[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: the abstract namespace")
def test_an_at_sign_is_the_abstract_namespace() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel picks a free abstract name
        sock.settimeout(5)
        name = sock.getsockname()
        assert Notifier("@" + name[1:].decode()).ready()
        assert sock.recv(100) == b"READY=1"


def test_the_variables_are_taken_out_so_that_workers_do_not_inherit_them() -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/x",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }
    notifier = Notifier.from_environment(environ)
    assert environ == {"A": "b"}
    assert notifier.enabled and notifier.watchdog_seconds == 1.5


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTIFY_SOCKET": "/run/x"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "3000000"},
    ],
)
def test_no_watchdog_where_none_is_asked_of_this_process(environ: dict[str, str]) -> None:
    assert Notifier.from_environment(environ).watchdog_seconds is None


def test_without_a_manager_nothing_is_sent_and_nothing_fails() -> None:
    assert not Notifier.from_environment({}).ready()
    assert not Notifier("/nonexistent/notify").ready()


def lan() -> str:
    return "192.168.7.8"


@pytest.mark.parametrize(
    ("host", "port", "environ", "expected"),
    [
        ("127.0.0.1", 8080, {}, ["http://127.0.0.1:8080"]),
        ("0.0.0.0", 8080, {}, ["http://localhost:8080", "http://192.168.7.8:8080"]),
        ("::", 8080, {}, ["http://localhost:8080", "http://192.168.7.8:8080"]),
        ("::1", 8080, {}, ["http://[::1]:8080"]),
        ("fe80::1%eth0", 8080, {}, ["http://[fe80::1%25eth0]:8080"]),
        ("example.test", 80, {}, ["http://example.test"]),
        (
            "127.0.0.1",
            8000,
            {"CODESPACE_NAME": "fuzzy-train", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev"},
            ["https://fuzzy-train-8000.app.github.dev", "http://127.0.0.1:8000"],
        ),
        ("127.0.0.1", 8000, {"CODESPACE_NAME": "fuzzy-train"}, ["http://127.0.0.1:8000"]),
    ],
)
def test_addresses_can_be_opened_by_a_person(
    host: str, port: int, environ: dict[str, str], expected: list[str]
) -> None:
    assert human_urls(host, port, environ=environ, lan_address=lan) == expected


def test_a_machine_without_a_network_is_only_local() -> None:
    assert human_urls("0.0.0.0", 8080, environ={}, lan_address=lambda: None) == ["http://localhost:8080"]


def test_the_real_network_address_is_one_of_this_machine() -> None:
    for url in human_urls("0.0.0.0", 8080, environ={})[1:]:
        address = url.removeprefix("http://").removesuffix(":8080")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
