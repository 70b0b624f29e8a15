"""What commands that only look say about secrets, without looking one up."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.cli.config import show_document, show_lines, stores_of, with_findings
from oatie_ops.config.load import Loaded, examine
from oatie_ops.config.show import entries

FILE = """
[app]
run = "main:app"
env = { A = "${DB_PASSWORD}", B = "${gcp:proj-key@3}", C = "${file:/run/x:-none}", D = "${HERE}" }
[secrets]
backend = "aws_secrets_manager"
region = "eu-west-1"
[services.x]
recover = [{ webhook = "https://${HOOK}" }]
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return examined(tmp_path, FILE)


def examined(root: Path, text: str) -> Loaded:
    (root / "oatie.toml").write_text(text)
    return examine(root, environ={"HERE": "here"}, environment="local")


def test_each_value_of_a_store_is_noted_with_its_place(loaded: Loaded) -> None:
    found = {
        issue.path: (issue.severity, issue.line, issue.message)
        for issue in with_findings(loaded).issues
        if issue.code == "secret"
    }
    aws = "is looked up at start in AWS Secrets Manager (eu-west-1)"
    assert found == {
        "app.env.A": ("note", 4, aws),
        "app.env.B": ("note", 4, "is looked up at start in Google Secret Manager"),
        "app.env.C": ("note", 4, "is looked up at start in files (/run/secrets)"),
        "services.x.recover[0].webhook": ("note", 9, aws),
    }


def test_what_cannot_be_a_reference_is_an_error(tmp_path: Path) -> None:
    text = '[app]\nrun = "main:app"\nenv = { A = "${aws:db#}", PATH = "${aws:path}" }\n'
    issues = with_findings(examined(tmp_path, text)).issues
    found = {issue.path: issue.severity for issue in issues if issue.code == "bad-reference"}
    assert found == {"app.env.A": "error", "app.env.PATH": "error"}


def test_the_origin_of_a_value_names_its_store(loaded: Loaded) -> None:
    found = entries(loaded)
    stores = stores_of(loaded, found)
    lines = show_lines(found, stores, origin=True)
    shown = next(line for line in lines if line.startswith("app.env.A"))
    assert shown.endswith("oatie.toml:4:9, at start from AWS Secrets Manager (eu-west-1)")
    values = show_document(loaded, found, stores)["values"]
    assert values["app.env.B"]["store"] == "Google Secret Manager"
    assert values["services.x.recover"]["store"] == "AWS Secrets Manager (eu-west-1)"
    assert values["app.env.D"]["store"] is None
