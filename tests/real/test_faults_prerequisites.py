"""What is wrong before a deploy may change anything: port, disk, memory, configuration, another run."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys

import pytest

from tests.real.harness import Project
from tests.real.waiting import wait_for

TIB = 2**40


def test_a_taken_port_is_refused_and_its_holder_named(project: Project) -> None:
    project.version("1")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", project.port))
        holder.listen()
        refused = project.deploy().expect(5)
        assert str(project.port) in refused.said
        assert str(os.getpid()) in refused.said
    project.assert_gone()
    project.deployed("1")


def test_start_on_a_taken_port_names_its_holder(project: Project) -> None:
    project.version("1")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", project.port))
        holder.listen()
        refused = project.oatie("start")
        assert refused.code in (1, 5)
        assert str(project.port) in refused.said
        assert str(os.getpid()) in refused.said
    project.assert_gone()


def test_a_checkout_that_is_larger_than_the_disk_is_refused_before_it_is_copied(project: Project) -> None:
    project.deployed("1")
    large = project.root / "large.bin"
    with large.open("wb") as file:
        file.truncate(min(8 * TIB, shutil.disk_usage(project.root).total * 4))  # sparse: takes no space
    refused = project.deploy().expect(5)
    large.unlink()
    assert "disk" in refused.said
    assert refused.step("snapshot", "started") is None
    assert project.serving() == "1"
    project.assert_settled()


@pytest.mark.slow
def test_a_copy_that_cannot_be_written_leaves_no_half_release(project: Project) -> None:
    """Files may not grow beyond a limit, so the copy fails in its middle as on a full disk."""
    project.deployed("1")
    (project.root / "data.bin").write_bytes(b"x" * 8 * 2**20)
    done = subprocess.run(
        [*project.program, "deploy", "--yes", "--json"],
        cwd=project.root,
        env=project.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 2**20, 4 * 2**20)),
    )
    assert done.returncode == 7, done
    assert project.serving() == "1"
    project.assert_settled()
    (project.root / "data.bin").unlink()
    project.deployed("2")


def test_a_full_disk_fails_the_deploy_and_is_cleaned_up(project: Project) -> None:
    """A real small file system that the release command fills, in a mount namespace of its own."""
    place = project.outputs / "small"
    place.mkdir()
    project.version("1")
    project.configure(deploy={"release": "dd if=/dev/zero of=fill bs=1M"})
    deploy = " ".join([*project.program, "deploy", "--yes", "--json"])
    script = f"""
        mount -t tmpfs -o size=80m tmpfs {place} || exit 90
        cd {place} && cp {project.root}/* .
        {deploy}; echo "code $?"; ls -A .oatie/releases | sed 's/^/left: /'
        sed -i /^release/d oatie.toml
        {deploy} --dry-run > again; echo "next $?"
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env=project.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in done.stderr or done.returncode == 90:
        pytest.skip("only on machines that allow a mount namespace")
    assert "code 1\n" in done.stdout, done
    assert "No space left on device" in done.stdout
    assert "left: " not in done.stdout
    assert "next 0\n" in done.stdout, done


def test_too_little_memory_for_old_and_new_together_is_refused(project: Project) -> None:
    project.configure(app={"workers": 1})
    project.deployed("1")
    most_workers = 1024
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    # As many workers as may be asked for, each as large as the one that is measured now.
    assert project.get(f"/grow?mb={memory_mb // most_workers + 50}") == 200
    project.version("2")
    refused = project.deploy("--workers", str(most_workers)).expect(5)
    assert "memory" in refused.said
    assert refused.step("snapshot", "started") is None
    assert project.serving() == "1"


def test_a_wrong_configuration_is_reported_whole_with_its_places(project: Project) -> None:
    project.deployed("1")
    file = project.root / "oatie.toml"
    good = file.read_text()
    file.write_text(good.replace("workers = 2", "workerz = 2").replace("[deploy]", "[deploy]\nkeep = -3"))
    refused = project.oatie("deploy", "--yes").expect(4)
    assert "workerz" in refused.said
    assert "workers" in refused.said  # did you mean
    assert "keep" in refused.said  # both problems at once
    assert "oatie.toml:" in refused.said
    assert project.serving() == "1"
    file.write_text(good)
    project.deployed("2")


@pytest.mark.parametrize("content", [b"[app\nname = 1", b"\xff\xfe\x00[app]"], ids=["not TOML", "not UTF-8"])
def test_a_configuration_that_cannot_be_read_is_refused(project: Project, content: bytes) -> None:
    (project.root / "oatie.toml").write_bytes(content)
    refused = project.oatie("deploy", "--yes", "--json").expect(4)
    assert refused.result["exit_code"] == 4
    assert not project.processes()


def test_a_configuration_that_is_no_file_is_refused(project: Project) -> None:
    (project.root / "oatie.toml").unlink()
    (project.root / "oatie.toml").mkdir()
    refused = project.oatie("deploy", "--yes")
    assert refused.code in (4, 5), refused
    assert "oatie.toml" in refused.said


@pytest.mark.slow
def test_a_second_deploy_is_locked_out_and_can_wait(project: Project) -> None:
    project.deployed("1")
    flag = project.outputs / "flag"
    project.version("2", ready_file=str(flag))
    first = project.background("deploy", "--yes", "--json")
    first.wait_for_step("gate")
    refused = project.deploy().expect(6)
    assert refused.result["exit_code"] == 6
    assert str(first.pid) in refused.said
    third = project.background("deploy", "--yes", "--json", "--wait-lock", "300")
    wait_for(lambda: third.so_far().step("lock", "waiting") or third.so_far().stderr, "the third to wait")
    assert third.process.poll() is None
    flag.touch()
    first.wait().expect(0)
    third.wait().expect(0)
    assert project.serving() == "2"
    project.assert_settled()


def test_targets_that_are_not_there_yet_are_refused_clearly(project: Project) -> None:
    project.version("1")
    for flag in ("--use-docker", "--use-kubernetes"):
        refused = project.oatie("deploy", "--yes", flag)
        assert refused.code in (2, 5), refused
        assert flag.removeprefix("--use-") in refused.said.lower()
    assert not project.processes()


def test_a_dry_run_changes_nothing_and_prints_the_steps_that_would_run(project: Project) -> None:
    project.version("1")
    planned = project.deploy("--dry-run").expect(0)
    assert planned.result["status"] == "planned"
    names = [step["name"] for event in planned.events if event["event"] == "plan" for step in event["steps"]]
    assert not project.processes()
    assert not project.state.releases.exists() or not list(project.state.releases.iterdir())
    real = project.deploy().expect(0)
    begun = [e["step"] for e in real.events if e["event"] == "step" and e["state"] == "started"]
    assert begun == names


def test_the_interpreter_of_the_tests_is_the_one_that_runs(project: Project) -> None:
    """Otherwise everything here would prove another installation."""
    assert project.program[0] == sys.executable
    assert project.oatie("--version").expect(0).stdout.strip()
