"""More jobs at once than there are workers or connections."""

import asyncio

from controller.domain.phases import Phase
from tests.cluster.installation import Installation
from tests.e2e.client import is_finished

MANY = 100


async def test_a_hundred_jobs_at_once(jennah: Installation) -> None:
    by_api = asyncio.gather(*(jennah.submit("exit 0", name=f"a-{n}", env_vars={"N": str(n)}) for n in range(MANY // 2)))
    by_kubectl = asyncio.gather(*(jennah.create(f"many-{n}", "exit 0", jennah.team) for n in range(MANY // 2)))
    submitted, created = await asyncio.gather(by_api, by_kubectl)
    ended = await jennah.wait_for(submitted, is_finished, "finished")
    ended |= await jennah.wait_for([job.metadata.name for job in created], is_finished, "finished", jennah.team)
    assert len(ended) == MANY
    assert {job.status.phase for job in ended.values()} == {Phase.COMPLETED}
    assert len({job.status.external_name for job in ended.values()}) == MANY
