"""What the cluster of `kubernetes-cluster.sh` changes in the sources of Kubernetes 1.20.2, and why."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

# (file, what is there, what takes its place); each may be made twice.
CHANGES = (
    # An API server that knows policy/v1 and autoscaling/v2 by name.
    (
        "staging/src/k8s.io/apiserver/pkg/server/config.go",
        r"(WithPanicRecovery\(handler, c\.RequestInfoResolver\)\n)\treturn handler\n",
        r"\1\treturn withNewNames(handler)\n",
    ),
    # Its version, which a build outside of git does not know; -X of the linker does not reach it here.
    (
        "staging/src/k8s.io/component-base/version/base.go",
        r'gitVersion   = "v0[^"]*"',
        'gitVersion   = "v1.20.2"',
    ),
    ("staging/src/k8s.io/component-base/version/base.go", r"(gitMajor string) //", r'\1 = "1" //'),
    ("staging/src/k8s.io/component-base/version/base.go", r"(gitMinor string) //", r'\1 = "20" //'),
    # Where CAP_SYS_RESOURCE is missing, nobody may lower oom_score_adj.
    (
        "pkg/kubelet/dockershim/docker_sandbox.go",
        r"defaultSandboxOOMAdj int = -998",
        "defaultSandboxOOMAdj int = 0",
    ),
    ("pkg/kubelet/qos/policy.go", r"(OOMScoreAdj +int = )-\d+", r"\g<1>0"),
    # The machine has other users: its kernel stays as it is set.
    ("pkg/kubelet/cm/container_manager_linux.go", r"\bb := KernelTunableModify", "b := KernelTunableWarn"),
)


def main(sources: Path) -> None:
    new = sources / "staging/src/k8s.io/apiserver/pkg/server/newnames.go"
    shutil.copyfile(Path(__file__).with_name("kubernetes_new_names.go"), new)
    for name, there, instead in CHANGES:
        file = sources / name
        before = file.read_text(encoding="utf-8")
        after = re.sub(there, instead, before)
        if after != before:
            file.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
