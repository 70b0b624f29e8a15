"""The verbs of the target: look, apply, watch, undo, and what is done with what runs already."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.targets.base import PromotionFailed, Running, Tell
from oatie_ops.deployment.targets.engine import Decision, EngineFacts, LogQuery, Place, Replica
from oatie_ops.deployment.targets.inside import Said
from oatie_ops.deployment.targets.kubernetes import (
    follow,
    live,
    looking,
    manifests,
    names,
    release_job,
    variables,
)
from oatie_ops.deployment.targets.kubernetes.access import connect
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import Conflict, another_cluster
from oatie_ops.deployment.targets.kubernetes.live import Deployed
from oatie_ops.deployment.targets.kubernetes.operations import Operations
from oatie_ops.deployment.targets.kubernetes.pod import Release
from oatie_ops.deployment.targets.kubernetes.watching import Watch
from oatie_ops.deployment.targets.kubernetes.workload import REPLICAS, Workload
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import ReleaseSpec

UNDO_SECONDS = 300.0
SCALED_MEANWHILE_TRIES = 4

Object = dict[str, Any]


@dataclass
class KubernetesTarget:
    """``settings`` are those of today; of a target that was only found again, mostly defaults.

    ``replaced`` is what served before this run's `apply`, as it was recorded; None until then: nothing has to
    be undone. ``release`` is the one of this run.
    """

    name: ClassVar[str] = "kubernetes"
    settings: Settings
    app: str
    paths: StatePaths
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    clock: Callable[[], float] = time.time
    replaced: str | None = field(default=None, repr=False)
    release: str = ""
    builds: bool = False  # the image is made here, not named
    server: str | None = None  # where it was found before

    @cached_property
    def cluster(self) -> Cluster:
        """Raises `PrerequisiteMissing` without access, and where it would be another cluster than the one
        that the release was put on."""
        found = connect(self.kubeconfig, self.context, self.namespace)
        if self.server is not None and found.url != self.server:
            raise another_cluster(found.url, self.server)
        return found

    @property
    def workload(self) -> Workload:
        return Workload(self.cluster, self.app, self.settings.kubernetes.force_conflicts)

    def place(self) -> Place:
        return {
            "target": self.name,
            "app": self.app,
            "kubeconfig": self.kubeconfig,
            "context": self.context or self.cluster.context,
            "namespace": self.cluster.namespace,
            "server": self.cluster.url,
            "builds": self.builds,
        }

    # -- looking

    def look(self, *, release: int, rollback: bool) -> EngineFacts:
        problems = [*looking.declared(self.settings)]
        said = "the cluster"
        try:
            version, _ = looking.version(self.cluster)
            said = f"Kubernetes {version} at {self.cluster.url}, namespace {self.cluster.namespace}"
            problems += looking.reached(self.cluster, self.app, self.settings.kubernetes)
            now = None if problems else self.workload.deployed()
            if not problems:
                self.workload.pods()  # whoever may not see them cannot follow a rollout
        except OatieError as error:
            problems.append(looking.problem(error))
            now = None
        use = self.settings.image.use
        return EngineFacts(
            self.name,
            "rollout",
            found=said,
            image=f"use the image {use}" if use else "build it and push it to [image] repository",
            replicas=live.wanted_replicas(now, self.settings.kubernetes),
            unit="pod",
            problems=tuple(problems),
            notes=tuple(looking.notes(self.settings)),
        )

    def running(self) -> Running | None:
        return live.running(self.cluster, self.app)

    def leave_if_empty(self) -> None:
        """A cluster has nothing that is started for a release alone."""

    def replicas(self) -> list[Replica]:
        return [live.replica(pod) for pod in self.workload.pods()]

    def inside(self, replica: Replica, argv: Sequence[str]) -> Said:
        from oatie_ops.deployment.targets.kubernetes.inside import run_inside

        return run_inside(self.cluster, replica.name, "app", argv)

    def status(self) -> dict[str, Any]:
        from oatie_ops.deployment.targets.kubernetes.status import document

        return document(self.cluster, self.app, self.replicas())

    def logs(self, query: LogQuery) -> Iterator[bytes]:
        found = self.workload.pods()
        if query.replica is not None:
            found = [pod for pod in found if query.replica in live.called(pod)]
        return follow.lines(self.cluster, found, query)

    # -- making a release

    def build(self, release: str, output: Tell) -> str:
        use = self.settings.image.use
        if use is not None:
            return use
        from oatie_ops.deployment.targets.kubernetes.image import build

        return build(self.settings, self.paths, release, output)

    def remove_image(self, release: str) -> None:
        """An image that was pushed stays in its registry, whose business that is; its variables go too."""
        self.workload.remove_configuration(release)
        if self.builds:
            from oatie_ops.deployment.targets.kubernetes.image import remove

            remove(self.settings, self.paths, release)

    def release_command(self, spec: ReleaseSpec, command: str, timeout_seconds: float, output: Tell) -> None:
        self.workload.apply(self.config(spec))
        job = manifests.job(self.rendered(spec), command, timeout_seconds)
        patience = self.settings.kubernetes.unschedulable_seconds
        release_job.run(self.cluster, job, command, timeout_seconds, output, patience)

    def prepare(self, name: str, spec: ReleaseSpec, tell: Tell) -> str:
        raise AssertionError("`look` names no preparations")

    def unprepare(self, name: str) -> None:
        raise AssertionError("`look` names no preparations")

    def rendered(self, spec: ReleaseSpec, *, sleep_action: bool | None = None) -> Release:
        """``sleep_action`` None: the cluster is asked for its version."""
        plain, secret = variables.split(spec.app)
        if sleep_action is None:
            sleep_action = looking.sleeps(looking.version(self.cluster)[1])
        return Release(
            settings=self.settings,
            app=spec.app,
            name=self.app,
            number=spec.name,
            image=spec.image or self.settings.image.use or "",
            config=f"{self.app}-config-{spec.name}" if plain else "",
            secret=f"{self.app}-secret-{spec.name}" if secret else "",
            checksum=names.digest({"plain": plain, "secret": sorted(secret)}),
            sleep_action=sleep_action,
        )

    def config(self, spec: ReleaseSpec) -> list[Object]:
        plain, secret = variables.split(spec.app)
        return manifests.config_objects(self.rendered(spec), plain, secret)

    # -- rolling out

    def apply(self, spec: ReleaseSpec, tell: Tell) -> str:
        config, release = self.config(spec), self.rendered(spec)
        tell("asking the cluster whether it would accept the objects")
        for left in reversed(range(SCALED_MEANWHILE_TRIES)):
            now = self.workload.deployed()
            made = manifests.objects(release, live.wanted_replicas(now, self.settings.kubernetes))
            try:
                self._hand_over(spec.name, config, made, now)
                break
            except Conflict as conflict:
                # An autoscaler has changed the number since it was read: it is read again.
                if left == 0 or {name for name, _ in conflict.fields} != {REPLICAS}:
                    raise
        said = ", ".join(f"{each['kind']} {each['metadata']['name']}" for each in made)
        return "; the cluster warns: ".join((said, *self.cluster.warnings))

    def _hand_over(
        self, release: str, config: list[Object], made: list[Object], now: Deployed | None
    ) -> None:
        before = self.workload.record(now, made) if now is not None else ""
        recorded = manifests.annotated(made, before, self._configured)
        self.workload.apply([*config, *recorded], now, dry_run=True)
        self.replaced, self.release = before, release
        self.workload.apply(config)
        self.workload.apply(recorded, now)

    def watch(self, *, health_check: bool, tell: Tell) -> str:
        seconds = self.settings.kubernetes.timeout_seconds
        return self._watch(self.release).until_ready(seconds, tell, health_check=health_check)

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        self._watch(self.release).bake(seconds, tell)

    def commit(self) -> tuple[str, ...]:
        """What the new release no longer has goes; the pods of the old one are gone by now."""
        now = self.workload.deployed()
        if now is None or now.release != self.release:
            seen = f"the Deployment is of release {now.release}" if now else "there is no Deployment any more"
            raise PromotionFailed(
                f"release {self.release} is not what is deployed",
                why=seen,
                fix="somebody else changes it, too: deploy again once that is over",
            )
        self.workload.remove_unwanted(json.loads(now.before) if now.before else [], now.objects)
        return ()

    def undo(self) -> None:
        if self.replaced is None:
            return
        now = self.workload.deployed()
        if now is not None:
            self._turn_back(now, self.replaced)
        self.workload.remove_configuration(self.release)
        self.replaced = None

    def settle(self, release: str, *, committing: bool) -> Decision:
        now = self.workload.deployed()
        if now is not None and now.release == release:
            if committing and self._watch(release).standing().done:
                return "finish"
            self._turn_back(now, now.before)
        self.workload.remove_configuration(release)
        return "undo"

    def prune(self, kept: Collection[str]) -> list[str]:
        now = self.workload.deployed()
        return self.workload.prune({*kept, self.release, now.release if now else ""})

    # -- what runs already

    def start(self, release: str, spec: ReleaseSpec, tell: Tell) -> None:
        self._operations.start(tell)

    def stop(self, timeout_seconds: float | None, tell: Tell) -> int:
        return self._operations.stop(timeout_seconds, tell)

    def restart(self, spec: ReleaseSpec, tell: Tell) -> None:
        self._operations.restart(self.config(spec), tell)

    def scale(self, spec: ReleaseSpec, replicas: int, tell: Tell) -> None:
        self._operations.scale(replicas, tell)

    # -- small parts

    @property
    def _operations(self) -> Operations:
        return Operations(self.workload, self.settings.kubernetes, self.clock)

    @property
    def _configured(self) -> str:
        return str(self.settings.kubernetes.replicas)

    def _watch(self, release: str) -> Watch:
        return Watch(self.workload, release, self.settings.kubernetes.unschedulable_seconds, self.clock)

    def _turn_back(self, now: Deployed, before: str) -> None:
        release = self.workload.turn_back(now, before, self._configured)
        if release:
            self._watch(release).until_ready(UNDO_SECONDS, lambda _said: None)


if TYPE_CHECKING:
    from oatie_ops.deployment.targets.engine import RolloutTarget

    _complete: type[RolloutTarget] = KubernetesTarget
