"""Platforms that run an application for you: Heroku, Vercel, Fly and their kind."""

from __future__ import annotations

from oatie_ops.environment.conditions import any_env, any_of, env, env_contains, env_is, every, flag, no
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import from_env, proof

# `railway run` injects a service's variables into a local command; only a deployment has these two.
_RAILWAY_DEPLOYED = any_env("RAILWAY_REPLICA_ID", "RAILWAY_DEPLOYMENT_ID")

SIGNALS: tuple[Signal, ...] = (
    # Functions on Vercel and Netlify carry the Lambda's own AWS_* variables beneath.
    proof(
        "paas.vercel",
        any_of(
            flag("VERCEL"),
            env_is("VERCEL_ENV", "production", "preview"),
            every(env("VERCEL_URL"), no(env_contains("VERCEL_URL", "localhost"))),
            env("NOW_REGION"),
        ),
        provider="vercel",
        platform="vercel",
        identity=(
            ("region", from_env("VERCEL_REGION", "NOW_REGION")),
            ("url", from_env("VERCEL_URL")),
            ("stage", from_env("VERCEL_TARGET_ENV", "VERCEL_ENV")),
        ),
    ),
    proof(
        "paas.netlify",
        flag("NETLIFY"),
        provider="netlify",
        platform="netlify",
        identity=(("name", from_env("SITE_NAME")), ("stage", from_env("CONTEXT"))),
    ),
    proof("paas.cloudflare-pages", flag("CF_PAGES"), provider="cloudflare", platform="cloudflare-pages"),
    proof(
        "paas.cloudflare-workers", flag("WORKERS_CI"), provider="cloudflare", platform="cloudflare-workers"
    ),
    proof(
        "paas.cloudflare-containers",
        env("CLOUDFLARE_APPLICATION_ID", "CLOUDFLARE_DURABLE_OBJECT_ID"),
        provider="cloudflare",
        platform="cloudflare-containers",
        container=UNKNOWN,
        identity=(
            ("region", from_env("CLOUDFLARE_REGION")),
            ("instance_id", from_env("CLOUDFLARE_DURABLE_OBJECT_ID")),
        ),
    ),
    # Dokku imitates Heroku's variables on the operator's own machine.
    proof("paas.dokku", any_env("DOKKU_APP_TYPE", "DOKKU_PROC_TYPE", "DOKKU_APP_NAME"), platform="dokku"),
    proof(
        "paas.heroku",
        env("DYNO"),
        provider="heroku",
        platform="heroku",
        container=UNKNOWN,
        identity=(
            ("name", from_env("HEROKU_APP_NAME")),
            ("revision", from_env("HEROKU_RELEASE_VERSION")),
            ("instance_id", from_env("HEROKU_DYNO_ID")),
            ("instance", from_env("DYNO")),
        ),
    ),
    proof(
        "paas.railway",
        any_of(
            every(env("RAILWAY_PROJECT_ID"), _RAILWAY_DEPLOYED),
            every(env("RAILWAY_ENVIRONMENT"), no(env("RAILWAY_PROJECT_ID"))),
        ),
        provider="railway",
        platform="railway",
        container=UNKNOWN,
        identity=(
            ("name", from_env("RAILWAY_SERVICE_NAME")),
            ("project", from_env("RAILWAY_PROJECT_NAME", "RAILWAY_PROJECT_ID")),
            ("region", from_env("RAILWAY_REPLICA_REGION")),
            ("stage", from_env("RAILWAY_ENVIRONMENT_NAME", "RAILWAY_ENVIRONMENT")),
            ("instance_id", from_env("RAILWAY_REPLICA_ID")),
            ("revision", from_env("RAILWAY_DEPLOYMENT_ID")),
        ),
    ),
    proof(
        "paas.render",
        flag("RENDER"),
        provider="render",
        platform="render",
        container=UNKNOWN,
        pull_request=flag("IS_PULL_REQUEST"),
        identity=(
            ("name", from_env("RENDER_SERVICE_NAME")),
            ("service_id", from_env("RENDER_SERVICE_ID")),
            ("instance_id", from_env("RENDER_INSTANCE_ID")),
        ),
    ),
    # FLY_APP, FLY_REGION and FLY_API_TOKEN are flyctl's own variables. A Machine is a virtual machine.
    proof(
        "paas.fly",
        every(env("FLY_APP_NAME"), any_env("FLY_MACHINE_ID", "FLY_ALLOC_ID")),
        provider="fly",
        platform="fly",
        identity=(
            ("name", from_env("FLY_APP_NAME")),
            ("region", from_env("FLY_REGION")),
            ("instance_id", from_env("FLY_MACHINE_ID", "FLY_ALLOC_ID")),
            ("image", from_env("FLY_IMAGE_REF")),
        ),
    ),
    proof(
        "paas.cloud-foundry",
        every(env("VCAP_APPLICATION"), any_env("CF_INSTANCE_GUID", "CF_INSTANCE_INDEX", "CF_INSTANCE_IP")),
        provider="cloud-foundry",
        platform="cloud-foundry",
        container=UNKNOWN,
        identity=(("instance_id", from_env("CF_INSTANCE_GUID")),),
    ),
    proof(
        "paas.koyeb",
        every(env("KOYEB_APP_NAME"), any_env("KOYEB_SERVICE_NAME", "KOYEB_SERVICE_ID", "KOYEB_INSTANCE_ID")),
        provider="koyeb",
        platform="koyeb",
        identity=(
            ("name", from_env("KOYEB_SERVICE_NAME", "KOYEB_APP_NAME")),
            ("region", from_env("KOYEB_REGION")),
            ("instance_id", from_env("KOYEB_INSTANCE_ID")),
        ),
    ),
    proof(
        "paas.platformsh",
        env("PLATFORM_APPLICATION_NAME", "PLATFORM_PROJECT"),
        provider="platformsh",
        platform="platformsh",
        container=UNKNOWN,
        identity=(("name", from_env("PLATFORM_APPLICATION_NAME")), ("project", from_env("PLATFORM_PROJECT"))),
    ),
    proof(
        "paas.deno-deploy",
        env("DENO_DEPLOYMENT_ID"),
        provider="deno",
        platform="deno-deploy",
        identity=(("region", from_env("DENO_REGION")), ("revision", from_env("DENO_DEPLOYMENT_ID"))),
    ),
    proof(
        "paas.modal",
        env("MODAL_TASK_ID"),
        provider="modal",
        platform="modal",
        container=UNKNOWN,
        identity=(("region", from_env("MODAL_REGION")), ("instance_id", from_env("MODAL_TASK_ID"))),
    ),
    proof(
        "paas.huggingface-spaces",
        env("SPACE_ID", "SPACE_HOST"),
        provider="huggingface",
        platform="huggingface-spaces",
        container=UNKNOWN,
        identity=(("name", from_env("SPACE_ID")),),
    ),
    proof(
        "paas.replit",
        flag("REPLIT_DEPLOYMENT"),
        provider="replit",
        platform="replit",
        container=UNKNOWN,
        identity=(("name", from_env("REPL_SLUG")), ("instance_id", from_env("REPL_ID"))),
    ),
    proof(
        "paas.pythonanywhere",
        any_env("PYTHONANYWHERE_DOMAIN", "PYTHONANYWHERE_SITE"),
        provider="pythonanywhere",
        platform="pythonanywhere",
    ),
    proof("paas.databricks", env("DATABRICKS_RUNTIME_VERSION"), provider="databricks", platform="databricks"),
)
