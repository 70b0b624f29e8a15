"""No request is lost and no keep-alive connection is cut by a deploy, a reload, a rollback or a recycling.

The load comes from a process of its own (tests.real.load): clients with a new connection per request and
keep-alive clients that never retry, without a pause unless a test says so.
"""

from __future__ import annotations

import http.client
import signal
import socket
import threading

import psutil
import pytest

from tests.real.harness import Project, ProjectMaker
from tests.real.loadrun import LoadRun, lost
from tests.real.waiting import wait_for

CLIENTS = {"new": 12, "keep": 12}


def switch(project: Project, load: LoadRun, version: str) -> None:
    """One deploy, seen by users of both kinds."""
    project.deployed(version)
    load.wait_for_release(version, 100)


def test_deploys_a_reload_and_a_rollback_under_load_lose_nothing(project: Project) -> None:
    project.deployed("1")
    with project.load(**CLIENTS) as load:
        switch(project, load, "2")
        project.oatie("reload").expect(0)
        load.wait_for_more(200)
        project.oatie("rollback", "--yes").expect(0)
        load.wait_for_release("1", 100)
        result = load.finish()
    assert not lost(result)
    assert result["cut"] == 0
    project.assert_settled()


def test_after_a_switch_only_the_new_release_answers(project: Project) -> None:
    """Also a request in flight during the switch is answered whole, by the release that began it."""
    project.deployed("1")
    with project.load("/work?ms=300", new=4, keep=4) as load:
        project.deployed("2")
        # What follows begins after the deploy's end; one answer of release 1 would be a stray worker.
        load.wait_for_more(8)
        old = load.answered_by("1")
        load.wait_for_release("2", 30)
        assert load.answered_by("1") == old
        result = load.finish()
    assert not lost(result)
    assert set(result["releases"]) == {"1", "2"}


@pytest.mark.slow
def test_requests_in_flight_at_the_switch_finish_on_the_old_release(project: Project) -> None:
    project.configure(app={"drain": "60s"})
    project.deployed("1")
    answers: list[tuple[int, dict[str, str], bytes] | None] = []
    ask = "/slow?seconds=8"  # long enough to be seen in flight on a busy machine
    waiting = [threading.Thread(target=lambda: answers.append(project.ask(ask))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wait_for(lambda: sum(w["in_flight"] for w in project.workers()) >= 3, "three requests in flight")
    project.deployed("2")
    for thread in waiting:
        thread.join()
    assert [(answer[0], answer[1]["x-release"]) for answer in answers if answer] == [(200, "1")] * 3
    assert project.serving() == "2"


@pytest.mark.slow
def test_a_streamed_answer_survives_the_switch_whole(project: Project) -> None:
    project.configure(app={"drain": "4s"})  # a client that does not hang up is waited for
    project.deployed("1")
    connection = http.client.HTTPConnection("127.0.0.1", project.port, timeout=30)
    connection.request("GET", "/stream?seconds=2")
    response = connection.getresponse()
    assert response.readline() == b"tick\n"
    project.deployed("2")
    assert response.getheader("x-release") == "1"
    assert response.read().endswith(b"end\n")
    connection.close()


@pytest.mark.slow
def test_an_upload_in_its_middle_at_the_switch_is_taken_whole(project: Project) -> None:
    project.deployed("1")
    with socket.create_connection(("127.0.0.1", project.port), timeout=30) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n")
        client.sendall(b"x" * 100_000)
        wait_for(lambda: sum(w["in_flight"] for w in project.workers()) == 1, "the upload to be in flight")
        project.version("2")
        run = project.background("deploy", "--yes", "--json")
        run.wait_for_step("drain")
        wait_for(lambda: project.serving() == "2", "the new release")
        client.sendall(b"x" * 100_000)
        answer = client.makefile("rb").read().decode()
    run.wait().expect(0)
    assert answer.startswith("HTTP/1.1 200"), answer
    assert "x-release: 1" in answer
    assert answer.endswith("200000\n")


@pytest.mark.slow
def test_a_connection_opened_before_the_switch_and_used_after_it_is_answered(project: Project) -> None:
    """Browsers and pools open connections before they have a request."""
    project.deployed("1")
    clients = [socket.create_connection(("127.0.0.1", project.port), timeout=30) for _ in range(4)]
    wait_for(lambda: sum(w["connections"] for w in project.workers()) == 4, "them to be accepted")
    project.version("2")
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step("drain")
    wait_for(lambda: project.serving() == "2", "the new release")
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answers = [client.makefile("rb").read().decode() for client in clients]
    run.wait().expect(0)
    for client, answer in zip(clients, answers, strict=True):
        client.close()
        assert answer.startswith("HTTP/1.1 200"), answer
        assert "connection: close" in answer.lower()


@pytest.mark.slow
def test_a_bad_release_under_load_answers_nobody_and_costs_nothing(project: Project) -> None:
    project.deployed("1")
    project.configure(app={"ready_timeout": "1s"})
    with project.load(**CLIENTS) as load:
        project.version("2", ready_status=503)
        project.deploy().expect(7)
        load.wait_for_more(100)
        result = load.finish()
    assert not lost(result)
    assert set(result["releases"]) == {"1"}
    project.assert_settled()


@pytest.mark.slow
def test_a_release_that_is_turned_back_during_its_bake_cuts_nobody(project: Project) -> None:
    """It answered users for a moment, so the way back is a switch too."""
    project.deployed("1")
    project.configure(deploy={"bake": "20s"})
    with project.load(**CLIENTS, status=200) as load:
        project.version("2", fail_every=1)
        failed = project.deploy().expect(7)
        load.wait_for_release("1", 100)
        result = load.finish()
    assert failed.step("bake", "failed")
    # Its 500s reached users, which a bake cannot prevent; nothing else may have gone wrong.
    assert set(result["outcomes"]) == {"ok", "bad-status"}
    assert project.serving() == "1"


def test_sighup_reloads_without_losing_a_request(project: Project) -> None:
    project.version("1")
    running = project.start()
    with project.load(**CLIENTS) as load:
        before = load.pids
        running.signal(signal.SIGHUP)
        wait_for(lambda: len(load.pids - before) >= 2, "two new workers", evidence=lambda: load.pids)
        load.wait_for_more(200)
        result = load.finish()
    assert not lost(result)


@pytest.mark.slow
def test_a_broken_reload_costs_no_request(project: Project) -> None:
    project.version("1")
    running = project.start()
    with project.load(**CLIENTS) as load:
        project.version("2", import_error="a_module_that_is_not_there")
        failed = project.oatie("reload")
        running.signal(signal.SIGHUP)
        load.wait_for_more(300)
        result = load.finish()
    assert failed.code in (1, 7)
    assert "a_module_that_is_not_there" in failed.said
    assert not lost(result)
    assert set(result["releases"]) == {"1"}
    assert running.process.poll() is None


def test_workers_recycled_by_max_requests_cut_no_connection(project: Project) -> None:
    project.version("1")
    project.configure(app={"max_requests": 150})
    project.start()
    with project.load(**CLIENTS) as load:
        wait_for(lambda: len(load.pids) >= 4, "two recycled workers", evidence=lambda: load.pids)
        result = load.finish()
    assert not lost(result)


def test_a_worker_told_to_end_from_outside_finishes_its_requests_and_is_replaced(project: Project) -> None:
    """SIGTERM to a worker, as an operator or a memory watchdog would send it."""
    project.version("1")
    project.start()
    with project.load(**CLIENTS) as load:
        first = project.workers()[0]["pid"]
        psutil.Process(first).terminate()
        wait_for(lambda: len(load.pids) >= 3, "its successor to answer", evidence=lambda: load.pids)
        wait_for(lambda: first not in {w["pid"] for w in project.workers()}, "its end")
        result = load.finish()
    assert not lost(result)


@pytest.mark.slow
def test_idle_keep_alive_connections_are_let_go_by_an_announcement(project: Project) -> None:
    """At a low rate most connections are idle at the switch; a client that writes on one must be answered."""
    project.deployed("1")
    with project.load(new=4, keep=12, rate=100) as load:
        switch(project, load, "2")
        result = load.finish()
    assert not lost(result)
    assert result["connections"]["announced-close"] >= 12


@pytest.mark.slow
def test_a_wsgi_application_is_switched_without_loss(make_project: ProjectMaker) -> None:
    project = make_project("flask_app.py")
    project.configure(app={"run": "flask_app:app"})
    project.deployed("1")
    with project.load(new=6, keep=6) as load:
        switch(project, load, "2")
        result = load.finish()
    assert not lost(result)


@pytest.mark.slow
def test_a_program_that_takes_the_socket_is_switched_without_loss(make_project: ProjectMaker) -> None:
    """LISTEN_FDS hand-over: the accept queue is the kernel's and outlives the old program."""
    project = make_project("program.py")
    project.configure(app={"run": None, "command": ["python3", "program.py"], "socket": "activation"})
    project.deployed("1")
    with project.load("/", new=8, keep=0, rate=100) as load:
        switch(project, load, "2")
        result = load.finish()
    assert not lost(result)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_switches_under_24_clients_with_slow_requests_in_flight(project: Project) -> None:
    """Deploys, reloads and rollbacks; two clients always have a 5 s request in flight."""
    project.deployed("1")
    with project.load(**CLIENTS, slow=2) as load:
        for number in range(20):
            if number % 7 == 3:
                project.oatie("reload").expect(0)
                load.wait_for_more(200)
            elif number % 7 == 5:
                project.oatie("rollback", "--yes").expect(0)
                load.wait_for_more(200)
            else:
                switch(project, load, f"2.{number}")
        result = load.finish()
    assert not lost(result)
    assert result["cut"] == 0
    assert result["kinds"]["slow"]["requests"] >= 20
    project.assert_settled()
    project.oatie("stop").expect(0)
    project.assert_gone()


@pytest.mark.slow
def test_the_old_workers_answer_while_the_new_ones_import_for_seconds(project: Project) -> None:
    project.version("1", import_seconds=6)
    project.start()
    with project.load(**CLIENTS) as load:
        before = load.pids
        reload = project.background("reload")
        load.wait_for_more(500)
        assert reload.process.poll() is None
        reload.wait().expect(0)
        wait_for(lambda: len(load.pids - before) >= 2, "new workers that answer", evidence=lambda: load.pids)
        result = load.finish()
    assert not lost(result)
