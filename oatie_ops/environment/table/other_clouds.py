"""Functions and container services of the other clouds."""

from __future__ import annotations

from oatie_ops.environment.conditions import any_env, env, env_is, every
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import from_env, proof

SIGNALS: tuple[Signal, ...] = (
    proof(
        "runtime.ibm-code-engine",
        every(env("CE_PROJECT_ID"), any_env("CE_APP", "CE_JOB", "CE_FUNCTION")),
        provider="ibm",
        platform="ibm-code-engine",
        container=UNKNOWN,
        identity=(
            ("name", from_env("CE_APP", "CE_JOB", "CE_FUNCTION")),
            ("region", from_env("CE_REGION")),
            ("project", from_env("CE_PROJECT_ID")),
        ),
    ),
    proof(
        "runtime.alibaba-fc",
        every(env("FC_FUNCTION_NAME"), any_env("FC_FUNC_CODE_PATH", "FC_ACCOUNT_ID")),
        provider="alibaba",
        platform="alibaba-fc",
        identity=(("name", from_env("FC_FUNCTION_NAME")), ("region", from_env("FC_REGION"))),
    ),
    proof(
        "runtime.tencent-scf",
        env_is("TENCENTCLOUD_RUNENV", "scf"),
        provider="tencent",
        platform="tencent-scf",
        identity=(
            ("name", from_env("SCF_FUNCTIONNAME")),
            ("region", from_env("TENCENTCLOUD_REGION")),
        ),
    ),
    proof(
        "runtime.oracle-functions",
        env("FN_APP_ID", "FN_FN_ID"),
        provider="oracle",
        platform="oracle-functions",
        container=UNKNOWN,
        identity=(("name", from_env("FN_FN_NAME")),),
    ),
)
