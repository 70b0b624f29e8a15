"""One cluster over its REST API: the kubeconfig by the official client, the requests by httpx.

The official client (the extra ``kubernetes``) knows contexts, exec plugins, tokens and the pod's own account;
its models are heavy and strict, and nothing of them is needed: objects are plain dicts here.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from oatie_ops.deployment.targets.kubernetes.errors import PASSING, ClusterError, Unreachable, refused
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
# How long a cluster that has answered before may fail to: its API server restarts, elects, or is busy.
PATIENCE_SECONDS = 40.0
PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 5.0
APPLY = "application/apply-patch+yaml"  # a JSON document is a YAML document
_WARNING = re.compile(r'^\d{3} \S+ "(?P<text>(?:[^"\\]|\\.)*)"')

Object = dict[str, Any]


class Cluster:
    """Every call has a deadline. Raises `ClusterError` for what the API answers, else `Unreachable`.

    ``warnings`` are those that the API gave with its answers, each once. A call that may be repeated is,
    where a cluster that has answered before fails for a moment.
    """

    def __init__(
        self,
        configuration: Any,
        namespace: str,
        *,
        tls: ssl.SSLContext | bool = False,
        context: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.namespace = namespace
        self.context = context
        self.url = str(configuration.host).rstrip("/")
        self.warnings: list[str] = []
        self._configuration = configuration
        self._tls = tls
        self._patience_seconds = patience_seconds
        self._sleep = sleep
        self._ahead_seconds = 0.0
        self._has_answered = False
        self._client: httpx.Client | None = None

    def now(self) -> float:
        """Seconds since the epoch by the clock of the cluster, whose times are compared with it."""
        return time.time() + self._ahead_seconds

    def get(self, path: str, **query: str | int) -> Object:
        return self.call("GET", path, query=query)

    def get_or_none(self, path: str, **query: str | int) -> Object | None:
        try:
            return self.get(path, **query)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def get_if_allowed(self, path: str) -> Object | None:
        """None also where the account may not look."""
        try:
            return self.get_or_none(path)
        except ClusterError as error:
            if error.status == 403:
                return None
            raise

    def apply(self, path: str, body: Object, *, manager: str, force: bool, dry_run: bool = False) -> Object:
        """Server-side apply. Raises `Conflict` where another manager owns a field."""
        query: dict[str, str | int] = {"fieldManager": manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self.call("PATCH", path, query=query, body=body, content_type=APPLY)

    def delete(self, path: str) -> bool:
        """False where there was nothing. What belongs to it goes too, in the background."""
        try:
            self.call("DELETE", path, query={"propagationPolicy": "Background"})
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        patience = self._patience_seconds if self._has_answered and method != "POST" else 0.0
        ends = time.monotonic() + patience
        while True:
            pause = PAUSE_SECONDS
            try:
                answer = self._request(method, path, query, body, content_type)
            except Unreachable:
                if time.monotonic() >= ends:
                    raise
            else:
                if answer.status_code not in PASSING or time.monotonic() >= ends:
                    return _object(answer.status_code, answer.content, method, path)
                pause = _retry_after(answer.headers.get("Retry-After"))
            self._sleep(pause)

    def lines(self, path: str, *, read_seconds: float | None, **query: str | int) -> Iterator[str]:
        """A log, line by line as it comes. ``read_seconds`` bounds the silence; None: no bound."""
        import httpx

        timeout = httpx.Timeout(CONNECT_SECONDS, read=read_seconds)
        with (
            self._explained("GET", path),
            self._http().stream(
                "GET",
                path,
                params=dict(query),
                headers=self._authorization(),
                timeout=timeout,
                extensions=self._extensions(),
            ) as answer,
        ):
            if answer.status_code >= 400:
                raise refused(answer.status_code, answer.read(), "GET", path)
            yield from answer.iter_lines()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def access(self) -> tuple[dict[str, str], ssl.SSLContext | bool, str | None]:
        """Headers, TLS and proxy, for a connection that is no request."""
        proxy = getattr(self._configuration, "proxy", None) or None
        return self._authorization(), self._tls, proxy

    @property
    def server_name(self) -> str | None:
        """That its certificate is for, where the kubeconfig has one (`tls-server-name`)."""
        return getattr(self._configuration, "tls_server_name", None) or None

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: Object | None,
        content_type: str,
    ) -> httpx.Response:
        with self._explained(method, path):
            answer = self._http().request(
                method,
                path,
                params=dict(query or {}),
                json=body,
                headers=self._authorization() | ({"Content-Type": content_type} if body is not None else {}),
                extensions=self._extensions(),
            )
        self._has_answered = True
        self._heed(answer)
        return answer

    def _heed(self, answer: httpx.Response) -> None:
        """The time that it is over there, and warnings."""
        try:
            self._ahead_seconds = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
        except (KeyError, ValueError):
            self._ahead_seconds = 0.0
        for header in answer.headers.get_list("Warning"):
            match = _WARNING.match(header)
            text = match["text"].replace('\\"', '"') if match else header
            if text not in self.warnings:
                self.warnings.append(text)

    def _http(self) -> httpx.Client:
        import httpx

        if self._client is None:
            self._client = httpx.Client(
                base_url=self.url,
                verify=self._tls,
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                proxy=getattr(self._configuration, "proxy", None) or None,
                trust_env=False,
                headers={"Accept": "application/json", "User-Agent": "oatie"},
            )
        return self._client

    def _authorization(self) -> dict[str, str]:
        """Asked for at each call: the configuration renews tokens that run out."""
        settings = self._configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each.get("value")}

    def _extensions(self) -> dict[str, Any]:
        return {"sni_hostname": self.server_name} if self.server_name else {}

    @contextmanager
    def _explained(self, method: str, path: str) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"the cluster at {self.url} did not answer in time", why=f"{method} {path}"
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(f"the cluster at {self.url} cannot be reached", why=str(error)) from error


def _retry_after(text: str | None) -> float:
    try:
        return min(max(float(text or ""), 0.1), MAX_PAUSE_SECONDS)
    except ValueError:
        return PAUSE_SECONDS


def _object(status: int, content: bytes, method: str, path: str) -> Object:
    import json

    if status >= 400:
        raise refused(status, content, method, path)
    try:
        return dict(json.loads(content or b"{}"))
    except ValueError as error:
        raise OatieError("the cluster's answer cannot be read", why=f"{method} {path}: no JSON") from error
