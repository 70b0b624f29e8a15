"""Caddy itself: adopted where it runs, started where it is installed, and our route in it."""

from __future__ import annotations

import http.client
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.proxy import certificate, program
from oatie_ops.deployment.proxy.admin import Admin, CaddyAway, CaddyFailed, CaddyUnclear
from oatie_ops.deployment.proxy.program import PROGRAM
from oatie_ops.deployment.proxy.routes import (
    CHECK_HEADER,
    Wanted,
    changes,
    removals,
    serves_others,
    shares_a_server,
)
from oatie_ops.deployment.proxy.switch import Switch
from oatie_ops.deployment.waiting import until
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths

LOG = "caddy.log"
START_SECONDS = 20.0
SEEN_SECONDS = 10.0
TRIES = 5
SHARED_STATE = Path("/var/lib/oatie")
HOW_TO_GET = (
    "install it (Debian, Ubuntu: `apt install caddy`; elsewhere: caddyserver.com/docs/install), "
    "or, for the target docker, name an image of it in [proxy] image"
)


class ProxyBlind(OatieError):
    """Caddy cannot read the directory of the switch, or somebody else answers on its address."""


@dataclass(frozen=True)
class ProxyPlace:
    """Where the proxy of a project is; kept with each release, so that it is found again."""

    key: str
    admin: str
    host: str
    port: int
    switch_directory: str
    token: str
    hosts: tuple[str, ...] = ()
    tls: str = "off"
    certificate: str | None = None
    certificate_key: str | None = None
    acme_ca: str | None = None
    acme_ca_root: str | None = None

    def wanted(self) -> Wanted:
        return Wanted(
            key=self.key,
            host=self.host,
            port=self.port,
            switch_directory=Path(self.switch_directory),
            token=self.token,
            hosts=tuple(self.hosts),
            tls=self.tls,
            certificate=self.certificate,
            certificate_key=self.certificate_key,
            acme_ca=self.acme_ca,
            acme_ca_root=self.acme_ca_root,
        )


class Proxy:
    """Our part of one Caddy.

    ``start_image`` runs Caddy from an image; None where that is not asked for. ``end_image`` ends such a one
    (an engine would start again what only exits) and says whether there was any.
    """

    def __init__(
        self,
        place: ProxyPlace,
        paths: StatePaths,
        start_image: Callable[[], None] | None = None,
        end_image: Callable[[], bool] = lambda: False,
    ) -> None:
        self.place, self._paths = place, paths
        self._start_image, self._end_image = start_image, end_image
        self.admin = Admin(place.admin)
        self.switch = Switch(Path(place.switch_directory))
        self._installed = False
        self._started = False

    def problems(self) -> list[Problem]:
        """What would keep `install` from working, found out without changing anything."""
        try:
            config, _ = self.admin.config()
            changes(config, self.place.wanted(), self.place.admin)
        except CaddyAway:
            if self._start_image is None and shutil.which(PROGRAM) is None:
                return [
                    Problem(
                        "there is no Caddy, which has to stand in front",
                        f"none answers on {self.place.admin}, and no program `{PROGRAM}` is in PATH",
                        HOW_TO_GET,
                    )
                ]
            return self._port_problem()
        except OatieError as error:
            return [Problem(error.what, error.why, error.fix)]
        return [] if self.is_installed() else self._port_problem()

    def _port_problem(self) -> list[Problem]:
        from oatie_ops.deployment.host import probe_port

        port = probe_port(self.place.host, self.place.port)
        if not port.problem or any(PROGRAM in holder.command for holder in port.holders):
            return []
        holder = port.holders[0] if port.holders else None
        who = f"process {holder.pid} holds it ({holder.command})" if holder else "another program holds it"
        return [
            Problem(
                f"cannot listen on {self.place.host}:{self.place.port}",
                f"{port.problem}: {who}",
                "stop it (`oatie stop` where it is this project's), or choose another [app] port",
            )
        ]

    def describe(self) -> str:
        if self.admin.answers():
            return f"adopt the Caddy on {self.place.admin}"
        if shutil.which(PROGRAM) is not None:
            return f"start Caddy ({PROGRAM} is installed)"
        return "start Caddy from its image"

    def is_installed(self) -> bool:
        """Does Caddy run, with our route as it should be?"""
        try:
            config, _ = self.admin.config()
            return bool(config) and not changes(config, self.place.wanted(), self.place.admin)
        except OatieError:
            return False

    def counts_errors(self) -> bool:
        """Can the bake see the share of 5xx? Not in a server of Caddy that is somebody else's."""
        try:
            return not shares_a_server(self.admin.config()[0], self.place.wanted())
        except OatieError:
            return True

    def install(self, tell: Callable[[str], None]) -> str:
        """`ensure`, and waits for the certificates. Raises `NoCertificate` where nobody could be answered."""
        said = [self.ensure(tell)]
        if self.place.wanted().secure:
            said += certificate.wait(self.place.wanted(), self._paths.logs / LOG, tell)
        return ", ".join(said)

    def ensure(self, tell: Callable[[str], None]) -> str:
        """Adopts or starts Caddy and puts our route in. Idempotent; says what it did."""
        said = []
        if not self.admin.answers():
            said.append(self._start(tell))
        if self._put_route():
            said.append(f"route for {self.place.wanted().url} added")
        self.switch.directory.mkdir(parents=True, exist_ok=True)
        return ", ".join(said) or "Caddy has the route already"

    def _put_route(self) -> bool:
        done = False
        for _ in range(TRIES):  # somebody else may change the configuration at the same time
            config, etag = self.admin.config()
            todo = changes(config, self.place.wanted(), self.place.admin)
            if not todo:
                return done
            try:
                self.admin.change(todo[0].method, todo[0].path, todo[0].body, etag)
                self._installed = done = True
            except CaddyUnclear:
                self._installed = done = True  # the next look tells
            except CaddyFailed as error:
                if (error.data or {}).get("status") != http.client.PRECONDITION_FAILED:
                    raise
        raise CaddyFailed(
            "the route could not be put into Caddy",
            why="its configuration was changed by somebody else each time",
            fix="try again when nobody changes it",
        )

    def keep_up(self) -> None:
        """Starts the Caddy again that oatie has started before, where it has died; others have a keeper."""
        if self._mark.exists() and not self.admin.answers():
            self.ensure(lambda _: None)

    def uninstall(self) -> None:
        """Nothing of ours is left in Caddy; a Caddy that served only us, and that we started, ends."""
        try:
            for _ in range(TRIES):
                config, etag = self.admin.config()
                gone = removals(config, self.place.key)
                if not gone:
                    break
                with suppress(CaddyFailed):
                    self.admin.change("DELETE", gone[0], etag=etag)
            config, _ = self.admin.config()
            if self._mark.exists() and not serves_others(config, self.place.key):
                if not self._end_image():
                    self.admin.stop()
                until(lambda: not self.admin.answers(), START_SECONDS)
        except CaddyAway:
            # With it, everything of ours is gone, but for one that was started and does not answer yet.
            if self._mark.exists() and not self._end_image():
                program.end(self._home)
        if not self.admin.answers():
            self._mark.unlink(missing_ok=True)

    def undo_install(self) -> None:
        """Only what this run has added."""
        if self._installed or self._started:
            self.uninstall()

    def promote(self, release: str, ports: list[int]) -> float:
        """Requests go to these ports from here on; the milliseconds until Caddy was seen to do so."""
        began = time.monotonic()
        self.keep_up()
        live = self.switch.to(release, ports)
        if not until(lambda: self.sees() == live.name, SEEN_SECONDS):
            seen = self.sees()
            self.switch.withdraw(live)
            raise self._blind(seen)
        return (time.monotonic() - began) * 1000

    def sees(self) -> str:
        """The name that Caddy would go by just now; empty where it finds none or does not answer."""
        place, wanted = self.place, self.place.wanted()
        host = wanted.reachable_host
        name = wanted.hosts[0] if wanted.hosts else f"{host}:{place.port}"
        connection = http.client.HTTPConnection(host, place.port, timeout=5.0)
        try:
            connection.connect()
            if wanted.secure:
                assert connection.sock is not None
                connection.sock = certificate.secured(connection.sock, wanted.hosts[0])
            headers = {"Host": name, CHECK_HEADER: place.token, "Connection": "close"}
            connection.request("GET", "/", headers=headers)
            answer = connection.getresponse()
            text = answer.read(4096).decode(errors="replace").strip().lstrip("/")
            return text if answer.status == 200 and text.startswith("live.") else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def _blind(self, seen: str) -> ProxyBlind:
        where = self.switch.directory
        if seen:
            why = f"it still goes by {seen}"
        elif not self.is_installed():
            why = "its route is gone, or Caddy is"
        else:
            why = f"it does not see what is in {where}: it may run as a user who cannot read that"
        return ProxyBlind(
            "Caddy does not follow the switch",
            why=why,
            fix="set [proxy] switch_directory to a directory that you can write and Caddy can read",
        )

    @property
    def _home(self) -> Path:
        return self._paths.home / "caddy"

    @property
    def _mark(self) -> Path:
        """Is there where oatie started this Caddy, which then also ends it."""
        return self._paths.run / "caddy-started"

    def _start(self, tell: Callable[[str], None]) -> str:
        tell("waiting for Caddy to start")
        self._mark.write_text(self.place.admin)
        self._started = True
        if shutil.which(PROGRAM) is not None:
            log = self._paths.logs / LOG
            said = f"Caddy started (pid {program.start(self._home, self.place.admin, log)})"
        elif self._start_image is not None:
            self._start_image()
            said = "Caddy started from its image"
        else:
            raise CaddyAway("there is no Caddy", why=f"`{PROGRAM}` is not in PATH", fix=HOW_TO_GET)
        if not until(self.admin.answers, START_SECONDS):
            raise CaddyFailed(
                "Caddy was started and does not answer",
                why=f"its admin API is not on {self.place.admin} after {START_SECONDS:g} s",
                fix=f"see {self._paths.logs / LOG}",
            )
        return said


def proxy_place(settings: Settings, key: str, token: str, paths: StatePaths) -> ProxyPlace:
    """``key`` names what is ours in Caddy; both are part of the route, so they must stay the same."""
    app, proxy = settings.app, settings.proxy
    return ProxyPlace(
        key=key,
        admin=proxy.admin,
        host=app.host,
        port=app.port,
        switch_directory=str(_switch_directory(settings, key, paths)),
        token=token,
        hosts=proxy.hosts,
        tls=proxy.tls if proxy.hosts else "off",
        certificate=_absolute(settings, proxy.certificate),
        certificate_key=_absolute(settings, proxy.key),
        acme_ca=proxy.acme_ca,
        acme_ca_root=_absolute(settings, proxy.acme_ca_root),
    )


def _switch_directory(settings: Settings, key: str, paths: StatePaths) -> Path:
    """A Caddy of the system runs as its own user, who cannot look into the state directory."""
    if settings.proxy.switch_directory:
        return settings.root / settings.proxy.switch_directory
    if os.geteuid() == 0 and os.access(SHARED_STATE.parent, os.W_OK):
        return SHARED_STATE / key
    return paths.home / "proxy"


def _absolute(settings: Settings, path: str | None) -> str | None:
    return None if path is None else str(settings.root / path)
