"""Options that every command takes, the topics of the help, and what is said to a CI system."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oatie_ops.cli import github, helping, output, table, wishes
from oatie_ops.errors import ConfigInvalid, OatieError, UsageError
from oatie_ops.exit_codes import MEANINGS


def oatie(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oatie_ops", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environ},
        timeout=60,
    )


def test_they_are_taken_from_any_place_and_nothing_else_is() -> None:
    words, found = wishes.take(["-q", "logs", "--color=never", "-n", "3", "--ci", "github"])
    assert words == ["logs", "-n", "3"]
    assert found == wishes.Wishes(quiet=True, color="never", ci="github")


def test_words_after_two_dashes_belong_to_the_command() -> None:
    words, found = wishes.take(["x", "--", "--quiet", "-v"])
    assert (words, found) == (["x", "--", "--quiet", "-v"], wishes.Wishes())


@pytest.mark.parametrize("argv", [["--color"], ["--color=red", "x"], ["--ci", "jenkins"], ["-q", "-v"]])
def test_a_wrong_value_is_a_usage_error(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        wishes.take(argv)


def test_a_colour_that_was_asked_for_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wishes.current, "wishes", wishes.Wishes(color="always"))
    assert output.use_color(None, {"NO_COLOR": "1"})
    monkeypatch.setattr(wishes.current, "wishes", wishes.Wishes(color="never"))
    assert not output.use_color(None, {"FORCE_COLOR": "1"})


def test_quiet_leaves_results_and_errors(tmp_path: Path) -> None:
    assert oatie("logs", cwd=tmp_path).stderr != ""
    assert oatie("--quiet", "logs", cwd=tmp_path).stderr == ""
    assert oatie("-q", "nothing", cwd=tmp_path).stderr.startswith("error: ")
    assert oatie("-q", "status", cwd=tmp_path).stdout.startswith("not running")


def test_verbose_says_how_it_ended(tmp_path: Path) -> None:
    assert re.search(r"exit 1 after \d+\.\d+ s", oatie("status", "-v", cwd=tmp_path).stderr)


def test_the_version_as_json_names_what_is_installed(tmp_path: Path) -> None:
    found = json.loads(oatie("--version", "--json", cwd=tmp_path).stdout)
    assert found["schema"] == "oatie.version/v1"
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["typer"].startswith("0.28.")


def test_the_version_is_told_beside_the_options_of_every_command(tmp_path: Path) -> None:
    plain = oatie("--version", cwd=tmp_path).stdout
    assert oatie("--quiet", "--version", cwd=tmp_path).stdout == plain
    assert oatie("-V", "--verbose", cwd=tmp_path).stdout == plain


@pytest.mark.parametrize("topic", sorted(table.TOPICS))
def test_each_topic_has_a_page(topic: str) -> None:
    text = helping.answer([topic])
    assert text is not None and text.startswith("# ")


def test_the_page_of_exit_codes_is_the_table_of_the_code() -> None:
    text = helping.page("exit-codes")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == set(map(int, MEANINGS))


def test_an_unknown_topic_or_page_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        helping.answer(["exit-code"])
    assert "oatie help exit-codes" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        helping.page("exit-coded")
    assert "exit-codes" in caught.value.fix


def test_an_annotation_cannot_be_broken_out_of(capsys: pytest.CaptureFixture[str]) -> None:
    github.annotate(OatieError("bad: a,b", why="one\n::set-output::x", fix="50%"))
    [line] = capsys.readouterr().err.splitlines()
    assert line == "::error title=bad%3A a%2Cb::one%0A::set-output::x%0A50%25"


def test_issues_of_a_file_are_annotated_where_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    issue = {
        "severity": "warning",
        "code": "c",
        "path": "app.port",
        "message": "m",
        "hint": "h",
        "file": "oatie.toml",
        "line": 3,
        "column": 7,
    }
    github.annotate(ConfigInvalid("wrong", data={"issues": [issue]}))
    assert capsys.readouterr().err == "::warning title=app.port,file=oatie.toml,line=3,col=7::m%0Ah\n"


def test_a_failed_deploy_is_annotated_and_summarized(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = oatie("deploy", "--ci=github", "--target", "x", cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 2
    assert "\n::error title=" in done.stderr
    assert "| failed |  |  | 2 |" in summary.read_text()
