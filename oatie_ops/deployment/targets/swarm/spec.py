"""From the configuration and a release to the spec of a service. Pure.

Every field that the SDK and the engine default differently is set: the SDK alone would update all tasks at
once and go on after failures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.deployment.containers.durations import healthcheck, nanoseconds
from oatie_ops.deployment.containers.spec import container_port, environment
from oatie_ops.supervisor.spec import ReleaseSpec

SECRETS_DIRECTORY = "/run/secrets"
HANDOVER = "oatie.json"
MONITOR_SLACK_SECONDS = 5.0
MIN_MONITOR_SECONDS = 5.0
RESTART_DELAY_SECONDS = 2.0


@dataclass(frozen=True)
class Attached:
    """A secret or a config as the engine knows it, and where it is in the container."""

    id: str
    name: str
    path: str


def service_spec(
    settings: Settings,
    spec: ReleaseSpec,
    *,
    name: str,
    labels: Mapping[str, str],
    networks: Sequence[str],
    secrets: Sequence[Attached],
    configs: Sequence[Attached],
    test: Mapping[str, Any],
    force: int,
) -> dict[str, Any]:
    """``test`` is the health check that applies, in the engine's form; ``force`` differs in every update,
    since one that changes nothing never ends."""
    swarm, container = settings.swarm, settings.container
    return {
        "Name": name,
        "Labels": dict(labels),
        "TaskTemplate": {
            "ContainerSpec": _container(settings, spec, labels, secrets, configs),
            "Resources": _resources(container.memory_bytes, container.cpus, container.pids),
            "RestartPolicy": {"Condition": "any", "Delay": nanoseconds(RESTART_DELAY_SECONDS)},
            "Placement": {"Constraints": list(swarm.constraints)},
            "Networks": [{"Target": network} for network in networks],
            "ForceUpdate": force,
            **_log_driver(settings),
        },
        "Mode": {"Replicated": {"Replicas": swarm.replicas}},
        "UpdateConfig": _rollout(settings, test, "rollback"),
        "RollbackConfig": _rollout(settings, test, "pause"),
        "EndpointSpec": _endpoint(settings),
    }


def _container(
    settings: Settings,
    spec: ReleaseSpec,
    labels: Mapping[str, str],
    secrets: Sequence[Attached],
    configs: Sequence[Attached],
) -> dict[str, Any]:
    container = settings.container
    made: dict[str, Any] = {
        "Image": spec.image,
        "Labels": {**container.labels, **labels},
        "Env": [f"{name}={value}" for name, value in open_environment(settings, spec, secrets).items()],
        "Init": container.init,
        "ReadOnly": container.read_only,
        "StopGracePeriod": nanoseconds(spec.app.drain_seconds + spec.app.stop_timeout_seconds),
        "Secrets": [_reference(each, "SecretID", "SecretName") for each in secrets],
        "Configs": [_reference(each, "ConfigID", "ConfigName") for each in configs],
        "Mounts": [_mount(text) for text in container.volumes] + _temporary(container.read_only),
    }
    found = {
        "User": container.user,
        "StopSignal": container.stop_signal,
        "Healthcheck": healthcheck(container.healthcheck),
    }
    return {**made, **{name: value for name, value in found.items() if value}}


def open_environment(
    settings: Settings, spec: ReleaseSpec, secrets: Sequence[Attached] = ()
) -> dict[str, str]:
    """A secret is in no environment, where `docker service inspect` shows it to everybody: NAME_FILE says
    in which file it is."""
    known = environment(settings, spec)
    known.pop("OATIE_SECRETS_FILE", None)
    files = {}
    for each in secrets:
        if each.path == HANDOVER:
            files["OATIE_SECRETS_FILE"] = f"{SECRETS_DIRECTORY}/{HANDOVER}"
        else:
            known.pop(each.path, None)
            files[f"{each.path}_FILE"] = f"{SECRETS_DIRECTORY}/{each.path}"
    return {**known, **files}


def secret_values(app: AppSettings) -> dict[str, str]:
    """What becomes secrets of the swarm: all that came from a store, and what looks like one from outside."""
    from oatie_ops.config.sensitive import looks_secret

    stored = set(app.stored) - set(app.secret_env)
    outside = {name for name in app.env_templates if looks_secret(name, app.env.get(name, ""))}
    return {name: app.env[name] for name in sorted(stored | (outside - set(app.secret_env)))}


def monitor_seconds(settings: Settings, test: Mapping[str, Any]) -> float:
    """Failures count only as long as a task is watched, so at least until its health check can tell."""
    if settings.swarm.monitor_seconds is not None:
        return settings.swarm.monitor_seconds
    second = 1_000_000_000
    interval, timeout = test.get("Interval") or 30 * second, test.get("Timeout") or 30 * second
    whole = (interval + timeout) * (test.get("Retries") or 3) + (test.get("StartPeriod") or 0)
    return max(MIN_MONITOR_SECONDS, min(whole / second, 60.0) + MONITOR_SLACK_SECONDS)


def _rollout(settings: Settings, test: Mapping[str, Any], on_failure: str) -> dict[str, Any]:
    return {
        "Parallelism": settings.swarm.parallelism,
        "Delay": 0,
        "FailureAction": on_failure,
        "Monitor": nanoseconds(monitor_seconds(settings, test)),
        "MaxFailureRatio": 0.0,
        "Order": "start-first",
    }


def _endpoint(settings: Settings) -> dict[str, Any]:
    swarm = settings.swarm
    made: dict[str, Any] = {"Mode": swarm.endpoint_mode}
    if swarm.publish != "none":
        made["Ports"] = [
            {
                "Protocol": "tcp",
                "TargetPort": container_port(settings),
                "PublishedPort": settings.app.port,
                "PublishMode": swarm.publish,
            }
        ]
    return made


def _resources(memory_bytes: int, cpus: float, pids: int) -> dict[str, Any]:
    limits = {"MemoryBytes": memory_bytes, "NanoCPUs": nanoseconds(cpus), "Pids": pids}
    return {"Limits": {name: value for name, value in limits.items() if value}}


def _log_driver(settings: Settings) -> dict[str, Any]:
    docker = settings.docker
    if docker.log_driver is None and not docker.log_options:
        return {"LogDriver": {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}}}
    return {"LogDriver": {"Name": docker.log_driver or "json-file", "Options": dict(docker.log_options)}}


def _reference(each: Attached, identity: str, name: str) -> dict[str, Any]:
    file = {"Name": each.path, "UID": "0", "GID": "0", "Mode": 0o444}
    return {"File": file, identity: each.id, name: each.name}


def _mount(text: str) -> dict[str, Any]:
    source, target, *options = text.split(":")
    return {
        "Type": "bind" if source.startswith("/") else "volume",
        "Source": source,
        "Target": target,
        "ReadOnly": "ro" in options,
    }


def _temporary(read_only: bool) -> list[dict[str, Any]]:
    return [{"Type": "tmpfs", "Target": "/tmp"}] if read_only else []
