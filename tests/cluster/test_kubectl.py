"""A JennahJob as its users see it with kubectl: the whole life, from apply to delete."""

import json

import pytest

from tests.cluster.installation import Installation
from tests.cluster.kubectl import manifest, needs_kubectl
from tests.cluster.test_api import SECRET

pytestmark = needs_kubectl


async def test_a_job_from_apply_to_delete(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    text = manifest("whole", command='[sh, -c, "sleep 1"]', backoffLimit="0")
    assert "jennahjob.jennah.alphaus.cloud/whole created" in await kubectl("apply", "-f", "-", stdin=text)
    assert "unchanged" in await kubectl("apply", "-f", "-", stdin=text)
    await kubectl.wait("whole", "condition=Finished")
    header, row = (await kubectl("get", "jj", "whole", "-o", "wide")).splitlines()
    assert header.split()[:5] == ["NAME", "PHASE", "TASKS", "TENANT", "PROVIDER"]
    wide = ["DISPLAY-NAME", "EXIT", "RETRIES", "PREEMPTIONS", "SUBMISSION", "IMAGE", "EXTERNAL-NAME"]
    assert header.split()[5:] == ["REASON", *wide, "AGE"]
    assert row.split()[:5] == ["whole", "Completed", "1/1", jennah.team_tenant, jennah.options.provider]
    assert "busybox:1.36" in row
    assert "whole" in await kubectl("get", "jennah", "-o", "name")
    described = await kubectl("describe", "jj", "whole")
    for event in ("Submitted", "Completed"):
        assert event in described
    events = json.loads(await kubectl("get", "events", "--field-selector", "involvedObject.name=whole", "-o", "json"))
    assert {"Submitted", "Completed"} <= {event["reason"] for event in events["items"]}
    await kubectl("delete", "jj", "whole", kubectl.timeout)
    assert "NotFound" in (await kubectl.run("get", "jj", "whole"))[1]


async def test_explain_knows_every_field(jennah: Installation) -> None:
    explained = await jennah.kubectl("explain", "jennahjob.spec")
    for field in ("activeDeadlineSeconds", "completions", "ttlSecondsAfterFinished"):
        assert field in explained
    assert "Immutable, but for suspend" in explained


async def test_jobs_are_selected_by_phase_tenant_and_provider(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("chosen", command='["true"]', tenantId=jennah.team_tenant, provider=jennah.options.provider)
    await kubectl.wait("chosen", "condition=Complete")
    for selector in (
        "status.phase=Completed",
        f"spec.tenantId={jennah.team_tenant}",
        f"spec.provider={jennah.options.provider}",
    ):
        assert "chosen" in await kubectl("get", "jj", "--field-selector", selector, "-o", "name")
    assert "chosen" not in await kubectl("get", "jj", "--field-selector", "status.phase=Failed", "-o", "name")
    assert "chosen" in await kubectl(
        "get", "jj", "-l", f"jennah.alphaus.cloud/tenant={jennah.team_tenant}", "-o", "name"
    )


async def test_an_array_job_counts_its_tasks(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("many-tasks", command='[sh, -c, "sleep 1"]', completions="4", parallelism="2")
    await kubectl.wait("many-tasks", "condition=Complete")
    tasks = json.loads(await kubectl.field("many-tasks", ".status.tasks"))
    assert (tasks["total"], tasks["succeeded"]) == (4, 4)


async def test_a_job_that_fails_tells_its_exit_code(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("exits-with-3", command='[sh, -c, "exit 3"]', backoffLimit="0")
    await kubectl.wait("exits-with-3", "condition=Failed")
    assert await kubectl.field("exits-with-3", ".status.exitCode") == "3"
    assert await kubectl.field("exits-with-3", ".status.reason") == "NonZeroExitCode"


async def test_an_unknown_profile_fails_the_job_and_lists_the_known_ones(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("giant", resources="{profile: giant}")
    await kubectl.wait("giant", "condition=Failed")
    assert "small" in await kubectl.field("giant", ".status.message")
    assert await kubectl.field("giant", ".status.submittedAt") == ""


async def test_a_suspended_job_waits_until_it_may_go(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("held", command='["true"]', suspend="true")
    await kubectl.wait("held", "condition=Suspended")
    assert await kubectl.field("held", ".status.submittedAt") == ""
    await kubectl("patch", "jj", "held", "--type", "merge", "-p", '{"spec":{"suspend":false}}')
    await kubectl.wait("held", "condition=Complete")


async def test_a_job_that_waits_for_a_secret_says_so_once_and_runs_when_it_is_there(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    # What only looks at commands does not know the environment's values.
    script = 'case "$PASSWORD" in s3*3) exit 0;; esac; exit 1' if jennah.runs_commands else "exit 0"
    await kubectl.apply("waits", command=f"[sh, -c, '{script}']", envFrom="[{secretRef: {name: later}}]")
    await kubectl.wait("waits", "condition=EnvironmentReady=False")
    await kubectl("create", "secret", "generic", "later", f"--from-literal=PASSWORD={SECRET}")
    await kubectl.wait("waits", "condition=Complete")
    events = await kubectl("get", "events", "--field-selector", "involvedObject.name=waits", "-o", "json")
    told = [event for event in json.loads(events)["items"] if event["reason"] == "WaitingForEnvironment"]
    assert [(event["type"], "secret later does not exist" in event["message"]) for event in told] == [("Warning", True)]
    assert "WaitingForEnvironment" in await kubectl("describe", "jj", "waits")
    assert SECRET not in events


async def test_a_job_that_is_cancelled_ends_as_cancelled(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("unwanted", command='[sleep, "600"]')
    await kubectl.wait("unwanted", "jsonpath={.status.phase}=Running")
    await kubectl("patch", "jj", "unwanted", "--type", "merge", "-p", '{"spec":{"cancel":true}}')
    await kubectl.wait("unwanted", "condition=Cancelled")
    assert await kubectl.field("unwanted", ".status.phase") == "Cancelled"


async def test_deleting_a_running_job_ends_it_before_the_object_goes(jennah: Installation) -> None:
    kubectl, gate = jennah.kubectl, jennah.gate()
    await kubectl.apply("long", command=json.dumps(["sh", "-c", gate.script]))
    await kubectl.wait("long", "jsonpath={.status.phase}=Running")
    assert "jennah.alphaus.cloud/cloud-job" in await kubectl.field("long", ".metadata.finalizers")
    job = await jennah.job("long", jennah.team)
    assert await gate.is_alive(job)
    await kubectl("delete", "jj", "long", kubectl.timeout)
    assert not await gate.is_alive(job)
    assert (await jennah.get(job.job_id, jennah.team_tenant))["status"] == "CANCELLED"


async def test_the_object_goes_some_time_after_its_end(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("brief", command='["true"]', ttlSecondsAfterFinished="1")
    await kubectl.wait("brief", "delete")


async def test_a_job_that_takes_too_long_is_ended(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("slow", command='[sleep, "600"]', activeDeadlineSeconds="1", backoffLimit="3")
    await kubectl.wait("slow", "condition=Failed")
    assert await kubectl.field("slow", ".status.reason") == "DeadlineExceeded"
    assert await kubectl.field("slow", ".status.retries") == "", "it would be late again"


async def test_what_cannot_be_meant_is_refused_by_kubectl_apply(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    code, output = await kubectl.run("apply", "-f", "-", stdin=manifest("bad", parallelism="3"))
    assert code != 0
    assert "parallelism must not exceed completions" in output
    await kubectl.apply("fixed", suspend="true")
    code, output = await kubectl.run("apply", "-f", "-", stdin=manifest("fixed", suspend="true", priority="5"))
    assert code != 0
    assert "immutable" in output


async def test_status_is_a_subresource(jennah: Installation) -> None:
    """What is applied does not reach it, nor does a write of it reach the spec (where anybody may write it at all)."""
    kubectl = jennah.kubectl
    await kubectl.apply("honest", suspend="true", priority="7")
    await kubectl.wait("honest", "condition=Suspended")
    await kubectl("patch", "jj", "honest", "--type", "merge", "-p", '{"status":{"phase":"Completed"}}')
    assert await kubectl.field("honest", ".status.phase") == "Pending"
    patch = '{"spec":{"priority":1,"suspend":false},"status":{"message":"by hand"}}'
    code, output = await kubectl.run("patch", "jj", "honest", "--subresource=status", "--type", "merge", "-p", patch)
    assert code == 0 or "only Jennah's controller writes the status" in output
    assert await kubectl.field("honest", ".spec.priority") == "7"
    assert await kubectl.field("honest", ".spec.suspend") == "true"


@pytest.mark.local_provider
async def test_a_command_that_does_not_exist_fails_and_names_it(jennah: Installation) -> None:
    kubectl = jennah.kubectl
    await kubectl.apply("nothing", command="[no-such-program]")
    await kubectl.wait("nothing", "condition=Failed")
    assert "no-such-program" in await kubectl.field("nothing", ".status.message")
    assert await kubectl.field("nothing", ".status.exitCode") == "127"
