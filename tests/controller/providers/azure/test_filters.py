"""A service that does not filter lists by the beginning of ids, though its documentation says that it does."""

import logging

import pytest

from controller.domain.phases import Phase
from tests.controller.providers.azure.harness import Service, ref, wanted


async def test_lists_are_read_in_full_where_they_cannot_be_filtered_by_the_beginning_of_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with Service(takes_prefixes=False).serving() as service:
        provider = service.provider()
        one, many = wanted(("exit", "0")), wanted(("exit", "0"), completions=40)
        paths = [(await provider.submit(request)).resource_path for request in (one, many)]
        service.clock.advance(100)
        refs = [ref(request, path) for request, path in zip((one, many), paths, strict=True)]
        for _ in range(2):
            seen = await provider.observe(refs)
            assert [seen[known.external_name].phase for known in refs] == [Phase.COMPLETED] * 2
        found = await service.provider().get(ref(many))
        assert found is not None
        assert (found.phase, found.tasks) == (Phase.COMPLETED, seen[many.external_name].tasks)
        await provider.delete(refs[1])
        assert await provider.get(refs[1]) is None
    assert len(caplog.messages) == len(set(caplog.messages)) + 1, "once for each filter; two processes list tasks"


async def test_lists_are_read_in_full_where_they_cannot_be_filtered_at_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with Service(takes_filters=False).serving() as service:
        provider = service.provider()
        request, lasts = wanted(("exit", "0")), wanted(("sleep", "100000"))
        refs = [ref(one, (await provider.submit(one)).resource_path) for one in (request, lasts)]
        for phase in (Phase.RUNNING, Phase.COMPLETED, Phase.COMPLETED):
            seen = await provider.observe(refs)
            assert seen[request.external_name].phase in (phase, Phase.PENDING, Phase.SCHEDULED)
            service.clock.advance(100)
        assert seen[request.external_name].phase is Phase.COMPLETED
        assert [one.seen.uid for one in await provider.unclaimed(set())] == [lasts.uid]
        refused = service.counts["list_tasks"]
        await provider.observe(refs)
        assert service.counts["list_tasks"] == refused + 1, "the filter is not tried again"
    assert len(set(caplog.messages)) == len(caplog.messages)
