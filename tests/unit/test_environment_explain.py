"""The explanation: every signal, what it read, and why it counted or not."""

from __future__ import annotations

from typing import Any

from oatie_ops.environment.table import TABLE
from tests.unit.environment_world import DMI, MOUNTINFO, TOKEN, detector


def outcomes(env: dict[str, str], files: dict[str, Any] | None = None) -> dict[str, str]:
    return {report.signal: report.outcome for report in detector(env, files).explain().signals}


def test_every_signal_of_the_table_is_listed_once() -> None:
    assert [report.signal for report in detector().explain().signals] == [signal.id for signal in TABLE]


def test_the_winner_and_who_agrees_and_who_lost_are_told_apart() -> None:
    told = outcomes({"VERCEL": "1", "AWS_EXECUTION_ENV": "AWS_Lambda_x", "AWS_REGION": "r"})

    assert told["paas.vercel"] == "decides provider: vercel; decides platform: vercel"
    assert told["runtime.aws-lambda"] == (
        "provider: paas.vercel is more specific; platform: paas.vercel is more specific"
    )
    assert told["hint.aws.AWS_REGION"] == "provider is decided by stronger evidence: paas.vercel"
    assert told["paas.heroku"] == "no match"


def test_counter_evidence_is_named() -> None:
    told = outcomes({}, {"/.dockerenv": "", MOUNTINFO: "9 1 8:1 / / rw - ext4 /dev/sda1 rw\n"})

    assert told["container.dockerenv"].startswith("not believed: / is a plain file system")
    assert told["counter.root-is-a-machine"] == "speaks against container.dockerenv, container.unnamed"


def test_the_firmware_of_the_host_is_withheld_in_a_container() -> None:
    told = outcomes({}, {"/.dockerenv": "", DMI + "sys_vendor": "Hetzner"})

    assert told["machine.hetzner"] == (
        "decides provider: hetzner; platform is withheld: a container sees the firmware of its host"
    )


def test_contradicting_hints_say_why_none_of_them_counts() -> None:
    told = outcomes({"AWS_REGION": "r", "GCLOUD_PROJECT": "p"})

    assert "several providers" in told["hint.aws.AWS_REGION"]


def test_a_lone_support_is_believed_and_a_beaten_one_is_not() -> None:
    assert (
        outcomes({"BUILD_ID": "7"})["ci-generic.build-number"] == "decides ci: unknown; decides platform: ci"
    )
    assert "too weak" in outcomes({"BUILD_ID": "7", "DYNO": "web.1"})["ci-generic.build-number"]


def test_files_and_those_that_may_not_be_read_are_listed() -> None:
    explanation = detector({}, {TOKEN: {"error": "EACCES"}}).explain()

    assert TOKEN in explanation.files_read
    assert explanation.unreadable == (TOKEN,)


def test_evidence_shows_only_the_part_of_a_condition_that_held() -> None:
    found = detector({"FLY_APP_NAME": "a", "FLY_MACHINE_ID": "m"}).detect()

    assert found.evidence["platform"][0].read == "$FLY_APP_NAME, $FLY_MACHINE_ID"
