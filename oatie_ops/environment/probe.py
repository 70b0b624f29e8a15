"""Metadata services of AWS, Google Cloud and Azure, asked only on request (`oatie detect --probe`).

All three are asked at once and share one budget. The address is link-local, so neither a name nor a
proxy takes part. An answer counts only when it identifies itself the way its cloud documents it:

- AWS: IMDSv2, a session token by PUT, then the instance identity document.
- Google Cloud: `Metadata-Flavor: Google` in the request and in the answer.
- Azure: `Metadata: true` in the request, a `vmId` and an `azEnvironment` in the JSON document.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.environment.endpoints import Endpoints, ProbeResult

MAX_ANSWER_BYTES = 64 * 1024


class _Unproven(Exception):
    """Something answered, but not as this cloud does."""


@dataclass(frozen=True)
class _Caller:
    address: str
    deadline: float

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[str, http.client.HTTPMessage]:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=left)
        try:
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")
            if response.status != 200:
                raise _Unproven(f"answered {response.status}")
            return body, response.headers
        finally:
            connection.close()

    def json(self, path: str, headers: Mapping[str, str]) -> Mapping[str, Any]:
        body, _ = self.ask("GET", path, headers)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise _Unproven("answered something that is not JSON") from None
        if not isinstance(found, dict):
            raise _Unproven("answered JSON of another shape")
        return found


def _aws(caller: _Caller) -> dict[str, str]:
    token, _ = caller.ask(
        "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60", "Content-Length": "0"}
    )
    if not token or "<" in token or len(token) > 1024:
        raise _Unproven("answered no session token")
    document = caller.json(
        "/latest/dynamic/instance-identity/document", {"X-aws-ec2-metadata-token": token.strip()}
    )
    identity = _pick(
        document,
        region="region",
        zone="availabilityZone",
        instance_id="instanceId",
        instance_type="instanceType",
    )
    if not {"region", "instance_id"} <= identity.keys():
        raise _Unproven("answered a document without region and instanceId")
    return identity


def _gcp(caller: _Caller) -> dict[str, str]:
    body, headers = caller.ask(
        "GET",
        "/computeMetadata/v1/instance/?recursive=true&alt=json",
        {"Metadata-Flavor": "Google", "Host": "metadata.google.internal"},
    )
    if headers.get("Metadata-Flavor") != "Google":
        raise _Unproven("answered without Metadata-Flavor: Google")
    try:
        instance = json.loads(body)
    except (ValueError, RecursionError):
        raise _Unproven("answered something that is not JSON") from None
    if not isinstance(instance, dict):
        raise _Unproven("answered JSON of another shape")
    attributes = instance.get("attributes")
    identity = _pick(instance, instance_id="id", name="name")
    identity |= _pick(attributes if isinstance(attributes, dict) else {}, cluster="cluster-name")
    # "projects/<number>/zones/<zone>"
    parts = str(instance.get("zone") or "").split("/")
    if len(parts) == 4:
        identity |= {"zone": parts[3], "project": parts[1]}
    return identity


def _azure(caller: _Caller) -> dict[str, str]:
    document = caller.json("/metadata/instance/compute?api-version=2021-02-01", {"Metadata": "true"})
    if not document.get("vmId") or not document.get("azEnvironment"):
        raise _Unproven("answered a document without vmId and azEnvironment")
    return _pick(
        document,
        region="location",
        zone="zone",
        instance_id="vmId",
        instance_type="vmSize",
        name="name",
        resource_group="resourceGroupName",
    )


def _pick(source: Mapping[str, Any], **names: str) -> dict[str, str]:
    return {
        key: str(source[name])
        for key, name in names.items()
        if isinstance(source.get(name), str | int) and source[name]
    }


_PROBES: tuple[tuple[str, Callable[[_Caller], dict[str, str]]], ...] = (
    ("aws", _aws),
    ("gcp", _gcp),
    ("azure", _azure),
)


def _run(
    provider: str, probe: Callable[[_Caller], dict[str, str]], caller: _Caller, started: float
) -> ProbeResult:
    verified, identity = False, {}
    try:
        identity = probe(caller)
        verified, outcome = True, "answered and identified itself"
    except TimeoutError:
        outcome = "no answer in time"
    except _Unproven as error:
        outcome = str(error)
    except ConnectionRefusedError:
        outcome = "refused"
    except (OSError, http.client.HTTPException, ValueError) as error:
        outcome = f"unreachable ({type(error).__name__})"
    return ProbeResult(provider, verified, outcome, time.monotonic() - started, identity)


def probe_metadata(endpoints: Endpoints) -> tuple[ProbeResult, ...]:
    """Asks all services in parallel; returns when all answered or the budget is spent, whichever is first."""
    started = time.monotonic()
    deadline = started + endpoints.budget_seconds
    results: dict[str, ProbeResult] = {}

    def work(provider: str, probe: Callable[[_Caller], dict[str, str]]) -> None:
        caller = _Caller(getattr(endpoints, provider), deadline)
        results[provider] = _run(provider, probe, caller, started)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in _PROBES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = time.monotonic() - started
    return tuple(
        results.get(name) or ProbeResult(name, False, "no answer in time", late) for name, _ in _PROBES
    )
