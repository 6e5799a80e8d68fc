"""What the service that a job goes to refuses is told at once, in the words of the wire."""

from collections.abc import Mapping

import msgspec
import pytest

from api.checks import UNSET_AT_0
from api.gen import deployment_pb2 as pb
from api.wire_names import WIRE, translated
from controller.domain.job import JobSpec
from controller.domain.resources import ResourceSet, Sizing
from controller.kube.client import KubeClient
from controller.providers import services
from controller.providers.program import invalid
from controller.stores.sqlite import SqliteStore
from tests.api.harness import api_settings, serving


def refuse_spot(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    if spec.spot:
        raise invalid("spot", f"there is none for {resources.memory_mib} MiB and {env['A']}; lower resources.memory")


@pytest.mark.parametrize(
    ("default", "provider", "is_refused"),
    [("gcp", "", True), ("aws", "gcp", True), ("", "gcp", True), ("gcp", "aws", False), ("", "", False)],
)
async def test_the_rules_are_those_of_the_service_that_the_job_goes_to(
    kube: KubeClient,
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    default: str,
    provider: str,
    is_refused: bool,
) -> None:
    monkeypatch.setitem(services._RULES, "gcp", refuse_spot)
    monkeypatch.setitem(services._RULES, "aws", lambda *_: None)
    async with serving(kube, store, api_settings(provider=default)) as api:
        before = await api.count()
        reply = await api.submit(use_spot_vms=True, provider=provider, env_vars={"A": "words"})
        if not is_refused:
            assert reply.status == 200, reply.data
            return
        told = "use_spot_vms: there is none for 4096 MiB and words; lower resource_override.memory_mib"
        assert (reply.code, reply.message) == ("invalid_argument", told)
        assert await api.count() == before


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        ("spec.image: 'a b' is not an image", "image_uri: 'a b' is not an image"),
        ("spec.args[3] has 9 bytes", "commands[3] has 9 bytes"),
        ("spec.env: A has 9 bytes", "env_vars: A has 9 bytes"),
        ("spec.command, spec.args and spec.env have 9 bytes", "command, commands and env_vars have 9 bytes"),
        ("spec.resources.gpu.type: unknown", "gpu.type: unknown"),
        ("resources.sharedMemory: over resources.memory", "shared_memory_mib: over resource_override.memory_mib"),
        ("spec.activeDeadlineSeconds: at most 9", "resource_override.max_run_duration_seconds: at most 9"),
        ("no such image in the command of the env", "no such image in the command of the env"),
        ("spec.gcp.network: wrong", "spec.gcp.network: wrong"),
        ("'machineType' and my-spec.image are a user's", "'machineType' and my-spec.image are a user's"),
    ],
)  # fmt: skip
def test_fields_are_called_as_the_caller_knows_them(message: str, wire: str) -> None:
    assert translated(message) == wire


def test_every_field_of_the_request_has_a_name_that_messages_are_translated_to() -> None:
    """But those that no rule of a service can name, and what no caller of the API can say."""
    request = pb.SubmitJobRequest.DESCRIPTOR.fields_by_name.keys()
    assert {wire.partition(".")[0] for wire in WIRE.values()} == set(request)
    spec = {field.encode_name for field in msgspec.structs.fields(JobSpec)}
    not_said = {"gcp", "aws", "azure", "kubernetes", "tenantId", "suspend", "cancel", "deletionPolicy"}
    assert {path.partition(".")[0] for path in WIRE} == spec - not_said
    assert {field.partition(".")[0] for field in UNSET_AT_0} <= set(request)
