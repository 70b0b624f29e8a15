"""What a cluster, or the lack of one, answers: as what / why / fix."""

from __future__ import annotations

import json
import re
from typing import Any

from oatie_ops.deployment.targets.kubernetes.paths import KINDS
from oatie_ops.errors import OatieError, PrerequisiteMissing

_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]+)"')


class ClusterError(OatieError):
    """The API answered with an error. ``status`` is that of HTTP, ``reason`` that of the API."""

    def __init__(self, what: str, *, status: int, reason: str, **more: Any) -> None:
        super().__init__(what, **more)
        self.status = status
        self.reason = reason


class Unreachable(OatieError):
    """There was no answer."""


# Of an API server that restarts, elects, or is busy: the same may work in a moment.
PASSING = {429, 500, 502, 503, 504}


def passes(error: OatieError) -> bool:
    """Waiting may help: nothing was said about what was asked."""
    return isinstance(error, Unreachable) or (isinstance(error, ClusterError) and error.status in PASSING)


class Conflict(ClusterError):
    """Another field manager owns a field that would be changed. ``fields``: (path, manager)."""

    def __init__(self, what: str, *, fields: list[tuple[str, str]], **more: Any) -> None:
        super().__init__(what, status=409, reason="Conflict", **more)
        self.fields = fields


def missing_extra() -> PrerequisiteMissing:
    return PrerequisiteMissing(
        "the target kubernetes needs the Kubernetes client",
        why="the module kubernetes is not installed",
        fix="pip install 'oatie-ops[kubernetes]'; `oatie doctor --target kubernetes` tells more",
    )


def no_access(why: str, *, file: str = "", context: str | None = None) -> PrerequisiteMissing:
    fix = "set KUBECONFIG, or kubeconfig in [kubernetes], to a file that `kubectl` can use"
    if context:
        fix = f"`kubectl config get-contexts` lists the contexts of {file}; set context in [kubernetes]"
    return PrerequisiteMissing("there is no way into a cluster", why=why, fix=fix)


def another_cluster(found: str, recorded: str) -> PrerequisiteMissing:
    return PrerequisiteMissing(
        f"this is another cluster than the one that was deployed to: {found}",
        why=f"the release is recorded at {recorded}",
        fix="let KUBECONFIG, or kubeconfig and context in [kubernetes], name that cluster; where it is gone "
        "for good, remove the directory of that release in .oatie/releases",
    )


def refused(status: int, content: bytes, method: str, path: str) -> ClusterError:
    """From the ``Status`` object that the API sends with an error."""
    found = _status(content)
    reason, message = str(found.get("reason") or ""), str(found.get("message") or "")
    causes = (found.get("details") or {}).get("causes") or []
    if status == 403 and (error := _forbidden_by_a_limit(message, causes, reason)):
        return error
    if status == 409 and (fields := _conflicts(causes)):
        return Conflict(
            f"{_subject(found, path)} is managed by somebody else, too",
            fields=fields,
            why="; ".join(f"{field} belongs to {manager}" for field, manager in fields),
            fix="let that manager give the fields up, take them out of oatie.toml, or take them over with "
            "force_conflicts = true in [kubernetes]",
        )
    if status in (401, 403):
        return ClusterError(
            "the cluster does not allow this",
            status=status,
            reason=reason,
            why=message or f"{method} {path}: {status}",
            fix=f"`kubectl auth can-i` tells what this account may do; {method} on that resource is needed"
            if status == 403
            else "its token or certificate is not accepted, or has run out: `kubectl auth whoami` tells more",
        )
    if status == 422:
        details = [f"{each.get('field')}: {each.get('message')}" for each in causes]
        return ClusterError(
            f"the cluster refuses {_subject(found, path)}",
            status=status,
            reason=reason,
            why=message.split(": ", 1)[-1] if not details else "it does not accept these values",
            fix="change what they come from in oatie.toml; `oatie deploy --dry-run -o yaml` shows the object",
            details=details,
        )
    return ClusterError(
        f"the cluster answered {status}" + (f" ({reason})" if reason else ""),
        status=status,
        reason=reason,
        why=message or f"{method} {path}",
    )


def _status(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {"message": content[:300].decode(errors="replace").strip()}
    return found if isinstance(found, dict) else {}


def _conflicts(causes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found = []
    for cause in causes:
        if cause.get("reason") == "FieldManagerConflict":
            named = _CONFLICT.search(str(cause.get("message")))
            found.append((str(cause.get("field")), named["manager"] if named else str(cause.get("message"))))
    return found


def _subject(found: dict[str, Any], path: str) -> str:
    """An apply that conflicts does not tell its object: the path does."""
    details = found.get("details") or {}
    *_, plural, last = path.split("/")
    name = details.get("name") or last
    kind = next((kind for kind, (_, known) in KINDS.items() if known == plural), None)
    return f"{kind or details.get('kind') or plural} {name}"


def _forbidden_by_a_limit(message: str, causes: list[dict[str, Any]], reason: str) -> ClusterError | None:
    """What no right would help with: a namespace that goes away, a quota."""
    if any(each.get("reason") == "NamespaceTerminating" for each in causes):
        what, fix = "the namespace is being deleted", "wait until it is gone, create it again, and deploy"
    elif "exceeded quota" in message:
        what, fix = "the quota of the namespace does not allow this", "raise it, or ask for less"
    else:
        return None
    return ClusterError(what, status=403, reason=reason, why=message, fix=fix)
