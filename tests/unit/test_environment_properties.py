"""Whatever the environment and the files hold, detection answers, and repeats no value of theirs."""

from __future__ import annotations

import json
import re
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.environment import parse
from oatie_ops.environment.layers import FAMILIES, LAYERS, Weight
from oatie_ops.environment.table import COUNTERS_OF, TABLE
from tests.unit.environment_world import CGROUP, DMI, ID, MOUNTINFO, TOKEN, UID, detect, detector, token

_EXPLANATION = detector({}, {}).explain()
VARIABLES = sorted({name for report in _EXPLANATION.signals for name in re.findall(r"\$(\w+)", report.read)})
PATHS = sorted(_EXPLANATION.files_read)

values = st.sampled_from(
    ["", "0", "1", "true", "false", "x", "AWS_Lambda_x", "production", "docker", "oci"]
) | st.text(max_size=40)
environments = st.dictionaries(st.sampled_from(VARIABLES), values, max_size=12)
contents = st.one_of(
    st.just({"error": "EACCES"}),
    st.just(""),
    st.text(max_size=300),
    st.sampled_from(
        [
            f"0::/docker/{ID}",
            f"1:x:/kubepods/pod{UID}/{ID}",
            "0::/",
            f"1 2 0:1 /containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw",
            "a.b.c",
            token(iss=1),
            token(iss="https://oidc.eks.us-east-1.amazonaws.com/id/" + "A" * 32),
            "e30.W10.x",
            "\x00\ufeff\r\n=\n",
            "Amazon EC2",
        ]
    ),
)
worlds = st.dictionaries(st.sampled_from(PATHS), contents, max_size=12)


def test_the_generators_reach_the_signals() -> None:
    assert len(VARIABLES) > 150
    assert {CGROUP, MOUNTINFO, TOKEN, DMI + "sys_vendor"} <= set(PATHS)


@settings(max_examples=300)
@given(environments, worlds, st.sampled_from(["linux", "darwin", "windows", "Linux", "sunos5"]))
def test_any_environment_and_any_files_get_an_answer(
    env: dict[str, str], files: dict[str, Any], system: str
) -> None:
    world = detector(env, files, system=system)
    found = world.detect()

    assert found.platform
    assert (found.confidence is None) == (found.provider is None)
    assert world.explain().detection == found
    json.dumps(found.to_dict())


@settings(max_examples=100)
@given(worlds)
def test_the_answer_does_not_depend_on_the_order_of_anything(files: dict[str, Any]) -> None:
    assert detect({}, files) == detect({}, dict(reversed(files.items())))


@settings(max_examples=200)
@given(st.text(max_size=400))
def test_parsers_take_any_text(text: str) -> None:
    parse.cgroup(text)
    parse.mountinfo(text)
    parse.service_account_token(text)
    parse.aks_resource_id(text)
    parse.environ_block(text)
    parse.quoted_pairs(text)
    parse.json_string(text, "a", "b")


@settings(max_examples=100)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_claims_of_a_token_are_survived(payload: Any) -> None:
    detect({}, {TOKEN: token(iss=payload, **{"kubernetes.io": payload})})


def test_a_deeply_nested_token_is_survived() -> None:
    import base64

    payload = base64.urlsafe_b64encode(b"[" * 100_000).decode()

    assert detect({}, {TOKEN: f"a.{payload}.c"}).orchestrator == "kubernetes"


def test_when_nothing_may_be_read_nothing_is_claimed_that_needs_reading() -> None:
    files = {
        path: {"error": "EACCES"}
        for path in PATHS
        if path.startswith(("/sys", "/proc/self", "/proc/1", "/proc/sys"))
    }
    world = detector({}, files)

    assert world.detect().platform == "local"
    assert set(world.explain().unreadable) == set(files)


def test_everything_unreadable_is_survived() -> None:
    detect({}, {path: {"error": "EACCES"} for path in PATHS})


def test_any_error_of_reading_is_an_absent_file() -> None:
    from oatie_ops.environment import EnvironmentDetector

    def broken(path: str) -> str | None:
        raise OSError(5, "Input/output error", path)

    assert EnvironmentDetector(environ={}, read=broken, system="linux").detect().platform == "local"


def test_huge_files_are_cut_and_still_answer() -> None:
    line = f"615 607 254:1 / /var/lib/docker/overlay2/{ID}/merged rw - ext4 /dev/vda1 rw\n"
    found = detect(
        {}, {MOUNTINFO: line * 100_000, CGROUP: "0::/x\n" * 500_000, "/proc/cmdline": "x" * 10_000_000}
    )

    assert found.container is None


SECRET = st.text(alphabet=string.ascii_letters + string.digits, min_size=24, max_size=40)


@settings(max_examples=50)
@given(SECRET)
def test_no_value_of_a_variable_is_repeated_in_evidence_or_explanation(secret: str) -> None:
    identity_only = detector(dict.fromkeys(VARIABLES, secret), {})
    explanation = identity_only.explain()

    shown = json.dumps({k: v for k, v in explanation.detection.to_dict().items() if k != "identity"})
    assert secret not in shown.replace(explanation.detection.environment, "")
    assert not any(secret in report.read or secret in report.outcome for report in explanation.signals)


def test_the_table_is_well_formed() -> None:
    ids = [signal.id for signal in TABLE]
    assert len(ids) == len(set(ids))
    for signal in TABLE:
        assert signal.family in FAMILIES
        assert {layer for layer, _ in signal.claims} <= set(LAYERS)
        assert bool(signal.against) == (signal.weight is Weight.COUNTER)
        assert signal.weight is Weight.COUNTER or signal.claims
        if signal.weight is Weight.HINT:
            assert [layer for layer, _ in signal.claims] == ["provider"]


def test_every_counter_speaks_against_something_that_exists() -> None:
    countered = {counter.id for counters in COUNTERS_OF.values() for counter in counters}
    assert countered == {signal.id for signal in TABLE if signal.weight is Weight.COUNTER}
