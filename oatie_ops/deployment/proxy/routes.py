"""What Caddy is told: our server or our route, and where it goes in a configuration that is not ours. Pure.

Foreign servers and routes are never changed: a server of our own is added, or, where a foreign server has
our address already, a route for our host names is put in front of its routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from oatie_ops.deployment.proxy.switch import PATTERN, PORTS_REGEX, SLOTS
from oatie_ops.errors import PrerequisiteMissing

# An idle connection to a retired container goes that soon, so a drain need not wait for it longer.
UPSTREAM_IDLE = "1s"
GRACE = "10s"
CHECK_HEADER = "X-Oatie-Switch"
LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa")
SERVERS = ("apps", "http", "servers")
POLICIES = ("apps", "tls", "automation", "policies")
LOADED_FILES = ("apps", "tls", "certificates", "load_files")
TLS_LISTS = (POLICIES, LOADED_FILES)
# Caddy would put its own authority into the trust store of the whole machine.
NO_TRUST = {"certificate_authorities": {"local": {"install_trust": False}}}


@dataclass(frozen=True)
class Wanted:
    """``key`` is that of the project; ``token`` opens the answer that proves what Caddy sees."""

    key: str
    host: str
    port: int
    switch_directory: Path
    token: str
    hosts: tuple[str, ...] = ()
    tls: str = "off"  # auto | internal | off | files
    certificate: str | None = None
    certificate_key: str | None = None
    acme_ca: str | None = None
    acme_ca_root: str | None = None

    @property
    def id(self) -> str:
        return f"oatie-{self.key}"

    @property
    def listen(self) -> str:
        everywhere = self.host in ("0.0.0.0", "::", "")
        host = f"[{self.host}]" if ":" in self.host and not everywhere else self.host
        return f"{'' if everywhere else host}:{self.port}"

    @property
    def reachable_host(self) -> str:
        """From this machine."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host

    @property
    def secure(self) -> bool:
        return bool(self.hosts) and self.tls != "off"

    @property
    def url(self) -> str:
        host = self.hosts[0] if self.hosts else self.host
        host = "localhost" if host in ("0.0.0.0", "::", "") else host
        host = f"[{host}]" if ":" in host else host
        usual = self.port == (443 if self.secure else 80)
        return f"{'https' if self.secure else 'http'}://{host}{'' if usual else f':{self.port}'}"


@dataclass(frozen=True)
class Change:
    """One call of the admin API; ``path`` is below ``/config/``."""

    method: str
    path: str
    body: Any


class AddressTaken(PrerequisiteMissing):
    """Somebody else's configuration answers there."""


def server(wanted: Wanted) -> dict[str, Any]:
    made: dict[str, Any] = {
        "@id": wanted.id,
        "listen": [wanted.listen],
        "routes": [{key: value for key, value in route(wanted).items() if key != "@id"}],
        "metrics": {},
    }
    if wanted.secure:
        made["tls_connection_policies"] = [{}]
        made["automatic_https"] = {"disable_redirects": wanted.port != 443} | (
            {"disable_certificates": True} if wanted.tls == "files" else {}
        )
    else:
        made["automatic_https"] = {"disable": True}
    return made


def route(wanted: Wanted) -> dict[str, Any]:
    """The file matcher finds the newest release, `map` takes its ports out, the requests go there."""
    newest = {
        "file": {
            "root": str(wanted.switch_directory),
            "try_files": [f"/{PATTERN}"],
            "try_policy": "most_recently_modified",
        }
    }
    slots = [f"{{oatie_port_{number}}}" for number in range(SLOTS)]
    ports = {
        "handler": "map",
        "source": "{http.matchers.file.relative}",
        "destinations": slots,
        "mappings": [
            {"input_regexp": PORTS_REGEX, "outputs": [f"${number}" for number in range(1, SLOTS + 1)]}
        ],
    }
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{slot}"} for slot in slots],
        "load_balancing": {
            "selection_policy": {"policy": "round_robin"},
            "try_duration": "5s",
            "try_interval": "50ms",
        },
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": UPSTREAM_IDLE}},
        "flush_interval": -1,
    }
    check = {
        "match": [{**newest, "header": {CHECK_HEADER: [wanted.token]}}],
        "handle": [{"handler": "static_response", "body": "{http.matchers.file.relative}"}],
        "terminal": True,
    }
    serve = {"match": [newest], "handle": [ports, proxy], "terminal": True}
    nothing = {
        "handle": [{"handler": "static_response", "status_code": 503, "body": "nothing is deployed here\n"}]
    }
    made: dict[str, Any] = {
        "@id": wanted.id,
        "handle": [{"handler": "subroute", "routes": [check, serve, nothing]}],
        "terminal": True,
    }
    if wanted.hosts:
        made["match"] = [{"host": list(wanted.hosts)}]
    return made


def changes(config: Mapping[str, Any] | None, wanted: Wanted, admin: str) -> list[Change]:
    """From what Caddy has now to what is wanted; empty where it is there. Raises `AddressTaken`."""
    ours = server(wanted)
    if not config:
        return [Change("POST", "", {"admin": {"listen": admin}, **_apps(wanted, ours)})]
    servers = _at(config, SERVERS) or {}
    foreign = _foreign_with(servers, wanted)
    if foreign is not None:
        return _in_foreign(foreign, servers[foreign], wanted) + _certificates(config, wanted)
    made = _placed(config, (*SERVERS, wanted.id), ours)
    return _certificates(config, wanted) + made


def shares_a_server(config: Mapping[str, Any] | None, wanted: Wanted) -> bool:
    """Does our route belong into somebody else's server, whose answers nobody counts for us?"""
    return _foreign_with(_at(config or {}, SERVERS) or {}, wanted) is not None


def removals(config: Mapping[str, Any] | None, key: str) -> list[str]:
    """Paths below ``/config/`` to delete, so that nothing of ours is left."""
    name = f"oatie-{key}"
    found = []
    for server_name, each in (_at(config or {}, SERVERS) or {}).items():
        if server_name == name:
            found.append("/".join((*SERVERS, name)))
        for number, one in reversed(list(enumerate(each.get("routes") or ()))):
            if one.get("@id") == name:
                found.append("/".join((*SERVERS, server_name, "routes", str(number))))
    return [*found, *_ours_in(config or {}, f"{name}-tls", TLS_LISTS)]


def serves_others(config: Mapping[str, Any] | None, key: str) -> bool:
    """Is there anything in this configuration that is not ours?"""
    apps = (config or {}).get("apps") or {}
    servers = _at(config or {}, SERVERS) or {}
    return any(name not in ("http", "tls", "pki") for name in apps) or any(
        n != f"oatie-{key}" for n in servers
    )


def _apps(wanted: Wanted, ours: dict[str, Any]) -> dict[str, Any]:
    # For the changes that do replace the configuration: what is in flight may end.
    apps: dict[str, Any] = {"http": {"grace_period": GRACE, "servers": {wanted.id: ours}}}
    # Each change is of a table as a whole: there is none yet.
    while changed := _certificates({"apps": apps}, wanted):
        apps |= {changed[0].path.rpartition("/")[2]: changed[0].body}
    return {"apps": apps}


def _in_foreign(name: str, foreign: Mapping[str, Any], wanted: Wanted) -> list[Change]:
    routes = foreign.get("routes") or []
    ours = route(wanted)
    for number, each in enumerate(routes):
        if each.get("@id") == wanted.id:
            path = "/".join((*SERVERS, name, "routes", str(number)))
            return [] if each == ours else [Change("PATCH", path, ours)]
    taken = set(wanted.hosts) & {host for each in routes for host in _hosts(each)}
    if not wanted.hosts or taken:
        raise AddressTaken(
            f"Caddy answers on {wanted.listen} for somebody else",
            why=f"its server {name!r} listens there"
            + (f" and has a route for {', '.join(sorted(taken))}" if taken else ""),
            fix="name your host names in [proxy] hosts, or choose another [app] port",
        )
    path = "/".join((*SERVERS, name, "routes", *(["0"] if routes else [])))
    return [Change("PUT" if routes else "POST", path, ours if routes else [ours])]


def _hosts(each: Mapping[str, Any]) -> list[str]:
    return [host for match in each.get("match") or () for host in match.get("host") or ()]


def _foreign_with(servers: Mapping[str, Any], wanted: Wanted) -> str | None:
    for name, each in servers.items():
        if name != wanted.id and any(_same_address(listen, wanted) for listen in each.get("listen") or ()):
            return name
    return None


def _same_address(listen: str, wanted: Wanted) -> bool:
    host, _, port = listen.removeprefix("tcp/").rpartition(":")
    first, _, last = port.partition("-")
    if not first.isdecimal() or not int(first) <= wanted.port <= int(last or first):
        return False
    bare = host.strip("[]")
    return not bare or not wanted.listen.rpartition(":")[0] or bare in (wanted.host, "0.0.0.0", "::")


def _certificates(config: Mapping[str, Any], wanted: Wanted) -> list[Change]:
    """Nothing to add for "auto" with the usual authorities: Caddy gets certificates for the host names of
    every route by itself, for those that no public authority knows from its own."""
    identity = f"{wanted.id}-tls"
    if not wanted.secure:
        return _without(config, identity, TLS_LISTS)
    usual = wanted.tls == "auto" and not wanted.acme_ca
    own_authority = wanted.tls == "internal" or (usual and any(map(_is_local, wanted.hosts)))
    if own_authority and _at(config, ("apps", "pki")) is None:
        return _placed(config, ("apps", "pki"), NO_TRUST)
    if usual:
        return _without(config, identity, TLS_LISTS)
    where = LOADED_FILES if wanted.tls not in ("internal", "auto") else POLICIES
    if where == POLICIES:
        ours: dict[str, Any] = {
            "@id": identity,
            "subjects": list(wanted.hosts),
            "issuers": [_issuer(wanted)],
        }
    else:
        ours = {"@id": identity, "certificate": wanted.certificate, "key": wanted.certificate_key}
    there = _at(config, where)
    for number, each in enumerate(there or ()):
        if each.get("@id") == identity:
            if each != ours:
                return [Change("PATCH", "/".join((*where, str(number))), ours)]
            return _without(config, identity, [one for one in TLS_LISTS if one != where])
    if there:
        return [Change("PUT", "/".join((*where, "0")), ours)]
    return _placed(config, where, [ours])


def _without(config: Mapping[str, Any], identity: str, lists: Iterable[tuple[str, ...]]) -> list[Change]:
    """What an earlier oatie.toml has put there would go on to decide."""
    return [Change("DELETE", path, None) for path in _ours_in(config, identity, lists)]


def _ours_in(config: Mapping[str, Any], identity: str, lists: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The last of a list first, so that the places of the others stay what they are."""
    for where in lists:
        for number, one in reversed(list(enumerate(_at(config, where) or ()))):
            if one.get("@id") == identity:
                yield "/".join((*where, str(number)))


def _issuer(wanted: Wanted) -> dict[str, Any]:
    if wanted.tls == "internal":
        return {"module": "internal"}
    roots = {"trusted_roots_pem_files": [wanted.acme_ca_root]} if wanted.acme_ca_root else {}
    return {"module": "acme", "ca": wanted.acme_ca, **roots}


def _is_local(host: str) -> bool:
    """As Caddy judges it (certmagic, "SubjectQualifiesForPublicCert")."""
    if host == "localhost" or host.endswith(LOCAL_ENDINGS):
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _placed(config: Mapping[str, Any], path: Sequence[str], value: Any) -> list[Change]:
    """A call that puts ``value`` there, with the tables around it that are missing."""
    node: Any = config
    for depth, part in enumerate(path):
        below = node.get(part) if isinstance(node, Mapping) else None
        if below is None:
            for outer in reversed(path[depth + 1 :]):
                value = {outer: value}
            return [Change("PUT", "/".join(path[: depth + 1]), value)]
        node = below
    return [] if node == value else [Change("PATCH", "/".join(path), value)]


def _at(config: Mapping[str, Any], path: Sequence[str]) -> Any:
    node: Any = config
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
