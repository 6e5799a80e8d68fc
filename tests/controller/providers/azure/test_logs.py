"""``jennah logs`` of jobs on Azure Batch: from the node, or from the Blob container that keeps the output."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from controller.domain.errors import ConfigError, NotFound, Unavailable
from controller.domain.job import Job, JobStatus, Metadata
from controller.domain.phases import Phase
from controller.ports import SubmitRequest
from controller.providers.azure import logs
from controller.providers.azure.provider import AzureProvider
from tests.controller.providers.azure.harness import Service, answer, wanted


async def shown(
    service: Service, request: SubmitRequest, path: str, monkeypatch: pytest.MonkeyPatch, **status: object
) -> list[str]:
    settings = {"ENDPOINT": service.emulator.url, "ACCOUNT": "jennah", "KEY": service.provider()._settings.account_key}
    for name, text in settings.items():
        monkeypatch.setenv(f"AZURE_BATCH_{name}", text)
    told = JobStatus(provider="azure", resource_path=path, **status)
    job = Job(metadata=Metadata(name="j", uid=request.uid), spec=request.spec, status=told)
    return [line async for line in logs.lines(job)]


async def test_the_lines_of_a_job_and_of_each_task_of_a_set(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = wanted(("true",)), wanted(("true",), completions=2)
    paths = [(await provider.submit(request)).resource_path for request in (one, two)]
    service.clock.advance(1)
    assert await shown(service, one, paths[0], monkeypatch) == ["stdout.txt: true", "stderr.txt: true"]
    assert await shown(service, two, paths[1], monkeypatch) == [
        f"[{index}] {name}.txt: true" for index in range(2) for name in ("stdout", "stderr")
    ]


async def test_credentials_go_to_no_other_address_than_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT", raising=False)
    status = JobStatus(provider="azure", resource_path="https://evil.example.com/jobs/j/tasks/t")
    job = Job(metadata=Metadata(name="j", uid="u"), spec=wanted().spec, status=status)
    with pytest.raises(ConfigError, match="AZURE_BATCH_ENDPOINT"):
        [line async for line in logs.lines(job)]


@contextlib.asynccontextmanager
async def container(files: dict[str, bytes]) -> AsyncIterator[str]:
    """A Blob container that is read by a signature; its URL."""

    async def get(request: web.Request) -> web.StreamResponse:
        found = files.get(request.path)
        if request.query.get("sig") != "s3cret" or found is None:
            return web.Response(status=404)
        return web.Response(body=found)

    app = web.Application()
    app.router.add_get("/{path:.+}", get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/logs?sig=s3cret"
    finally:
        await runner.cleanup()


async def ran(service: Service, provider: AzureProvider) -> tuple[SubmitRequest, str]:
    request = wanted(("true",))
    path = (await provider.submit(request)).resource_path
    service.clock.advance(1)
    return request, path


async def test_what_a_node_that_has_gone_does_not_have_is_read_from_the_container(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, path = await ran(service, provider)
    [job] = service.emulator.service.jobs.values()
    service.answer("get_file", answer(409, "NodeNotFound"), answer(404, "FileNotFound"))
    async with container({f"/logs/{job.id}/{request.external_name}/stdout.txt": b"kept\n" * 3}) as url:
        monkeypatch.setenv("AZURE_OUTPUT_URL", url)
        assert await shown(service, request, path, monkeypatch) == ["kept"] * 3


async def test_that_nothing_is_left_is_said_with_the_variable_that_would_have_kept_it(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, path = await ran(service, provider)
    service.answer("get_file", *[answer(404, "NodeNotFound")] * 2)
    with pytest.raises(NotFound, match="AZURE_OUTPUT_URL"):
        await shown(service, request, path, monkeypatch)


async def test_of_a_job_that_never_ran_it_is_said_why(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = wanted(("true",))
    path = (await provider.submit(request)).resource_path
    with pytest.raises(NotFound, match=r"no output.*it failed: ImagePullFailed: the image"):
        await shown(
            service, request, path, monkeypatch, phase=Phase.FAILED, reason="ImagePullFailed", message="the image"
        )


async def test_a_container_that_cannot_be_reached_is_said_without_its_signature(
    service: Service, provider: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, path = await ran(service, provider)
    service.answer("get_file", answer(404, "NodeNotFound"))
    monkeypatch.setenv("AZURE_OUTPUT_URL", "http://127.0.0.1:1/logs?sig=s3cret")
    with pytest.raises(Unavailable) as error:
        await shown(service, request, path, monkeypatch)
    assert "s3cret" not in str(error.value)


async def test_lines_are_whole_however_their_text_is_cut() -> None:
    text = "naïve\r\nzweite Zeile: ü\n\nlast".encode()

    async def parts(size: int) -> AsyncIterator[bytes]:
        for begin in range(0, len(text), size):
            yield text[begin : begin + size]

    for size in range(1, len(text) + 1):
        assert [line async for line in logs.split(parts(size))] == ["naïve", "zweite Zeile: ü", "", "last"]


async def test_a_text_that_stops_in_the_middle_is_an_error_after_what_came_of_it() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one\ntwo"
        raise TimeoutError

    came = []
    with pytest.raises(Unavailable, match="cut off"):
        async for line in logs.split(parts()):
            came.append(line)
    assert came == ["one"]
