"""Command and environment within what ECS takes as overrides, the rest in the definition, and all of it unchanged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.errors import Permanent
from controller.domain.job import JobSpec
from controller.providers.aws import definition, overrides
from dev.emulators.aws import checks
from tests.controller.providers.aws.mapping import mapped

LIMIT = overrides.LIMIT - overrides.SERVICE_CHARS


def sent(spec: JobSpec, env: dict[str, str] | None = None) -> tuple[dict, dict]:
    """The overrides, and the definition's container; both as the stand-in of the service takes them."""
    found = mapped(spec, env or {}).sent
    assert checks.overrides_length(found["SubmitJob"]) <= checks.OVERRIDES_CHARS
    return found["SubmitJob"]["containerOverrides"], found["RegisterJobDefinition"]["containerProperties"]


def job(*words: str) -> JobSpec:
    return JobSpec(image="busybox", args=words)


def length(found: dict) -> int:
    parts = {"command": found.get("command", []), "environment": found.get("environment", [])}
    return len(json.dumps(parts, separators=(",", ":"), ensure_ascii=False))


def test_what_just_fits_is_an_override_and_one_character_more_is_defined() -> None:
    room = LIMIT - length(sent(job("x"))[0]) + 1
    fits, more = job("x" * room), job("x" * (room + 1))
    over, defined = sent(fits)
    assert (length(over), over["command"], "command" in defined) == (LIMIT, ["x" * room], False)
    over, defined = sent(more)
    assert ("command" in over, defined["command"]) == (False, ["x" * (room + 1)])
    assert [one["name"] for one in over["environment"]] == [
        "JENNAH_JOB_ID",
        "JENNAH_TENANT_ID",
        "BATCH_TASK_COUNT",
        "BATCH_TASK_INDEX",
    ]


def test_a_large_environment_is_defined_for_that_job_alone() -> None:
    env = {f"A{n}": "v" * 60 for n in range(200)}
    over, defined = sent(job("run"), env)
    assert over["command"] == ["run"]
    assert {one["name"]: one["value"] for one in defined["environment"]}.items() >= env.items()
    names = {
        mapped(JobSpec(image="busybox", args=("run",), job_id=name), env).sent["RegisterJobDefinition"][
            "jobDefinitionName"
        ]
        for name in ("a", "b")
    }
    assert len(names) == 2
    assert all(name.startswith(definition.OWN_PREFIX) and len(name) <= 128 for name in names)


def test_a_large_command_is_shared_by_jobs_that_agree_in_it() -> None:
    names = {
        mapped(JobSpec(image="busybox", args=("x" * 9000,), job_id=name), {}).sent["RegisterJobDefinition"][
            "jobDefinitionName"
        ]
        for name in ("a", "b")
    }
    assert len(names) == 1
    assert not names.pop().startswith(definition.OWN_PREFIX)


def test_both_may_be_defined() -> None:
    over, defined = sent(job("x" * 9000), {"A": "y" * 9000})
    assert ("command" in over, "environment" in over) == (False, False)
    assert (defined["command"], defined["environment"][-1]) == (["x" * 9000], {"name": "A", "value": "y" * 9000})


def test_placeholders_stay_overrides_where_they_are_not_replaced() -> None:
    over, defined = sent(job("Ref::input", "x" * 5000), {"A": "y" * 5000})
    assert over["command"] == ["Ref::input", "x" * 5000]
    assert "command" not in defined
    with pytest.raises(Permanent, match="Ref::"):
        sent(job("a=Ref::input", "x" * 9000))


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
variables = st.dictionaries(st.from_regex(r"[B-Z]{1,5}", fullmatch=True), words, max_size=3)


@given(st.lists(words, max_size=3), variables, st.integers(0, 400))
def test_whatever_is_sent_is_whole_and_fits(args: list[str], env: dict[str, str], times: int) -> None:
    spec = job(*(word * max(times, 1) for word in args))
    env = {name: value * max(times // 2, 1) for name, value in env.items()}
    try:
        over, defined = sent(spec, env)
    except Permanent as refused:
        assert "characters are too many" in str(refused) or "it takes" in str(refused)
        return
    assert over.get("command", defined.get("command", [])) == list(spec.args or ())
    both = [*defined.get("environment", ()), *over.get("environment", ())]
    assert {one["name"]: one["value"] for one in both}.items() >= env.items()
