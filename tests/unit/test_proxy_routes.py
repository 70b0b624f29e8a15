"""What Caddy is told, and that nothing foreign is ever changed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.proxy.errors_ratio import counts, error_ratio
from oatie_ops.deployment.proxy.routes import (
    AddressTaken,
    Wanted,
    changes,
    removals,
    server,
    serves_others,
    shares_a_server,
)
from oatie_ops.deployment.proxy.switch import PORTS_REGEX, SLOTS, Live, Switch

ADMIN = "localhost:2019"
FOREIGN = {"listen": [":8080"], "routes": [{"match": [{"host": ["other.test"]}], "handle": []}]}


def wanted(**more: Any) -> Wanted:
    values = {"key": "k", "host": "127.0.0.1", "port": 8080, "switch_directory": Path("/s"), "token": "t"}
    return Wanted(**{**values, **more})


def applied(config: dict[str, Any] | None, one: Wanted) -> dict[str, Any]:
    """What Caddy makes of the changes, called one after the other as `Proxy.install` does."""
    for _ in range(10):
        todo = changes(config, one, ADMIN)
        if not todo:
            assert config is not None
            return config
        config = _after(config, todo[0])
    raise AssertionError("the changes never end")


def _after(config: dict[str, Any] | None, change: Any) -> dict[str, Any]:
    if change.path == "":
        return copy.deepcopy(change.body)
    made = copy.deepcopy(config)
    node: Any = made
    *parents, last = change.path.split("/")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if isinstance(node, list):
        if change.method == "DELETE":
            del node[int(last)]
        elif change.method == "PUT":
            node.insert(int(last), change.body)
        else:
            node[int(last)] = change.body
    else:
        assert (last in node) == (change.method == "PATCH"), change
        node[last] = change.body
    assert made is not None
    return made


@pytest.mark.parametrize("host", ["a.test", "shop.internal"])
def test_an_authority_of_ones_own_is_asked_also_for_local_names(host: str) -> None:
    one = wanted(hosts=(host,), tls="auto", acme_ca="https://ca/acme/directory", acme_ca_root="/root.pem")
    found = applied(None, one)
    (policy,) = found["apps"]["tls"]["automation"]["policies"]
    assert policy["subjects"] == [host]
    assert policy["issuers"] == [
        {"module": "acme", "ca": "https://ca/acme/directory", "trusted_roots_pem_files": ["/root.pem"]}
    ]
    assert "pki" not in found["apps"]
    assert "apps/tls/automation/policies/0" in removals(found, "k")


AUTHORITY = {"tls": "auto", "acme_ca": "https://ca/acme/directory"}
FILES = {"tls": "files", "certificate": "/c", "certificate_key": "/k"}


@pytest.mark.parametrize("before", [AUTHORITY, FILES, {"tls": "internal"}])
@pytest.mark.parametrize("after", [AUTHORITY, FILES, {"tls": "internal"}, {"tls": "auto"}, {"tls": "off"}])
def test_what_was_said_of_certificates_before_decides_nothing_any_more(
    before: dict[str, str], after: dict[str, str]
) -> None:
    policy = {"subjects": ["other.test"]}
    foreign = {"apps": {"tls": {"automation": {"policies": [policy]}}}}
    tls = applied(applied(foreign, wanted(hosts=("a.test",), **before)), wanted(hosts=("a.test",), **after))[
        "apps"
    ]["tls"]
    policies = tls["automation"]["policies"]
    assert policy in policies
    assert len(policies) == 1 + (after in (AUTHORITY, {"tls": "internal"}))
    assert len(tls.get("certificates", {}).get("load_files", ())) == (after == FILES)
    if after == AUTHORITY:
        assert policies[0]["issuers"][0]["module"] == "acme"


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        {"admin": {"listen": ADMIN}},
        {"apps": {}},
        {"apps": {"http": {}}},
        {"apps": {"http": {"servers": {"x": {"listen": [":9090"], "routes": []}}}}},
    ],
)
@pytest.mark.parametrize("tls", ["off", "auto", "internal", "files"])
def test_it_is_put_into_any_configuration_and_nothing_else_changes(
    config: dict[str, Any] | None, tls: str
) -> None:
    one = wanted(hosts=("a.test",), tls=tls, certificate="/c", certificate_key="/k")
    found = applied(config, one)
    assert found["apps"]["http"]["servers"][one.id] == server(one)
    assert ("pki" in found["apps"]) == (tls == "internal"), "no authority gets into the machine's trust store"
    foreign = ((config or {}).get("apps") or {}).get("http", {}).get("servers", {})
    for name, each in foreign.items():
        assert found["apps"]["http"]["servers"][name] == each
    assert changes(found, one, ADMIN) == []


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("shop.localhost", True),
        ("localhost", True),
        ("nas.home.arpa", True),
        ("10.0.0.1", True),
        ("a.test", False),
    ],
)
def test_for_local_names_caddys_own_authority_is_kept_out_of_the_trust_store(host: str, own: bool) -> None:
    found = applied(None, wanted(hosts=(host,), tls="auto"))
    assert ("pki" in found["apps"]) == own
    assert ("pki" in applied(None, wanted(hosts=(host,), tls="files"))["apps"]) is False


def test_whose_server_our_route_is_in() -> None:
    mine, theirs = wanted(hosts=("mine.test",)), {"apps": {"http": {"servers": {"theirs": FOREIGN}}}}
    assert shares_a_server(theirs, mine)
    assert shares_a_server(applied(theirs, mine), mine)
    assert not shares_a_server(applied(None, mine), mine)
    assert not shares_a_server(None, mine)


def test_a_route_goes_in_front_of_those_of_a_foreign_server() -> None:
    config = {"apps": {"http": {"servers": {"theirs": FOREIGN}}}}
    found = applied(config, wanted(hosts=("mine.test",)))
    routes = found["apps"]["http"]["servers"]["theirs"]["routes"]
    assert routes[0]["match"] == [{"host": ["mine.test"]}]
    assert routes[1:] == FOREIGN["routes"]


@pytest.mark.parametrize("hosts", [(), ("other.test",), ("mine.test", "other.test")])
def test_what_somebody_else_answers_is_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(AddressTaken):
        changes({"apps": {"http": {"servers": {"theirs": FOREIGN}}}}, wanted(hosts=hosts), ADMIN)


def test_removing_leaves_what_is_not_ours() -> None:
    config = {"apps": {"http": {"servers": {"theirs": FOREIGN}}}}
    one = wanted(hosts=("mine.test",), tls="internal")
    found = applied(config, one)
    paths = removals(found, one.key)
    assert paths == ["apps/http/servers/theirs/routes/0", "apps/tls/automation/policies/0"]
    assert serves_others(found, one.key)
    assert not serves_others(applied(None, wanted()), "k")


@pytest.mark.parametrize(
    ("listen", "host", "clash"),
    [
        (":8080", "127.0.0.1", True),
        ("127.0.0.1:8080", "127.0.0.1", True),
        ("127.0.0.2:8080", "127.0.0.1", False),
        ("127.0.0.2:8080", "0.0.0.0", True),
        ("tcp/:8000-8100", "127.0.0.1", True),
        (":8081", "127.0.0.1", False),
    ],
)
def test_the_same_address_is_recognised(listen: str, host: str, clash: bool) -> None:
    config = {"apps": {"http": {"servers": {"theirs": {"listen": [listen], "routes": []}}}}}
    try:
        changes(config, wanted(host=host), ADMIN)
    except AddressTaken:
        assert clash
    else:
        assert not clash


def test_the_name_of_a_switch_carries_release_and_ports() -> None:
    live = Live(7, "12", (21001, 21002, 21003))
    assert Live.parse(live.name) == live
    found = re.search(PORTS_REGEX, live.name)
    assert found is not None
    assert len(found.groups()) == SLOTS
    counted = [found.groups().count(port) for port in ("21001", "21002", "21003")]
    assert max(counted) - min(counted) <= 1
    assert Live.parse("live.x") is None
    assert Live.parse("other") is None


def test_there_is_always_one_to_go_by_and_the_newest_wins(tmp_path: Path) -> None:
    switch = Switch(tmp_path / "s")
    assert switch.now() is None
    first = switch.to("1", [20001])
    second = switch.to("2", [20002])
    assert switch.all() == [second, first]
    times = [(tmp_path / "s" / live.name).stat().st_mtime_ns for live in (first, second)]
    assert times[0] < times[1]
    switch.withdraw(second)
    assert switch.now() == first
    third = switch.to("3", [20003])
    assert third.sequence > first.sequence
    switch.keep_only(third)
    assert switch.all() == [third]
    switch.clear()
    assert not (tmp_path / "s").exists()


def test_a_later_switch_is_newer_even_in_the_same_tick(tmp_path: Path) -> None:
    switch = Switch(tmp_path / "s")
    places = [tmp_path / "s" / switch.to(str(n), [20000 + n]).name for n in range(50)]
    times = [place.stat().st_mtime_ns for place in places]
    assert times == sorted(set(times))


def test_the_share_of_errors_is_that_of_the_answers_in_between() -> None:
    name = "caddy_http_request_duration_seconds_count"
    line = name + '{{code="{}",handler="subroute",server="s"}} {}'
    before = counts("\n".join([line.format(200, 10), line.format(502, 1)]), "s")
    after = counts("\n".join([line.format(200, 40), line.format(502, 11), line.format(500, 0)]), "s")
    assert error_ratio(before, after) == (0.25, 40)
    assert error_ratio(after, after) == (0.0, 0)
    anew = {"200": 30.0, "502": 10.0}
    assert error_ratio({"200": 100.0}, anew) == (0.25, 40), "a Caddy that was started anew counts from 0"
