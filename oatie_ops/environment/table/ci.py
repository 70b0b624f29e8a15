"""Build services. CI=false overrides them all; a pull request is told where the vendor tells it."""

from __future__ import annotations

from oatie_ops.environment.conditions import (
    Condition,
    any_env,
    any_of,
    env,
    env_is,
    env_starts,
    every,
    falsy,
    flag,
    no,
)
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import proof, support


def _set_and_not_false(name: str) -> Condition:
    return every(env(name), no(falsy(name)))


# name -> (what shows it, what shows a pull request)
_VENDORS: tuple[tuple[str, Condition, Condition | None], ...] = (
    (
        "gitea-actions",
        any_of(flag("GITEA_ACTIONS"), flag("FORGEJO_ACTIONS")),
        env_is("GITHUB_EVENT_NAME", "pull_request", "pull_request_target"),
    ),
    (
        "github-actions",
        flag("GITHUB_ACTIONS"),
        env_is("GITHUB_EVENT_NAME", "pull_request", "pull_request_target"),
    ),
    ("gitlab-ci", flag("GITLAB_CI"), any_env("CI_MERGE_REQUEST_ID", "CI_MERGE_REQUEST_IID")),
    # Jenkins' URL alone is in the shell of everybody who scripts it.
    ("jenkins", env("JENKINS_URL", "BUILD_ID"), any_env("ghprbPullId", "CHANGE_ID")),
    ("circleci", flag("CIRCLECI"), any_env("CIRCLE_PULL_REQUEST", "CIRCLE_PULL_REQUESTS")),
    ("travis-ci", flag("TRAVIS"), _set_and_not_false("TRAVIS_PULL_REQUEST")),
    (
        "azure-pipelines",
        any_of(flag("TF_BUILD"), env("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")),
        any_of(env("SYSTEM_PULLREQUEST_PULLREQUESTID"), env_is("BUILD_REASON", "pullrequest")),
    ),
    ("bitbucket-pipelines", any_env("BITBUCKET_COMMIT", "BITBUCKET_BUILD_NUMBER"), env("BITBUCKET_PR_ID")),
    ("buildkite", flag("BUILDKITE"), _set_and_not_false("BUILDKITE_PULL_REQUEST")),
    ("teamcity", env("TEAMCITY_VERSION"), None),
    (
        "woodpecker",
        any_of(env_is("CI", "woodpecker"), env_is("CI_SYSTEM_NAME", "woodpecker")),
        any_of(env_is("CI_BUILD_EVENT", "pull_request"), env_is("CI_PIPELINE_EVENT", "pull_request")),
    ),
    ("drone", flag("DRONE"), env_is("DRONE_BUILD_EVENT", "pull_request")),
    ("appveyor", flag("APPVEYOR"), env("APPVEYOR_PULL_REQUEST_NUMBER")),
    ("bamboo", any_env("bamboo_planKey", "bamboo_buildKey"), None),
    ("bitrise", env("BITRISE_IO"), env("BITRISE_PULL_REQUEST")),
    ("buddy", env("BUDDY_WORKSPACE_ID"), env("BUDDY_EXECUTION_PULL_REQUEST_ID")),
    ("cirrus-ci", flag("CIRRUS_CI"), env("CIRRUS_PR")),
    ("codefresh", env("CF_BUILD_ID"), any_env("CF_PULL_REQUEST_NUMBER", "CF_PULL_REQUEST_ID")),
    ("codemagic", env("CM_BUILD_ID"), env("CM_PULL_REQUEST")),
    ("codeship", env_is("CI_NAME", "codeship"), None),
    ("sourcehut", env_is("CI_NAME", "sourcehut"), None),
    ("semaphore", flag("SEMAPHORE"), any_env("PULL_REQUEST_NUMBER", "SEMAPHORE_GIT_PR_NUMBER")),
    ("screwdriver", flag("SCREWDRIVER"), _set_and_not_false("SD_PULL_REQUEST")),
    ("shippable", flag("SHIPPABLE"), flag("IS_PULL_REQUEST")),
    ("gocd", env("GO_PIPELINE_LABEL"), None),
    ("gerrit", env("GERRIT_PROJECT"), None),
    ("prow", env("PROW_JOB_ID"), env("PULL_NUMBER")),
    ("vela", flag("VELA"), flag("VELA_PULL_REQUEST")),
    ("harness-ci", env("HARNESS_BUILD_ID"), None),
    ("agola-ci", env("AGOLA_GIT_REF"), env("AGOLA_PULL_REQUEST_ID")),
    ("appcircle", env("AC_APPCIRCLE"), _set_and_not_false("AC_GIT_PR")),
    ("earthly", env("EARTHLY_CI"), None),
    ("expo-eas", env("EAS_BUILD"), None),
    ("heroku-ci", env("HEROKU_TEST_RUN_ID"), None),
    ("hudson", env("HUDSON_URL"), None),
    ("layerci", env("LAYERCI"), env("LAYERCI_PULL_REQUEST")),
    ("magnum-ci", env("MAGNUM"), None),
    ("nevercode", env("NEVERCODE"), _set_and_not_false("NEVERCODE_PULL_REQUEST")),
    ("releasehub", env("RELEASE_BUILD_ID"), None),
    ("sail-ci", env("SAILCI"), env("SAIL_PULL_REQUEST_NUMBER")),
    ("solano-ci", env("TDDIUM"), env("TDDIUM_PR_ID")),
    ("strider-cd", env("STRIDER"), None),
    ("dsari", env("DSARI"), None),
    ("taskcluster", env("TASK_ID", "RUN_ID"), None),
    ("app-center", env("APPCENTER_BUILD_ID"), None),
    ("xcode-cloud", any_env("CI_XCODE_PROJECT", "CI_XCODE_CLOUD"), env("CI_PULL_REQUEST_NUMBER")),
    ("xcode-server", env("XCS"), None),
)

# Build steps of platforms: the platform stays the headline.
_OF_PLATFORMS: tuple[tuple[str, Condition, Condition | None], ...] = (
    ("codebuild", env("CODEBUILD_BUILD_ARN"), env_starts("CODEBUILD_WEBHOOK_EVENT", "PULL_REQUEST_")),
    ("cloud-build", env_starts("BUILDER_OUTPUT", "/builder/outputs"), env("_PR_NUMBER")),
    (
        "vercel",
        any_of(flag("NOW_BUILDER"), every(any_of(flag("VERCEL"), env("VERCEL_ENV")), flag("CI"))),
        env("VERCEL_GIT_PULL_REQUEST_ID"),
    ),
    # A function of Netlify runs on Lambda; its build does not.
    (
        "netlify",
        every(flag("NETLIFY"), no(env("AWS_LAMBDA_FUNCTION_NAME"))),
        _set_and_not_false("PULL_REQUEST"),
    ),
    ("cloudflare-pages", flag("CF_PAGES"), None),
    ("cloudflare-workers", flag("WORKERS_CI"), None),
)

SIGNALS: tuple[Signal, ...] = (
    *(proof(f"ci.{name}", when, pull_request=request, ci=name) for name, when, request in _OF_PLATFORMS),
    *(
        proof(f"ci.{name}", when, pull_request=request, ci=name, platform=name)
        for name, when, request in _VENDORS
    ),
)

GENERIC: tuple[Signal, ...] = (
    proof(
        "ci-generic.flag",
        any_of(
            flag("CI"),
            flag("CONTINUOUS_INTEGRATION"),
            any_env("CI_NAME", "CI_BUILD_ID", "CI_BUILD_NUMBER", "CI_APP_ID"),
        ),
        ci=UNKNOWN,
        platform="ci",
    ),
    # Images are often built with these baked in, so they count only on a machine that shows nothing else.
    support("ci-generic.build-number", any_env("BUILD_NUMBER", "BUILD_ID"), ci=UNKNOWN, platform="ci"),
)
