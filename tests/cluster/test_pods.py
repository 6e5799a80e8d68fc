"""What only containers on nodes show, with the provider `kubernetes` (`make kind`, or a cluster with nodes)."""

import pytest

from controller.domain import conditions, reasons
from controller.domain.job import Job
from controller.domain.phases import Phase
from tests.cluster.installation import Installation
from tests.cluster.test_logs import logs
from tests.e2e.client import is_finished

pytestmark = pytest.mark.kubelet


async def test_each_task_of_an_array_is_told_its_index(jennah: Installation) -> None:
    name = await jennah.submit("echo $BATCH_TASK_INDEX of $BATCH_TASK_COUNT", env_vars={"JENNAH_TASK_COUNT": "3"})
    await jennah.wait_for([name], is_finished, "finished")
    _, output, _ = await logs(jennah, "-n", jennah.namespace, name)
    assert sorted(output.splitlines()) == ["[0] 0 of 3", "[1] 1 of 3", "[2] 2 of 3"]


async def test_a_job_that_needs_more_memory_than_it_has_is_told_so(jennah: Installation) -> None:
    await jennah.create("greedy", "exec tail /dev/zero", jennah.team, backoffLimit=0, resources={"memory": "16Mi"})
    job = (await jennah.wait_for(["greedy"], is_finished, "finished", jennah.team))["greedy"]
    assert (job.status.phase, job.status.reason) == (Phase.FAILED, reasons.OUT_OF_MEMORY)


async def test_an_image_that_is_not_there_is_a_condition_and_the_job_can_be_given_up(jennah: Installation) -> None:
    await jennah.create("no-image", "true", jennah.team, image="localhost/no-such-image:1")

    def is_told(job: Job) -> bool:
        found = {one.type: one.reason for one in job.status.conditions}
        return found.get(conditions.SCHEDULED) == reasons.IMAGE_PULL_FAILED

    await jennah.wait_for(["no-image"], is_told, "told that its image cannot be pulled", jennah.team)
    await jennah.kubectl("patch", "jj", "no-image", "--type", "merge", "-p", '{"spec":{"cancel":true}}')
    await jennah.kubectl.wait("no-image", "condition=Cancelled")
