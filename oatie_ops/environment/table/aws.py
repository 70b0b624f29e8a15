"""AWS: functions, container services and builds. Its machines and its Kubernetes are elsewhere."""

from __future__ import annotations

from oatie_ops.environment.conditions import any_env, env, env_is, env_starts, exists
from oatie_ops.environment.layers import UNKNOWN, Getter, Signal
from oatie_ops.environment.parse import json_string
from oatie_ops.environment.signals import from_env, proof

BEANSTALK_FILE = "/var/elasticbeanstalk/xray/environment.conf"

REGION = ("region", from_env("AWS_REGION", "AWS_DEFAULT_REGION"))
_ECS_METADATA = any_env("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI")


def _beanstalk(key: str) -> Getter:
    return lambda facts: json_string(facts.text(BEANSTALK_FILE) or "", key)


SIGNALS: tuple[Signal, ...] = (
    # CodeBuild runs its builds as ECS tasks and sets ECS' variables; it is told apart first.
    proof(
        "runtime.aws-codebuild",
        env("CODEBUILD_BUILD_ARN"),
        provider="aws",
        platform="aws-codebuild",
        container=UNKNOWN,
        identity=(REGION, ("name", from_env("CODEBUILD_PROJECT_NAME"))),
    ),
    proof(
        "runtime.aws-lambda",
        env_starts("AWS_EXECUTION_ENV", "AWS_Lambda_"),
        provider="aws",
        platform="aws-lambda",
        identity=(
            REGION,
            ("name", from_env("AWS_LAMBDA_FUNCTION_NAME")),
            ("version", from_env("AWS_LAMBDA_FUNCTION_VERSION")),
            ("instance_id", from_env("AWS_LAMBDA_LOG_STREAM_NAME")),
        ),
    ),
    # A custom image may lack AWS_EXECUTION_ENV; emulators set the name, but seldom the runtime API.
    proof(
        "runtime.aws-lambda-image",
        env("AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_FUNCTION_NAME"),
        provider="aws",
        platform="aws-lambda",
        identity=(
            REGION,
            ("name", from_env("AWS_LAMBDA_FUNCTION_NAME")),
            ("version", from_env("AWS_LAMBDA_FUNCTION_VERSION")),
        ),
    ),
    proof(
        "runtime.aws-batch",
        env("AWS_BATCH_JOB_ID", "AWS_BATCH_JQ_NAME"),
        provider="aws",
        platform="aws-batch",
        container=UNKNOWN,
        identity=(REGION, ("name", from_env("AWS_BATCH_JQ_NAME"))),
    ),
    *(
        proof(
            f"runtime.aws-ecs-{name}",
            env_is("AWS_EXECUTION_ENV", f"aws_ecs_{value}"),
            provider="aws",
            platform=f"aws-ecs-{name}",
            orchestrator="ecs",
            container=UNKNOWN,
            identity=(REGION,),
        )
        for name, value in (
            ("fargate", "fargate"),
            ("ec2", "ec2"),
            ("external", "external"),
            ("managed-instances", "managed_instances"),
        )
    ),
    proof(
        "runtime.aws-ecs",
        _ECS_METADATA,
        provider="aws",
        platform="aws-ecs",
        orchestrator="ecs",
        container=UNKNOWN,
        identity=(REGION,),
    ),
    proof(
        "runtime.aws-elastic-beanstalk",
        exists(BEANSTALK_FILE),
        provider="aws",
        platform="aws-elastic-beanstalk",
        identity=(
            ("name", _beanstalk("environment_name")),
            ("version", _beanstalk("version_label")),
            ("instance_id", _beanstalk("deployment_id")),
        ),
    ),
)
