"""Makes the image of a release, or pulls it, and pins it by its digest or id."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import names
from oatie_ops.deployment.containers.api import Connection, build_context, explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.errors import OatieError

TAIL_LINES = 30


class BuildFailed(OatieError):
    """The image could not be built; ``details`` are the last lines of the build."""


def describe(settings: Settings) -> str:
    image = settings.image
    if image.use:
        return f"use the image {image.use}, pinned by its digest"
    if (settings.root / image.context / image.dockerfile).is_file():
        return f"build it from {image.dockerfile}"
    return "build it from the Dockerfile that `oatie init --docker` would write here"


def problems(settings: Settings) -> list[Problem]:
    image = settings.image
    context = settings.root / image.context
    if image.use:
        return []
    if not context.is_dir():
        return [
            Problem(
                "there is no directory to build the image from",
                f"{context} is not there",
                "correct [image] context",
            )
        ]
    if not (context / image.dockerfile).is_file() and image.dockerfile != "Dockerfile":
        return [
            Problem(
                f"there is no {image.dockerfile}",
                f"it was looked for in {context}",
                "correct [image] dockerfile, or leave it out",
            )
        ]
    return []


@dataclass(frozen=True)
class Making:
    """Which release of which project the image is for."""

    settings: Settings
    state_home: Path
    project: str
    release: str
    generation: str


def make(engine: Connection, making: Making, output: Tell) -> str:
    """The reference to run: ``repository@sha256:…`` where there is a registry, else ``sha256:…``."""
    settings, image = making.settings, making.settings.image
    if image.use:
        reference = _ready_made(engine, image.use, image.pull, output)
    else:
        reference = _build(engine, making, output)
    # A tag of the release's own keeps it from `docker image prune`.
    repository, _, tag = names.release_tag(making.project, making.release).rpartition(":")
    with explained("tagging the image"):
        engine.api.tag(reference, repository, tag, force=True)
    return _pushed(engine, settings, reference, making.release, output) if image.push else reference


def remove(engine: Connection, project: str, release: str) -> None:
    """Its tags, and the image where nothing else needs it; layers stay as a cache for the next build.

    The tag under which it was pushed goes first: the one of the project is how the next prune finds it.
    """
    own = names.release_tag(project, release)
    tags = (_inspect(engine, own) or {}).get("RepoTags") or ()
    pushed = [tag for tag in tags if tag != own and tag.endswith(f":r{release}")]
    for tag in (*pushed, own):
        with explained("removing the image", ignore=(404, 409)):
            engine.api.remove_image(tag, noprune=False)


def ensure(engine: Connection, reference: str, output: Tell, pull: str = "missing") -> str:
    """An image by name, pulled where that is wanted; its id."""
    if pull != "always":
        found = _inspect(engine, reference)
        if found is not None:
            return str(found["Id"])
    if pull == "never":
        raise EngineFailed(
            f"the image {reference} is not here",
            why='[image] pull is "never"',
            fix=f"`docker pull {reference}`, or change [image] pull",
        )
    _pull(engine, reference, output)
    found = _inspect(engine, reference)
    assert found is not None, "it was pulled just now"
    return str(found["Id"])


def _ready_made(engine: Connection, reference: str, pull: str, output: Tell) -> str:
    ensure(engine, reference, output, pull)
    return _digest(_inspect(engine, reference) or {}, reference)


def _digest(found: Mapping[str, Any], reference: str) -> str:
    """The digest in the registry that this name stands for; an image without one has only its id."""
    repository = _repository(reference)
    digests = [each for each in found.get("RepoDigests") or () if each.partition("@")[0] == repository]
    return str(digests[0] if digests else found["Id"])


def _repository(reference: str) -> str:
    name = reference.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def _inspect(engine: Connection, reference: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    with explained(f"looking at the image {reference}", ignore=(404,)):
        found = engine.api.inspect_image(reference)
    return found


def _pull(engine: Connection, reference: str, output: Tell) -> None:
    output(f"pulling {reference}")
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag or "@" in reference:
        repository, tag = reference, "" if "@" in reference else "latest"
    with explained(f"pulling {reference}"):
        lines = engine.api.pull(repository, tag=tag or None, stream=True, decode=True)
        for _ in _followed(lines, output, f"pulling {reference}"):
            pass


def _pushed(engine: Connection, settings: Settings, reference: str, release: str, output: Tell) -> str:
    repository = settings.image.repository
    if not repository:
        raise EngineFailed(
            "there is nowhere to push the image to",
            why="[image] push is on without [image] repository",
            fix='set [image] repository, such as "registry.example.com/shop"',
        )
    tag = f"r{release}"
    output(f"pushing {repository}:{tag}")
    with explained(f"pushing {repository}:{tag}"):
        engine.api.tag(reference, repository, tag, force=True)
        lines = engine.api.push(repository, tag=tag, stream=True, decode=True)
        for _ in _followed(lines, output, f"pushing {repository}:{tag}"):
            pass
    return _digest(_inspect(engine, f"{repository}:{tag}") or {}, repository)


def _build(engine: Connection, making: Making, output: Tell) -> str:
    settings, image = making.settings, making.settings.image
    labels = names.labels(making.project, settings.app.name, making.release, generation=making.generation)
    tag = names.release_tag(making.project, making.release)
    context = settings.root / image.context
    dockerfile, text = _dockerfile(settings)
    exclude = excluded(context, making.state_home)
    built = ""
    with (
        explained("building the image"),
        build_context(os.fspath(context), exclude, dockerfile, text) as archive,
    ):
        lines = engine.api.build(
            fileobj=archive,
            custom_context=True,
            dockerfile=dockerfile,
            tag=tag,
            buildargs=dict(image.args),
            target=image.stage or "",
            labels={**labels, **settings.container.labels},
            rm=True,
            forcerm=True,
            decode=True,
            timeout=settings.deploy.build_timeout_seconds,
        )
        for line in _followed(lines, output, "building the image"):
            built = (line.get("aux") or {}).get("ID", built)
    if built:
        return built
    found = _inspect(engine, tag)
    if found is None:
        raise BuildFailed("the build made no image", why="the engine ended it without one")
    return str(found["Id"])


def _dockerfile(settings: Settings) -> tuple[str, str | None]:
    """Its name, and its text where the project has none: what `oatie init --docker` would write."""
    image = settings.image
    if (settings.root / image.context / image.dockerfile).is_file():
        return image.dockerfile, None
    from oatie_ops.deployment.containers.dockerfile import dockerfile, surroundings

    return ".oatie.Dockerfile", dockerfile(surroundings(settings))


def excluded(context: Path, state_home: Path) -> list[str]:
    """What .dockerignore says; and never our own state, which holds secrets, whatever it says."""
    from oatie_ops.deployment.containers.dockerfile import DOCKERIGNORE

    file = context / ".dockerignore"
    text = file.read_text(encoding="utf-8") if file.is_file() else DOCKERIGNORE
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    inside = state_home.resolve().is_relative_to(context.resolve())
    return [*found, *([state_home.resolve().relative_to(context.resolve()).as_posix()] if inside else [])]


def _followed(lines: Iterator[dict[str, Any]], output: Tell, doing: str) -> Iterator[dict[str, Any]]:
    """Passes on what the engine tells, line by line; raises where it tells of an error."""
    tail: list[str] = []
    for line in lines:
        text = str(line.get("stream") or "")
        if not text and line.get("status") and not line.get("progressDetail"):
            text = f"{line.get('id', '')} {line['status']}".strip()
        for part in filter(str.strip, text.splitlines()):
            tail.append(part)
            output(part)
        if "error" in line:
            raise BuildFailed(
                f"{doing} failed",
                why=str(line["error"]).strip(),
                fix="mend it and deploy again; nothing has been changed",
                details=tail[-TAIL_LINES:],
                data=json.loads(json.dumps(line.get("errorDetail") or {})),
            )
        yield line
