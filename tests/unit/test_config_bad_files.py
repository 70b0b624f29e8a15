"""Wrong files: every problem at once, each at its exact place, with help, and none invented."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from oatie_ops.config.issues import Issue, render
from oatie_ops.config.load import examine, load
from oatie_ops.errors import ConfigInvalid
from oatie_ops.exit_codes import ExitCode


@dataclass(frozen=True)
class Case:
    """``expected`` lines are ``severity code path line:column``, in the order of the file."""

    name: str
    text: str
    expected: tuple[str, ...]
    hint: str = ""  # in the help of the first issue


def case(name: str, text: str, *expected: str, hint: str = "") -> Case:
    return Case(name, text, expected, hint)


RUN = '[app]\nrun = "main:app"\n'

CASES = [
    # -- the text itself
    case("missing quotes", "[app]\nrun = main:app\n", "error syntax - 2:7", hint="quotes"),
    case("unclosed string", '[app]\nname = "x\n', "error syntax - 2:10"),
    case("no equals sign", "[app]\nworkers 2\n", "error syntax - 2:9", hint="key = value"),
    case("key twice", "[app]\nport = 1\nport = 2\n", "error syntax - 3:9", hint="already"),
    case("table twice", "[app]\n[app]\n", "error syntax - 2:5", hint="keys together"),
    case("file ends early", "[app", "error syntax - 1:5"),
    case("bad escape", '[app]\nname = "\\q"\n', "error syntax - 2:11"),
    case("python's True", "[app]\naccess_log = True\n", "error syntax - 2:14", hint="small letters"),
    # -- names
    case("unknown key", "[app]\nprot = 1\n", "error unknown-key app.prot 2:1", hint="`port`"),
    case("unknown table", "[service.db]\n", "error unknown-key service 1:2", hint="`services`"),
    case(
        "key of another table",
        "[deploy]\nworkers = 2\n",
        "error unknown-key deploy.workers 2:1",
        hint="[app]",
    ),
    case("another tool's word", "[app]\nbind = 'x'\n", "error unknown-key app.bind 2:1", hint="`host`"),
    case(
        "dashes",
        "[app]\nready-timeout = 5\n",
        "error unknown-key app.ready-timeout 2:1",
        hint="`ready_timeout`",
    ),
    case("dotted key", "app.ports = 1\n", "error unknown-key app.ports 1:5", hint="`port`"),
    case(
        "a key with the name of its check's kind",
        "[services.db.check]\ntype = 'command'\ncommand = ['true']\nrun = ['true']\n",
        "error unknown-key services.db.check.command 3:1",
        hint="did you mean `run`?",
    ),
    case("quoted key", '[app]\n"po rt" = 1\n', 'error unknown-key app."po rt" 2:1'),
    case("deep in a table", "app = { name = 'x', env_fil = 'y' }\n", "error unknown-key app.env_fil 1:21"),
    case(
        "key of another kind of check",
        "[services.db.check]\ntype = 'tcp'\nport = 1\nquery = 'x'\n",
        "error unknown-key services.db.check.query 4:1",
    ),
    case("bad service name", '[services."a b"]\n', 'error bad-name services."a b" 1:11'),
    case("bad variable name", RUN + "env = { 1A = 'x' }\n", "error bad-name app.env.1A 3:9"),
    # -- types
    case(
        "number in quotes", "[app]\nworkers = '2'\n", "error bad-type app.workers 2:11", hint="without quotes"
    ),
    case("fraction", "[app]\nworkers = 1.5\n", "error bad-type app.workers 2:11"),
    case("boolean for a number", "[app]\nport = true\n", "error bad-type app.port 2:8"),
    case("number for a string", "[app]\nname = 5\n", "error bad-type app.name 2:8", hint="in quotes"),
    case("word for a boolean", "[app]\naccess_log = 'yes'\n", "error bad-type app.access_log 2:14"),
    case(
        "string for a list",
        "[services.a]\nroutes = '/x'\n",
        "error bad-type services.a.routes 2:10",
        hint="[",
    ),
    case("value for a table", "app = 5\n", "error bad-type app 1:7"),
    case("list for a table", "[[app]]\nport = 1\n", "error bad-type app 1:3"),
    case("date for a string", "[app]\nready = 2020-01-01\n", "error bad-type app.ready 2:9"),
    case(
        "number in a list of strings", "[deploy]\nshared = ['a', 5]\n", "error bad-type deploy.shared[1] 2:16"
    ),
    # -- values
    case("too small", "[app]\nworkers = 0\n", "error bad-value app.workers 2:11"),
    case("too large", "[app]\nport = 65536\n", "error bad-value app.port 2:8"),
    case("no duration", "[app]\ndrain = '30 sec'\n", "error bad-value app.drain 2:9", hint="500ms"),
    case("zero time to get ready", "[app]\nready_timeout = 0\n", "error bad-value app.ready_timeout 2:17"),
    case("ambiguous size", "[app]\nmax_rss = '512M'\n", "error bad-value app.max_rss 2:11", hint="MiB"),
    case("not one of", "[deploy]\ntarget = 'proces'\n", "error bad-value deploy.target 2:10", hint="process"),
    case("file as import string", "[app]\nrun = 'main.py'\n", "error bad-value app.run 2:7", hint="main:app"),
    case("called", "[app]\nrun = 'main:make()'\n", "error bad-value app.run 2:7", hint="()"),
    case("shell line", "[app]\ncommand = 'node x.js'\n", "error bad-value app.command 2:11", hint="["),
    case("empty command", "[app]\ncommand = []\n", "error bad-value app.command 2:11"),
    case("url as host", "[app]\nhost = 'http://x'\n", "error bad-value app.host 2:8"),
    case("port in the host", "[app]\nhost = '0.0.0.0:80'\n", "error bad-value app.host 2:8", hint="own key"),
    case("path without slash", "[app]\nready = 'ready'\n", "error bad-value app.ready 2:9"),
    case("no address", "[ops]\nlisten = '8000'\n", "error bad-value ops.listen 2:10", hint="127.0.0.1:8000"),
    case(
        "kind of check",
        "[services.db]\ncheck = { type = 'postgre', url = 'x' }\n",
        "error bad-value services.db.check.type 2:18",
        hint="postgres",
    ),
    case(
        "check without a type", "[services.db.check]\nport = 1\n", "error missing-key services.db.check 1:14"
    ),
    case(
        "check without its url",
        "[services.db]\ncheck = { type = 'postgres' }\n",
        "error missing-key services.db.check 2:1",
    ),
    case(
        "wrong scheme",
        "[services.db]\ncheck = { type = 'postgres', url = 'mysql://h/d' }\n",
        "error bad-value services.db.check.url 2:36",
    ),
    case(
        "rung without an action",
        "[services.db]\nrecover = [{ max = 2 }]\n",
        "error bad-value services.db.recover[0] 2:12",
    ),
    case(
        "rung with two",
        "[services.db]\nrecover = [{ restart = 'app' }, { restart = 'app', page = 'x' }]\n",
        "error bad-value services.db.recover[1] 2:33",
    ),
    case(
        "rung with a key of another table",
        "[services.db]\nrecover = [{ command = 'fix' }]\n",
        "error unknown-key services.db.recover[0].command 2:14",
        hint="run, webhook",
    ),
    # -- references
    case(
        "variable that is not set",
        RUN + 'env = { A = "x-${NOPE}" }\n',
        "error missing-variable app.env.A 3:16",
        hint="${NOPE:-",
    ),
    case("broken reference", RUN + 'env = { A = "${1x}" }\n', "error bad-reference app.env.A 3:14"),
    # -- rules across keys
    case("run and command", RUN + "command = ['x']\n", "error conflict app.command 3:1"),
    case("socket without command", RUN + "socket = 'activation'\n", "error conflict app.socket 3:1"),
    case(
        "workers of a plain command",
        "[app]\ncommand = ['x']\nworkers = 3\n",
        "error workers-cannot-share app.workers 3:11",
        hint="activation",
    ),
    case(
        "same port",
        RUN + "port = 9000\n[ops]\nlisten = '127.0.0.1:9000'\n",
        "error same-port ops.listen 5:10",
    ),
    case(
        "needs nobody",
        "[services.a]\nneeds = ['bb']\n[services.b]\n",
        "error unknown-service services.a.needs[0] 2:10",
    ),
    case(
        "circle",
        "[services.a]\nneeds = ['b']\n[services.b]\nneeds = ['a']\n",
        "error cycle services.a.needs 2:9",
    ),
    case(
        "ops on the application's port", RUN + "[ops]\nlisten = 'app'\n", "error unsupported ops.listen 4:10"
    ),
    case(
        "page nobody",
        "[services.a]\nrecover = [{ page = 'opps' }]\n[alerts.ops]\ncommand = ['x']\n",
        "error unknown-alert services.a.recover[0].page 2:21",
        hint="ops",
    ),
    case(
        "restart what",
        "[services.a]\nrecover = [{ restart = 'postgres' }]\n",
        "error bad-value services.a.recover[0].restart 2:24",
        hint="systemd:",
    ),
    case("alert without a way", "[alerts.ops]\ndelay = '5s'\n", "error missing-key alerts.ops 1:9"),
    case(
        "http check without an address",
        "[services.a]\ncheck = { type = 'http' }\n",
        "error missing-key services.a.check 2:1",
    ),
    case(
        "canned answer without a method",
        "[services.a]\nroutes = ['/x']\ndegrade = { responses = [{ match = 'get it' }] }\n",
        "error bad-value services.a.degrade.responses[0].match 3:36",
    ),
    # -- warnings
    case(
        "debug in production",
        RUN + "[environments.production]\napp.debug = true\n",
        "warning debug-in-production environments.production.app.debug 4:13",
    ),
    case(
        "any origin with credentials",
        RUN + "cors_origins = ['*']\ncors_credentials = true\n",
        "warning cors-any-origin app.cors_origins 3:16",
    ),
    case("no drain", RUN + "drain = 0\n", "warning no-drain app.drain 3:9"),
    case("nothing to roll back to", RUN + "[deploy]\nkeep = 1\n", "warning no-rollback deploy.keep 4:8"),
    case(
        "slow check",
        RUN + "[services.a]\ncheck = { type = 'tcp', port = 1, timeout = '20s' }\n",
        "warning slow-check services.a.check.timeout 4:45",
    ),
    case(
        "open to others",
        RUN + "[ops]\nlisten = '0.0.0.0:8000'\n",
        "warning clear-text ops.listen 4:10",
        "warning exposed ops.listen 4:10",
    ),
    case(
        "no shell",
        "[app]\ncommand = ['srv', '--dir=$HOME', '5$']\n",
        "warning unexpanded app.command[1] 2:19",
    ),
    case(
        "secret in the file",
        RUN + "env = { API_TOKEN = 'abcdef', URL = 'postgres://u:pw@h/d' }\n",
        "warning plaintext-secret app.env.API_TOKEN 3:21",
        "warning plaintext-secret app.env.URL 3:37",
    ),
    # -- overlays
    case(
        "overlay of another environment",
        RUN + "[environments.production]\napp.wrokers = 8\napp.port = 'x'\n",
        "error unknown-key environments.production.app.wrokers 4:5",
        "error bad-type environments.production.app.port 5:12",
    ),
    case(
        "profile that is none",
        RUN + "[environments.qa]\nprofile = 'prod'\n",
        "error bad-value environments.qa.profile 4:11",
    ),
    case(
        "table of another environment",
        RUN + "[environments.production.services.db]\ncheck = { type = 'x' }\n[environments.qa.foo]\na = 1\n",
        "error bad-value environments.production.services.db.check.type 4:18",
        "error unknown-key environments.qa.foo 5:18",
    ),
    case(
        "environment that is nearly a profile",
        RUN + "[environments.prodution]\napp.port = 5\n",
        "warning unlikely-name environments.prodution 3:15",
        hint="production",
    ),
    case(
        "port of the application alone",
        RUN + "env = { PORT = 5 }\n",
        "warning conflict app.env.PORT 3:16",
        hint="app.port",
    ),
    case("environments that are none", "environments = 5\n", "error bad-type environments 1:16"),
    # -- all at once
    case(
        "everything at once",
        "[app]\nrun = 'a b'\nworkers = 0\nfoo = 1\n\n[services.a]\nneeds = ['x']\n[nope]\n",
        "error bad-value app.run 2:7",
        "error bad-value app.workers 3:11",
        "error unknown-key app.foo 4:1",
        "error unknown-service services.a.needs[0] 7:10",
        "error unknown-key nope 8:2",
    ),
]


def examined(root: Path, text: str) -> list[Issue]:
    (root / "oatie.toml").write_text(text, encoding="utf-8")
    (root / "main.py").write_text("app = None\n")
    return list(examine(root, environ={}, environment="local").issues)


def told(issue: Issue) -> str:
    return f"{issue.severity} {issue.code} {issue.path or '-'} {issue.line}:{issue.column}"


@pytest.mark.parametrize("wrong", CASES, ids=[case.name for case in CASES])
def test_each_problem_is_told_at_its_place(wrong: Case, tmp_path: Path) -> None:
    issues = examined(tmp_path, wrong.text)
    assert [told(issue) for issue in issues] == list(wrong.expected)
    assert all(issue.file == "oatie.toml" for issue in issues)
    assert wrong.hint in issues[0].hint


@pytest.mark.parametrize("wrong", CASES, ids=[case.name for case in CASES])
def test_the_caret_stands_under_what_is_meant(wrong: Case, tmp_path: Path) -> None:
    """The marked text of the excerpt begins as the line does at the column of the issue, or is masked."""
    lines = wrong.text.split("\n")
    for issue in examined(tmp_path, wrong.text):
        assert issue.line is not None
        assert issue.column is not None
        shown = issue.excerpt
        rest = lines[issue.line - 1][issue.column - 1 :]
        marked = shown.text[shown.caret - 1 :]
        assert marked[:1] in (rest[:1], "*") or "***" in marked, render(issue)
        assert len(marked) >= min(shown.length, 1) or not rest


def test_a_valid_file_has_no_issue(tmp_path: Path) -> None:
    assert examined(tmp_path, RUN + "[environments.staging]\napp.workers = 2\n") == []


def test_load_refuses_with_all_problems_and_the_exit_code_for_it(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 1\nworkers = 0\n")
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, environ={}, environment="local")
    error = caught.value
    assert error.exit_code is ExitCode.CONFIG_INVALID
    assert [d.split(" ")[0] for d in error.details] == ["oatie.toml:2:1:", "oatie.toml:3:11:"]
    assert [issue["path"] for issue in error.data["issues"]] == ["app.prot", "app.workers"]


def test_an_issue_reads_like_a_compilers(tmp_path: Path) -> None:
    [issue] = examined(tmp_path, "[app]\nready_tiemout = 5  # five\n")
    assert render(issue) == (
        "oatie.toml:2:1: error[unknown-key]: `app.ready_tiemout` is not a key in [app]\n"
        "    2 | ready_tiemout = 5\n"
        "      | ^^^^^^^^^^^^^\n"
        "  help: did you mean `ready_timeout`?"
    )


def test_tabs_before_the_caret_stay_tabs(tmp_path: Path) -> None:
    [issue] = examined(tmp_path, "[app]\n\tworkers = 0\n")
    assert render(issue).split("\n")[2] == "      | \t          ^"


def test_a_long_line_is_cut_around_the_caret(tmp_path: Path) -> None:
    filler = ", ".join(f"'/r{number}'" for number in range(200))
    [issue] = examined(tmp_path, f"[services.a]\nroutes = [{filler}, 5]\n")
    caret_line = render(issue).split("\n")[1:3]
    assert max(map(len, caret_line)) < 200
    assert caret_line[0][caret_line[1].index("^")] == "5"


def test_not_utf8_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_bytes(b"[app]\nname = '\xff'\n")
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert (told(issue), issue.message) == ("error syntax - 2:9", "is not UTF-8 text")


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_bytes(b"\xef\xbb\xbf[app]\r\nport = 1\r\n")
    loaded = examine(tmp_path, environ={}, environment="local")
    assert (loaded.issues, loaded.settings.app.port) == ((), 1)


def test_a_link_to_nothing_is_not_taken_for_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").symlink_to(tmp_path / "nowhere")
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert "cannot be read" in issue.message


def test_a_directory_in_place_of_the_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").mkdir()
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert "cannot be read" in issue.message


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("x = " + "[" * 5000 + "]" * 5000)
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert issue.code == "syntax"


def test_two_configurations_in_one_directory_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.oatie.app]\nport = 1\n")
    issues = examined(tmp_path, RUN)
    assert [issue.code for issue in issues] == ["two-files"]


def test_positions_in_pyproject_are_those_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.oatie.app]\nprot = 1\n')
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert (issue.where, issue.path) == ("pyproject.toml:5:1", "app.prot")


def test_a_broken_line_of_the_env_file_is_told_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n=hunter2secret\nB=2\n")
    [issue] = examined(tmp_path, RUN + 'env_file = ".env"\n')
    assert (issue.where, issue.code) == (".env:2:1", "env-file")
    assert "hunter2" not in render(issue)


def test_a_missing_env_file_is_told_where_it_is_named(tmp_path: Path) -> None:
    [issue] = examined(tmp_path, RUN + 'env_file = "prod.env"\n')
    assert issue.where == "oatie.toml:3:12"


def test_a_module_that_is_not_here_is_a_warning_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    (tmp_path / "oatie.toml").write_text('[app]\nrun = "mian:app"\n')
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert (issue.code, issue.severity, issue.hint) == ("run-not-found", "warning", "found here: main:app")


def test_an_attribute_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("appl = 1\n")
    (tmp_path / "oatie.toml").write_text('[app]\nrun = "main:app"\n')
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert "(it has appl)" in issue.message


def test_an_env_file_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / ".env.prod").write_text("A=1\n")
    [issue] = examine(tmp_path, environ={}, environment="local", env_file=tmp_path / "env.prod").issues
    assert issue.where == "--env-file"
    assert issue.message == "names env.prod, which cannot be read: No such file or directory"
    assert issue.hint == "did you mean .env.prod?"
    [issue] = examine(tmp_path, environ={}, environment="local", env_file=tmp_path / "no" / "x").issues
    assert "there is no directory" in issue.hint
