"""What a release brings that today's configuration says otherwise."""

from __future__ import annotations

from dataclasses import replace

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.drift import drift, drift_note

APP = AppSettings(run="main:app", env={"COLOR": "red", "TOKEN": "x"}, env_templates={"TOKEN": "${TOKEN}"})


def test_where_and_how_wide_it_runs_is_no_drift() -> None:
    assert drift(APP, replace(APP, host="0.0.0.0", port=1, workers=9)) == ()
    told = {**APP.env, "PORT": "1", "WORKERS": "9"}
    assert drift(APP, replace(APP, env=told)) == ()
    assert drift(replace(APP, front={"socket": "a"}), replace(APP, front={"socket": "b"})) == ()
    assert drift_note("2", ()) == ""


def test_the_keys_have_the_names_of_the_file() -> None:
    now = replace(APP, ready="/ready", ready_timeout_seconds=1.0, max_rss_bytes=1)
    assert drift(APP, now) == ("ready", "ready_timeout", "max_rss")
    assert "in [app] ready, ready_timeout, max_rss" in drift_note("2", drift(APP, now))


def test_a_value_from_outside_may_change_and_one_in_the_file_may_not() -> None:
    assert drift(APP, replace(APP, env={**APP.env, "TOKEN": "y"})) == ()
    assert drift(APP, replace(APP, env={**APP.env, "COLOR": "blue"})) == ("env",)
