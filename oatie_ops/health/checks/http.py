"""``{ type = "http", url = "https://…", status = "2xx", contains = "…" }``; with ``path``, see `app`.

Passes when the status of the answer is one that was asked for (default: 2xx) and the body holds what it
must. A redirect is not followed by default: it fails and says where it points, because a probe that is
redirected to a login page or to https is green for ever.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from oatie_ops._version import __version__
from oatie_ops.config.conditions import Condition, at_path, parse
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.certificates import Expiry, left_days
from oatie_ops.health.certificates import declared as expiry_of
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.http_probe import MAX_BODY_BYTES, Answer, BadAnswer, exchange
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.net import Target, dial, tls_context
from oatie_ops.health.wire import StreamWire

MAX_REDIRECTS = 5
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT")
_REDIRECTS = (301, 302, 303, 307, 308)
_SAFE = "/%:@!$&'()*+,;=~-._?[]"
_REFUSED = (401, 403)
_FORBIDDEN_IN_HEADERS = ("\r", "\n", "\0")

Ranges = tuple[tuple[int, int], ...]
SUCCESS: Ranges = ((200, 299),)


@dataclass(frozen=True)
class HttpCheck:
    spec: CheckSpec
    tools: Tools
    url: SplitResult
    accepted: Ranges = SUCCESS
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    host: str | None = None  # Host header, where it is not the one of the URL
    contains: bytes = b""
    json: tuple[tuple[str, Condition], ...] = ()
    body: bytes = b""
    redirects: bool | str = False
    verify: bool = True
    ca_file: str = ""
    expiry: Expiry = field(default_factory=Expiry)

    async def run(self, attempt: Attempt) -> Result:
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            try:
                answer, days = await self._ask(url, attempt)
            except BadAnswer as error:
                return Result(Status.FAIL, f"{self.method} {shown(url)}: {error}")
            redirected = answer.status in _REDIRECTS and bool(answer.location)
            if not (redirected and self.redirects) or accepts(self.accepted, answer.status):
                return self._with_expiry(self._judge(url, answer), days)
            try:
                target = checked_url(urljoin(url.geturl(), answer.location))
            except CheckUnusable:
                return Result(Status.FAIL, f"{self.method} {shown(url)} redirects to no http address")
            if self.redirects == "same-host" and target.hostname != self.url.hostname:
                return Result(
                    Status.FAIL, f"{self.method} {shown(url)} redirects to another host: {shown(target)}"
                )
            url = target
        return Result(Status.FAIL, f"{self.method} {shown(self.url)}: more than {MAX_REDIRECTS} redirects")

    async def _ask(self, url: SplitResult, attempt: Attempt) -> tuple[Answer, float | None]:
        threads, key = self.tools.threads, self.spec.key
        tls = None
        if url.scheme == "https":
            tls = await threads.call(key, partial(tls_context, self.verify, self.ca_file), attempt)
        target = Target(url.hostname or "", url.port or (443 if tls else 80), tls)
        wire = await dial(target, attempt, threads, key)
        same_origin = url.netloc == self.url.netloc and url.scheme == self.url.scheme
        days = left_days(wire.writer, self.expiry) if isinstance(wire, StreamWire) else None
        headers, body = (self.headers, self.body) if same_origin else ((), b"")
        request = _request(self.method, url, headers, self.host, body)
        head_only = self.method == "HEAD"
        return await exchange(wire, request, head_only=head_only, attempt=attempt), days

    def _with_expiry(self, result: Result, days: float | None) -> Result:
        if days is None:
            return result
        expiry = self.expiry.judge(days)
        if expiry.status.severity <= result.status.severity:
            return result
        return Result(expiry.status, f"{result.output}; {expiry.output}", expiry.observed_value, "days")

    def _judge(self, url: SplitResult, answer: Answer) -> Result:
        said = f"{self.method} {shown(url)} answers {answer.status}"
        if not accepts(self.accepted, answer.status):
            if answer.status in _REDIRECTS and answer.location:
                said += f" and points to {shown(urlsplit(urljoin(url.geturl(), answer.location)))}"
            wanted = ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in self.accepted)
            return Result(Status.FAIL, f"{said} (wanted {wanted})", refused=answer.status in _REFUSED)
        if self.contains and self.contains not in answer.body:
            where = "body" if answer.whole else f"first {MAX_BODY_BYTES // 1024} KiB of the body"
            return Result(Status.FAIL, f"{said}, but the {where} does not hold the text asked for")
        objection = _objection(self.json, answer) if self.json else ""
        if objection:
            return Result(Status.FAIL, f"{said}, but {objection}")
        return Result(Status.PASS, said)


def build(spec: CheckSpec, tools: Tools) -> Check:
    return declared(spec, tools, checked_url(str(spec.options.get("url") or "")))


def declared(spec: CheckSpec, tools: Tools, url: SplitResult) -> HttpCheck:
    """Raises `CheckUnusable`, `TypeError` or `AttributeError` for options that mean nothing."""
    options = spec.options
    method = str(options.get("method", "GET")).upper()
    if method not in METHODS:
        raise CheckUnusable(f"an http check takes the methods {', '.join(METHODS)}")
    return HttpCheck(
        spec=spec,
        tools=tools,
        url=url,
        accepted=parse_ranges(options.get("status", "2xx")),
        method=method,
        headers=_headers(options.get("headers", {})),
        contains=str(options.get("contains") or "").encode(),
        json=tuple((str(path), parse(wanted)) for path, wanted in options.get("expect", {}).items()),
        body=str(options.get("body") or "").encode(),
        redirects=options.get("redirects", False),
        verify=bool(options.get("verify_tls", True)),
        ca_file=str(tools.settings.root / options["ca_file"]) if options.get("ca_file") else "",
        expiry=expiry_of(options),
    )


def accepts(ranges: Ranges, status: int) -> bool:
    return any(low <= status <= high for low, high in ranges)


def parse_ranges(value: object) -> Ranges:
    """``204``, ``"2xx"``, ``"200-399"``, or a list of those. Raises `CheckUnusable`."""
    if isinstance(value, list | tuple):
        return tuple(part for item in value for part in parse_ranges(item))
    text = str(value).strip().lower()
    low, dash, high = text.partition("-")
    if len(text) == 3 and text.endswith("xx") and text[0] in "12345":
        return ((int(text[0]) * 100, int(text[0]) * 100 + 99),)
    high = high if dash else low
    if text.isascii() and low.isdigit() and high.isdigit():
        return ((int(low), int(high)),)
    raise CheckUnusable('status must be a code, "2xx", "200-399", or a list of those')


def shown(url: SplitResult) -> str:
    """The URL without what may be secret: user, password, query."""
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path or '/'}"


def checked_url(text: str) -> SplitResult:
    with suppress(ValueError):  # what is no URL at all
        url = urlsplit(text)
        if url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0):
            return url
    raise CheckUnusable("an http check needs a url such as http://127.0.0.1:8080/ready")


def _objection(conditions: tuple[tuple[str, Condition], ...], answer: Answer) -> str:
    """Fails closed: a body that cannot be read meets no condition."""
    if not answer.whole:
        return f"its JSON is longer than {MAX_BODY_BYTES // 1024} KiB"
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "its body is not JSON"
    found = ((path, wanted.objection(at_path(document, path))) for path, wanted in conditions)
    return "; ".join(f"{path} {objection}" for path, objection in found if objection)


def _headers(declared: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pairs = tuple((str(name), str(value)) for name, value in declared.items())
    if any(bad in part for pair in pairs for part in pair for bad in _FORBIDDEN_IN_HEADERS):
        raise CheckUnusable("a header of an http check holds a line break")
    return pairs


@lru_cache(maxsize=1024)
def _request(
    method: str, url: SplitResult, headers: tuple[tuple[str, str], ...], host: str | None, body: bytes = b""
) -> bytes:
    path = quote(url.path or "/", safe=_SAFE) + (f"?{quote(url.query, safe=_SAFE)}" if url.query else "")
    fields = {
        "Host": host or url.netloc.rpartition("@")[2],
        "User-Agent": f"oatie-health/{__version__}",
        "Accept": "*/*",
        "Connection": "close",
    }
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        fields["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    if method in ("POST", "PUT"):
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in [*fields.items(), *headers])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body
