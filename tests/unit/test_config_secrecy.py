"""No value that might be a secret comes out again: not in issues, errors, `show`, or the cache."""

from __future__ import annotations

import json
import secrets
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.config.issues import render
from oatie_ops.config.load import examine, load
from oatie_ops.config.masking import MASK, holds_credentials, is_sensitive_name, mask_url
from oatie_ops.config.show import entries
from oatie_ops.errors import ConfigInvalid

CANARIES = [
    "hunter2",
    "correct-horse-battery-staple",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "-----BEGIN RSA PRIVATE KEY-----",
    "p@ss:w/rd?x=y#z",
    "Tr0ub4dor&3",
    "eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJ",
    "12ab34cd56ef78",
    "päßwörd",
]

# Places where a secret has no business to be, each with a key that is wrong because of it or beside it.
WRONG_PLACES = [
    "[app]\nport = {}\n",
    "[app]\nworkers = {}\n",
    "[app]\nrun = {}\n",
    "[app]\nlog_level = {}\n",
    "[app]\nready_timeout = {}\n",
    "[app]\nmax_rss = {}\n",
    "[app]\naccess_log = {}\n",
    "[app]\nhost = {}\nready = {}\n",
    "[app]\npasword = {}\n",
    "[app]\nname = {}\nfoo = 1\n",
    "[app]\nenv = {{ X = {}, Y = '${{NOPE}}' }}\n",
    "[app]\nenv = {{ X = '${{NOPE}}', Y = {}, 'Z Z' = {} }}\n",
    "[app]\ncommand = {}\n",
    "[app]\ncommand = [{}, 5]\n",
    "[deploy]\ntarget = {}\n",
    "[deploy]\nkeep = {}\n",
    "[services.db]\ncheck = {{ type = {}, url = {} }}\n",
    "[services.db]\ncheck = {{ type = 'postgres', url = {}, tiemout = 5 }}\n",
    "[services.db]\ncheck = {{ type = 'http', url = 'http://h', headers = {{ A = {} }}, foo = {} }}\n",
    "[services.db]\nneeds = [{}]\nroutes = [{}]\n",
    "[services.db]\nrecover = [{{ webhook = {}, max = 0 }}]\n",
    "[services.db]\nrecover = [{{ restart = {}, page = {} }}]\n",
    "[secrets]\nbackend = {}\n",
    "[ops]\nlisten = {}\n",
    "[alerts.ops]\nwebhook = {}\nemail = 5\n",
    "[environments.production]\napp.port = {}\nprofile = {}\n",
    "secret = {}\n",
    "app = {}\n",
    "[app]\nname = {} x\n",
    "[app]\nenv = {{ TOKEN = {}, }}\n[app]\n",
    "[app.env]\nTOKEN = {}\nTOKEN = {}\n",
]


# Free words that may be valid, and then are what `config show` is for; still no issue repeats them.
FREE_WORDS = {"run", "host", "ready", "name", "needs", "routes", "restart", "page"}


def told(root: Path) -> str:
    """Everything that any face could say about this directory."""
    loaded = examine(root, environ={}, environment="local")
    secretive = [entry for entry in entries(loaded) if not FREE_WORDS & set(map(str, entry.path))]
    shown = [[entry.key, entry.value, entry.origin.as_dict()] for entry in secretive]
    parts = [json.dumps(shown, ensure_ascii=False)]
    parts += [render(issue) + repr(issue) + repr(issue.as_dict()) for issue in loaded.issues]
    try:
        load(root, environ={}, environment="local")
    except ConfigInvalid as error:
        parts += [repr(error.as_dict()), str(error), repr(error.__context__)]
    return "\n".join(parts)


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_a_secret_in_the_wrong_place_is_not_repeated(place: str, tmp_path: Path) -> None:
    for canary in CANARIES:
        written = json.dumps(canary, ensure_ascii=False)
        (tmp_path / "oatie.toml").write_text(place.format(*[written] * place.count("{}")), encoding="utf-8")
        said = told(tmp_path)
        assert canary not in said
        assert written.strip('"') not in said


@pytest.mark.parametrize("place", [place for place in WRONG_PLACES if "name = {} x" not in place])
def test_a_secret_over_several_lines_is_not_repeated(place: str, tmp_path: Path) -> None:
    lines = ["first-" + secrets.token_hex(8), "second-" + secrets.token_hex(8)]
    written = '"""\n' + "\n".join(lines) + '"""'
    (tmp_path / "oatie.toml").write_text(place.format(*[written] * place.count("{}")))
    said = told(tmp_path)
    assert not any(line in said for line in lines)


def test_a_comment_on_the_line_of_an_issue_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 5 # was hunter2\n")
    assert "hunter2" not in told(tmp_path)


def test_other_tables_of_pyproject_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('tool = { x = { a = "hunter2" }, oatie = { nope = 1 } }\n')
    assert "hunter2" not in told(tmp_path)


@settings(max_examples=60)
@given(st.text(string.ascii_letters + string.digits + "+/=-_!#{}", min_size=9, max_size=40))
def test_no_unquoted_secret_of_a_broken_line_is_repeated(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    root = tmp_path_factory.mktemp("broken")
    secret = f"Q7{secret}"  # not by chance a word of the message
    (root / "oatie.toml").write_text(f"[app]\nname = ;{secret}\n")
    assert secret not in told(root)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('[app]\nlog_level = "verbose"\n', 'log_level = "verbose"'),
        ('[app]\nready = "ready"\n', 'ready = "ready"'),
        ('[app]\ncors_credentials = "maybe"\n', 'cors_credentials = "maybe"'),
        (
            '[app]\ncors_origins = ["https://shop.example.com:8443", 5]\n',
            '"https://shop.example.com:8443", 5',
        ),
        ('[deploy]\ntarget = "k8s"\n', 'target = "k8s"'),
        ('[deploy]\nbake = "soon"\n', 'bake = "soon"'),
        ('[services.db]\nneeds = ["databse"]\n', '"databse"'),
    ],
)
def test_a_typo_that_can_be_no_secret_is_shown(written: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text(written)
    said = "\n".join(map(render, examine(tmp_path, environ={}, environment="local").issues))
    assert shown in said
    assert MASK not in said


@pytest.mark.parametrize(
    "written",
    [
        '[app]\nenv = { WORD = "sunshine", "B B" = 1 }\n',
        '[app]\ncommand = ["srv", "sunshine", 5]\n',
        '[services.db]\ncheck = { type = "redis", password = "sunshine", tiemout = 5 }\n',
        '[alerts.ops]\nwebhook = "https://hooks.example/sunshine"\nemail = 5\n',
        '[app]\ncors_origins = ["https://user:sunshine@example.com", 5]\n',
        '[app]\npasword = "sunshine"\n',
    ],
)
def test_a_plain_word_where_secrets_are_kept_is_masked(written: str, tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text(written)
    assert "sunshine" not in told(tmp_path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('[app]\nlog_level = "verbose"\n', "debug"),
        ('[app]\nlog_level = "wraning"\n', "warning"),
        ('[deploy]\ntarget = "k8s"\n', "kubernetes"),
        ('[services.db]\ncheck = { type = "postgresql" }\n', "postgres"),
    ],
)
def test_of_a_choice_the_nearest_is_proposed(written: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text(written)
    hints = [issue.hint for issue in examine(tmp_path, environ={}, environment="local").issues]
    assert f'did you mean "{meant}"?' in hints


def test_a_switch_is_shown_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text('[app]\nrun = "a:b"\ncors_credentials = true\n')
    shown = {entry.key: entry.value for entry in entries(load(tmp_path, environ={}, environment="local"))}
    assert shown["app.cors_credentials"] is True


@pytest.mark.parametrize("variable", ["OATIE_APP__PORT", "OATIE_APP__LOG_LEVEL", "OATIE_APP__DRAIN", "PORT"])
def test_a_wrong_variable_is_named_without_its_value(variable: str, tmp_path: Path) -> None:
    loaded = examine(tmp_path, environ={variable: "hunter2-secret"}, environment="local")
    assert [issue.where for issue in loaded.issues] == [f"variable {variable}"]
    assert "hunter2" not in repr(loaded.issues)


def test_values_from_outside_are_shown_as_their_templates(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=canary-file\n")
    (tmp_path / "oatie.toml").write_text(
        '[app]\nrun = "a:b"\nenv_file = ".env"\n'
        'env = { A = "canary-literal", B = "x${OUT}", C = "${NO:-canary-default}", DEBUG = "false" }\n'
        '[services.db]\ncheck = { type = "postgres", url = "postgres://u:canary-pw@${OUT}/d" }\n'
        '[alerts.ops]\nwebhook = "https://hooks.example/canary-hook"\n'
    )
    environ = {"OUT": "canary-out", "OATIE_APP__ENV__D": "canary-direct"}
    loaded = load(tmp_path, environ=environ, environment="local")
    shown = {entry.key: entry.value for entry in entries(loaded)}
    assert "canary" not in json.dumps(shown)
    assert shown["app.env.A"] == MASK
    assert shown["app.env.B"] == f"{MASK}${{OUT}}"
    assert shown["app.env.C"] == f"${{NO:-{MASK}}}"
    assert shown["app.env.FROM_FILE"] == "${FROM_FILE}"
    assert shown["app.env.D"] == "${OATIE_APP__ENV__D}"
    assert shown["app.env.PORT"] == "8080"
    assert loaded.settings.app.env["A"] == "canary-literal"


def test_the_cache_holds_nothing_that_came_from_outside(tmp_path: Path) -> None:
    (tmp_path / ".oatie" / "run").mkdir(parents=True)
    (tmp_path / ".env").write_text("FROM_FILE=canary-file\nOATIE_APP__ENV__E=canary-e\n")
    (tmp_path / "oatie.toml").write_text(
        '[app]\nrun = "a:b"\nenv_file = ".env"\nready_host = "${OUT}"\n'
        'env = { B = "x${OUT}", C = "y" }\n'
        '[services.db]\ncheck = { type = "http", url = "http://${OUT}/", headers = { A = "${OUT}" } }\n'
        'recover = [{ webhook = "https://${OUT}" }]\n'
        '[alerts.ops]\nwebhook = "https://hooks.example/${OUT}"\n'
    )
    environ = {"OUT": "canary-out", "OATIE_APP__ENV__D": "canary-direct", "C": "canary-c"}
    first = load(tmp_path, environ=environ, environment="local")
    cache = tmp_path / ".oatie" / "run" / "config.json"
    assert b"canary" not in cache.read_bytes()
    assert load(tmp_path, environ=environ, environment="local") == first


@pytest.mark.parametrize(
    "name", ["DATABASE_PASSWORD", "api_key", "apiKey", "AUTH_TOKEN", "SECRET_KEY", "SENTRY_DSN", "db-pass"]
)
def test_names_of_secrets_are_recognised(name: str) -> None:
    assert is_sensitive_name(name)


@pytest.mark.parametrize("name", ["token_file", "keep_alive", "monkey", "compass", "AWS_SECRET_NAME", "name"])
def test_names_of_other_things_are_not(name: str) -> None:
    assert not is_sensitive_name(name)


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("postgres://u:pw@h/d", f"postgres://u:{MASK}@h/d", True),
        ("redis://:pw@h", f"redis://:{MASK}@h", True),
        ("postgres://u:${PW}@h/d", "postgres://u:${PW}@h/d", False),
        ("postgres://u@h:5432/d", "postgres://u@h:5432/d", False),
        ("http://h:80/a:b@c", "http://h:80/a:b@c", False),
    ],
)
def test_passwords_in_urls_are_recognised(url: str, shown: str, secret: bool) -> None:
    assert (mask_url(url), holds_credentials(url)) == (shown, secret)
