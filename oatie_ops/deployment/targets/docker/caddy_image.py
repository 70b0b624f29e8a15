"""Caddy from an image, where none is installed; on the network of the host, so that it sees its loopback."""

from __future__ import annotations

import json
from functools import partial

from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.containers.uncut import uncut
from oatie_ops.deployment.proxy.caddy import Proxy
from oatie_ops.deployment.targets.docker.fleet import Fleet

ROLE = "proxy"


def start_caddy(fleet: Fleet, image: str, proxy: Proxy) -> None:
    """With its data in a volume, so that certificates survive. Kept by the engine's restart policy; its
    configuration is saved by Caddy itself and taken up again by ``--resume``."""
    name = f"{fleet.project}-caddy"
    end_caddy(fleet)
    identity = images.ensure(fleet.engine, image, lambda _: None)
    directory = str(proxy.switch.directory)
    proxy.switch.directory.mkdir(parents=True, exist_ok=True)
    start = json.dumps({"admin": {"listen": proxy.place.admin}})
    files = filter(None, (proxy.place.certificate, proxy.place.certificate_key, proxy.place.acme_ca_root))
    config = {
        "Image": identity,
        "Labels": names.labels(fleet.project, "caddy", role=ROLE),
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": [f"echo '{start}' > /tmp/start.json && exec caddy run --resume --config /tmp/start.json"],
        "Env": ["XDG_DATA_HOME=/data", "XDG_CONFIG_HOME=/config"],
        "HostConfig": {
            "NetworkMode": "host",
            "RestartPolicy": {"Name": "unless-stopped"},
            "Binds": [
                f"{directory}:{directory}:ro",
                *(f"{file}:{file}:ro" for file in files),
                f"{name}:/data",
                f"{name}-config:/config",
            ],
        },
    }
    with explained("starting Caddy from its image"):
        made = uncut(partial(fleet.engine.api.create_container_from_config, config, name))["Id"]
        uncut(partial(fleet.engine.api.start, made))


def end_caddy(fleet: Fleet) -> bool:
    """Was there one? Its volumes stay: they hold the certificates."""
    found = [each.id for each in fleet.all(ROLE)]
    for identity in found:
        fleet.stop(identity)
    fleet.remove(found)
    return bool(found)
