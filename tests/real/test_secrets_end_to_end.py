"""Canaries through the whole product: real stores, a careless application, every command, every way to fail.

One story is told once; then all that it left (output, logs, store, releases, caches, crash files, answers of
the ops API, command lines of every process) is searched for every form of every value.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import grpc
import psutil
import pytest
import trustme
from moto.server import ThreadedMotoServer

from tests.real.canaries import CANARIES, leaks
from tests.real.harness import Completed, Project
from tests.real.secret_servers import Answer, Request, as_json, http_server
from tests.real.test_secrets_azure import Vault, running
from tests.real.test_secrets_gcp import Service, metadata
from tests.real.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REGION = "eu-west-1"
# On a machine that is shared the story takes seven times as long as on a quiet one, and so does each step.
PATIENT = {"ready_timeout": "90s"}
NEVER_READY = {"ready_timeout": "1500ms"}
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "own/credential+of+oatie/0123456789abcdef",
}
ROTATED = "canary-after-the-rotation-4711"
ROTATED_AGAIN = "canary-after-another-rotation-4712"
# What the application finds must be the very value.
DIGESTS = {f"CANARY_{name.upper()}": hashlib.sha256(v.encode()).hexdigest() for name, v in CANARIES.items()}
STORES = {
    **dict.fromkeys(("pin", "token", "spaces", "quotes", "backslashes", "percent", "long"), "aws"),
    **dict.fromkeys(("unicode", "html", "base64", "pem"), "gcp"),
    **dict.fromkeys(("hex", "url", "format"), "azure"),
    **dict.fromkeys(("word", "json", "env"), "file"),
    **dict.fromkeys(("jwt", "repeated", "dollar"), "env"),
}
# Names of the test's own network, in every Python process of the program.
SITE = """
import socket
_original = socket.getaddrinfo
def _resolve(host, *arguments, **named):
    return _original("127.0.0.1" if str(host).endswith(".vault.test") else host, *arguments, **named)
socket.getaddrinfo = _resolve
"""
# A defect of oatie itself, with values in its hands: within a step, or where only a crash file can tell.
CRASHING = """
import os, sys
from oatie_ops import __main__
from oatie_ops.cli import releasing
from oatie_ops.deployment import context
def fail(*arguments):
    raise RuntimeError(f"defect: {arguments!r}")
if os.environ["DEFECT"] == "step":
    context.write = fail
else:
    releasing.make_plan = fail
sys.argv[0] = "oatie"
__main__.main()
"""


@dataclass
class Stores:
    """Real wires on loopback; ``env`` leads the program there and identifies it."""

    env: dict[str, str]
    vault_url: str
    google: str
    aws: Any


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with ExitStack() as stack:
        place = tmp_path_factory.mktemp("stores")
        authority = trustme.CA()
        roots = place / "ca.pem"
        authority.cert_pem.write_to_path(str(roots))
        aws, aws_url = _aws(stack)
        vault = stack.enter_context(running(Vault(), authority))
        vault.values = {f"canary-{name}": CANARIES[name] for name in CANARIES if STORES[name] == "azure"}
        identity = stack.enter_context(http_server(_managed_identity))
        google = _google(stack, authority)
        google_metadata = stack.enter_context(http_server(metadata)).url.removeprefix("http://")
        files = place / "files"
        files.mkdir()
        for name in (name for name in CANARIES if STORES[name] == "file"):
            (files / name).write_text(CANARIES[name] + "\n")
        site = place / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE)
        temporary = place / "tmp"
        temporary.mkdir()
        env = {
            **KEYS,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(place / "none"),
            "GCE_METADATA_HOST": google_metadata,
            "GCE_METADATA_IP": google_metadata,
            "GCE_METADATA_ROOT": google_metadata,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots),
            "REQUESTS_CA_BUNDLE": str(roots),
            "WEBSITE_SITE_NAME": "site",
            "IDENTITY_ENDPOINT": f"{identity.url}/msi/token",
            "IDENTITY_HEADER": "header-secret",
            "PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parents[2]}",
            "TMPDIR": str(temporary),
            "FILES": str(files),
            **{f"RAW_{name.upper()}": CANARIES[name] for name in CANARIES if STORES[name] == "env"},
        }
        yield Stores(env, vault.url, google, aws)


def _aws(stack: ExitStack) -> tuple[Any, str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    stack.callback(server.stop)
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    credentials = {name.lower(): value for name, value in KEYS.items()}
    client = boto3.client("secretsmanager", region_name=REGION, endpoint_url=url, **credentials)
    for name in (name for name in CANARIES if STORES[name] == "aws"):
        client.create_secret(Name=f"prod/{name}", SecretString=CANARIES[name])
    client.create_secret(Name="prod/rotating", SecretString="canary-before-the-rotation-0815")
    return client, url


def _managed_identity(request: Request) -> Answer:
    expires = str(int(time.time()) + 3600)
    return as_json({"access_token": "canary-token", "expires_on": expires, "token_type": "Bearer"})


def _google(stack: ExitStack, authority: trustme.CA) -> str:
    service = Service()
    service.values = {f"canary-{name}": CANARIES[name].encode() for name in CANARIES if STORES[name] == "gcp"}
    certificate = authority.issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    server = grpc.server(ThreadPoolExecutor(4), handlers=(service,))
    pair = (certificate.private_key_pem.bytes(), chain)
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    stack.callback(lambda: server.stop(None).wait(10))
    return f"localhost:{port}"


@dataclass
class Story:
    """What was run and what it left."""

    project: Project
    stores: Stores
    said: dict[str, Completed] = field(default_factory=dict)
    sinks: dict[str, bytes] = field(default_factory=dict)
    command_lines: set[bytes] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, label: str, *arguments: str, env: dict[str, str] | None = None) -> Completed:
        done = self.project.oatie(*arguments, env={**self.stores.env, **(env or {})})
        self.said[label] = done
        self.sinks[f"stdout of {label}"] = done.stdout.encode()
        self.sinks[f"stderr of {label}"] = done.stderr.encode()
        return done

    def version(self, mode: str = "") -> None:
        self.project.version("1", mode=mode)

    def ask(self, path: str, *, ops: bool = False) -> bytes:
        port = self.project.ops_port if ops else None
        answer = self.project.ask(path, port=port, timeout_seconds=PATIENCE_SECONDS)
        status, headers, body = answer or (0, {}, b"")
        if ops:
            self.sinks[f"ops API {path}"] = repr((status, headers)).encode() + body
        return body

    def watch_command_lines(self) -> None:
        """Of every process; for at most a fifth of the time, as what is watched has to go on meanwhile."""
        took = 0.0
        while not self._over.wait(max(0.02, 4 * took)):
            began = time.monotonic()
            for process in psutil.process_iter():
                try:
                    self.command_lines.add("\0".join(process.cmdline()).encode("utf-8", "surrogateescape"))
                except psutil.Error:
                    continue
            took = time.monotonic() - began

    def gather(self) -> None:
        """Every file that the program wrote, at its end and as it is on the disk."""
        self._over.set()
        places = [self.project.state.home, Path(self.stores.env["TMPDIR"]), self.project.outputs]
        for file in (file for place in places for file in place.rglob("*")):
            if file.is_file() and not file.is_symlink() and file.suffix not in {".py", ".pyc"}:
                self.sinks[str(file)] = self.sinks.get(str(file), b"") + file.read_bytes()
        self.sinks["command lines"] = b"\n".join(sorted(self.command_lines))


def configure(project: Project, stores: Stores, **app: Any) -> None:
    names = {"aws": "prod/{}", "gcp": "canary-{}", "azure": "canary-{}", "file": "{}", "env": "RAW_{}"}
    references = {}
    for name, store in STORES.items():
        inside = names[store].format(name.upper() if store == "env" else name)
        if store == "file":
            inside = f"{stores.env['FILES']}/{name}"
        references[f"CANARY_{name.upper()}"] = f"${{{store}:{inside}}}"
    references["CANARY_ROTATING"] = "${aws:prod/rotating}"
    project.configure(
        app={
            "run": "careless:app",
            "ready": "/ready",
            "host": "127.0.0.1",
            "env": references,
            **PATIENT,
            **app,
        },
        deploy={
            "bake": "200ms",
            "build": ["python careless.py build"],
            "release": "python careless.py release",
        },
        secrets={
            "backend": "gcp_secret_manager",
            "project": "proj",
            "endpoint": stores.google,
            "vault_url": stores.vault_url,
            "region": REGION,
            "timeout": "20s",
        },
    )
    with (project.root / "oatie.toml").open("a") as file:
        file.write(
            "[services.backend.check]\n"
            f'type = "http"\nurl = "http://127.0.0.1:{project.port}/${{aws:prod/token}}"\n'
            'headers = { Authorization = "Bearer ${azure:canary-hex}" }\ninterval = "1s"\n'
            '[alerts.ops]\nwebhook = "https://hooks.example/${gcp:canary-html}"\n'
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, stores: Stores) -> Iterator[Story]:
    project = Project(tmp_path_factory.mktemp("story"), "careless.py")
    told = Story(project, stores)
    watcher = threading.Thread(target=told.watch_command_lines)
    watcher.start()
    try:
        tell(told)
        told.gather()
        yield told
    finally:
        told._over.set()
        watcher.join()
        project.close()


def tell(story: Story) -> None:
    project = story.project
    configure(project, story.stores)
    story.version()
    _look_only(story)
    _deploy_in_every_way(story)
    _while_it_runs(story)
    _fail_in_every_way(story)
    story.run("stop", "stop")
    _start_in_the_foreground(story)
    story.run("health without a supervisor", "health", "--json")
    story.run("logs", "logs", "--lines", "5000")


def _look_only(story: Story) -> None:
    for words in (
        "config check",
        "config show --origin",
        "config show --json",
        "config explain secrets.expose",
    ):
        story.run(words, *words.split())
    for words in ("detect --explain", "status --json", "deploy --dry-run", "logs"):
        story.run(words, *words.split())


def _deploy_in_every_way(story: Story) -> None:
    story.run("deploy", "deploy", "--yes", "--json", "--log-level", "debug").expect(0)
    story.ask("/boom")
    story.ask("/say")
    story.sinks["digests"] = story.ask("/digests")
    story.run("a second deploy", "deploy", "--yes").expect(0)
    for mode in ("build", "release", "import", "startup", "exit", "ready", "redirect"):
        story.version(mode)
        configure(story.project, story.stores, **(NEVER_READY if mode in {"ready", "redirect"} else PATIENT))
        story.run(f"deploy that fails: {mode}", "deploy", "--yes", *(["--json"] if mode != "ready" else []))
    configure(story.project, story.stores)
    story.version()


def _while_it_runs(story: Story) -> None:
    for words in ("status", "status --json", "health", "health --json", "reload --json", "rollback --list"):
        story.run(f"running: {words}", *words.split())
    story.run("rollback", "rollback", "--yes", "--json").expect(0)
    story.stores.aws.put_secret_value(SecretId="prod/rotating", SecretString=ROTATED)
    story.run("reload after a rotation", "reload")
    story.sinks["digests after the rotation"] = story.ask("/digests")
    story.stores.aws.put_secret_value(SecretId="prod/rotating", SecretString=ROTATED_AGAIN)
    story.run("deploy after a rotation", "deploy", "--yes").expect(0)
    story.sinks["digests after another rotation"] = story.ask("/digests")
    story.ask("/boom")
    wait_for(
        lambda: b'"fail"' in story.ask("/health/detailed", ops=True) or None,
        "the check of the service to fail",
        evidence=lambda: story.ask("/health/detailed", ops=True),
    )
    for path in (
        "/health",
        "/health/services",
        "/health/dashboard",
        "/health/dashboard/html",
        "/openapi.json",
        "/none",
    ):
        story.ask(path, ops=True)


def _fail_in_every_way(story: Story) -> None:
    crashing = story.project.outputs / "crashing.py"
    crashing.write_text(CRASHING)
    program, story.project.program = story.project.program, [story.project.program[0], str(crashing)]
    story.run("a defect in a step", "deploy", "--yes", env={"DEFECT": "step"})
    story.run("a defect elsewhere", "deploy", "--yes", env={"DEFECT": "plan"})
    story.project.program = program
    dead = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:9", "IDENTITY_HEADER": "wrong"}
    story.run("dead stores", "deploy", "--yes", env=dead)
    story.run("a missing variable", "deploy", "--yes", "--json", env={"RAW_JWT": ""})
    text = (story.project.root / "oatie.toml").read_text()
    (story.project.root / "oatie.toml").write_text(text.replace("aws:prod/pin", "aws:prod/pni"))
    story.run("a wrong name", "deploy", "--yes")
    (story.project.root / "oatie.toml").write_text(text)


def _start_in_the_foreground(story: Story) -> None:
    """Of the checkout, with what it says on a terminal; then a worker dies, and the release is started."""
    env = story.stores.env
    foreground = story.project.start("--dev", "--log-level", "debug", env=env)
    story.ask("/boom")
    story.sinks["status in the foreground"] = json.dumps(story.project.status()).encode()
    foreground.signal(15)
    foreground.wait()
    story.version("import")
    story.run("a start of the release", "start", "--daemon", "--json").expect(0)
    story.project.kill(story.project.workers()[0]["pid"])
    wait_for(lambda: story.project.status()["state"] == "running", "the worker to be replaced")
    story.run("the end", "stop")
    failing = story.project.background("start", "--dev", env=env)
    wait_for(
        lambda: "cannot be imported" in failing.so_far().said,
        "the failure to be told",
        evidence=failing.so_far,
    )
    failing.signal(15)
    failing.wait()


def test_no_secret_gets_out_of_the_product(story: Story) -> None:
    """One test, because the story takes a minute and would be told once in every process of the tests."""
    _was_told_as_it_was_meant(story)
    _application_got_every_value_exactly(story)
    _reload_and_deploy_brought_the_value_after_a_rotation(story)
    _what_must_be_there_is_there(story)
    _no_canary_is_found_anywhere(story)


def _was_told_as_it_was_meant(story: Story) -> None:
    codes = {label: done.code for label, done in story.said.items()}
    refused = {label: code for label, code in codes.items() if label.startswith("deploy that fails")}
    assert set(refused.values()) == {7}, refused
    fine = (
        "deploy",
        "a second deploy",
        "rollback",
        "reload after a rotation",
        "a start of the release",
        "stop",
    )
    assert {label: codes[label] for label in fine} == dict.fromkeys(fine, 0)
    assert (codes["a defect in a step"], codes["a defect elsewhere"]) == (7, 1)
    assert {codes[label] for label in ("dead stores", "a wrong name")} == {5}
    assert "prod/pin" in story.said["a wrong name"].stderr  # did you mean
    crash = next(content for name, content in story.sinks.items() if "oatie-crash-" in name)
    assert b"RuntimeError: defect: (Facts(" in crash


def _application_got_every_value_exactly(story: Story) -> None:
    found = json.loads(story.sinks["digests"])
    assert {name: found.get(name) for name in DIGESTS} == DIGESTS


def _reload_and_deploy_brought_the_value_after_a_rotation(story: Story) -> None:
    labels = ("digests after the rotation", "digests after another rotation")
    found = [json.loads(story.sinks[label])["CANARY_ROTATING"] for label in labels]
    assert found == [hashlib.sha256(value.encode()).hexdigest() for value in (ROTATED, ROTATED_AGAIN)]


def _no_canary_is_found_anywhere(story: Story) -> None:
    assert len(story.sinks) > 60
    log = b"".join(content for name, content in story.sinks.items() if "app.log" in name)
    assert log.count(b"***") > 100
    assert b"Traceback" in log
    extra = {
        "rotated": ROTATED,
        "rotated again": ROTATED_AGAIN,
        "before": "canary-before-the-rotation-0815",
        "own": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    found = leaks(story.sinks, {**CANARIES, **extra})
    assert not found, "\n".join(map(str, found[:20]))


def _what_must_be_there_is_there(story: Story) -> None:
    """That nothing is found proves nothing where nothing was written."""
    names = "\n".join(story.sinks)
    for expected in (
        "state.db",
        "app.log",
        "build.log",
        "release-command.log",
        "supervisor.log",
        "manifest.json",
    ):
        assert expected in names, names
    assert "run/config.json" in names
    assert b"careless" in story.sinks["command lines"]
    assert b"failed with ***" in story.sinks["stderr of a second deploy"] + b"".join(
        content for name, content in story.sinks.items() if "deploy that fails: build" in name
    )
