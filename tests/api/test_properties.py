"""Whatever a request holds: never a 500, the same resource in both codecs, and no field that was not sent."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.gen import deployment_pb2 as pb
from tests.api.harness import IMAGE, SERVICE, TENANT, Api, Reply

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["DeploymentService"].methods]
COUNT = itertools.count()
DEFAULTS = {"backoffLimit", "preemptionLimit", "completions", "suspend", "deletionPolicy"}
SENT_AS = {
    "command": "command",
    "pendingDeadlineSeconds": "pending_deadline_seconds",
    "labels": "labels",
    "provider": "provider",
    "args": "commands",
    "envFrom": "env_vars",
    "machineType": "machine_type",
    "bootDiskGiB": "boot_disk_size_gb",
    "spot": "use_spot_vms",
    "serviceAccount": "service_account",
    "displayName": "name",
}
# One API serves all examples of a test: none of them depends on what another left.
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(max_size=20)
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.integers(0, 10) | st.integers(-(2**31), 2**31 - 1)
sensible = st.integers(0, 10_000)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
task_counts = st.dictionaries(
    st.sampled_from(["JENNAH_TASK_COUNT", "JENNAH_PARALLELISM", "ENABLE_DISTRIBUTED_MODE"]),
    st.sampled_from(["1", "4", "10000", "10001", "true", "x", ""]),
)


def submissions(text: st.SearchStrategy[str], number: st.SearchStrategy[int]) -> st.SearchStrategy[pb.SubmitJobRequest]:
    override = st.builds(pb.ResourceOverride, cpu_millis=number, memory_mib=number, max_run_duration_seconds=number)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "env_vars": st.dictionaries(names, text, max_size=3) | task_counts | st.dictionaries(text, text, max_size=3),
        "resource_profile": st.sampled_from(["", "small", "xlarge"]) | text,
        "resource_override": override,
        "name": text,
        "machine_type": text,
        "boot_disk_size_gb": number,
        "use_spot_vms": st.booleans(),
        "service_account": text,
        "commands": st.lists(text, max_size=3),
        "command": st.lists(text, max_size=3),
        "gpu": st.builds(pb.Gpu, type=text, count=int32),
        "labels": st.dictionaries(text, text, max_size=3),
        "provider": st.sampled_from(["", "gcp", "local", "moon"]),
        "pending_deadline_seconds": number,
        "shared_memory_mib": number,
        **dict.fromkeys(("backoff_limit", "preemption_limit", "priority", "ttl_seconds_after_finished"), int32),
        **dict.fromkeys(("completions", "parallelism"), int32),
    }
    fields = st.fixed_dictionaries({"image_uri": st.just(IMAGE) | text}, optional=optional)
    return fields.map(_message)


def _message(fields: dict[str, Any]) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(**fields)


async def send(api: Api, method: str, message: pb.SubmitJobRequest, codec: str) -> Reply:
    data = message.SerializeToString() if codec == "proto" else json_format.MessageToJson(message).encode()
    headers = {"Content-Type": f"application/{codec}", "X-Tenant-Id": TENANT}
    return await api.raw(SERVICE + method, data, **headers)


@quick
@given(request=submissions(texts, int64) | submissions(names, sensible))
async def test_both_codecs_make_the_same_resource_and_nothing_that_was_not_sent(
    api: Api, request: pb.SubmitJobRequest
) -> None:
    specs, replies = [], []
    for codec in ("proto", "json"):
        request.job_id = f"job-{next(COUNT)}"
        reply = await send(api, "SubmitJob", request, codec)
        replies.append((reply.status, reply.message if reply.status != 200 and reply.data[:1] == b"{" else ""))
        if reply.status == 200:
            item = await api.job_object(request.job_id)
            text = json.dumps(item["spec"]).replace(request.job_id, "job")
            # Each submission has a Secret of its own.
            specs.append(json.loads(re.sub(r"[a-z0-9-]+-env-\w+", "job-env", text)))
    assert replies[0] == replies[1]
    assert replies[0][0] in (200, 400)
    if specs:
        assert specs[0] == specs[1]
        assert set(unsent(request, specs[0])) == set()


def unsent(request: pb.SubmitJobRequest, spec: dict[str, Any]) -> Iterator[str]:
    """Fields of the resource that the request has not."""
    for field in spec.keys() - DEFAULTS - {"image", "tenantId", "jobId"}:
        sent: object
        if field == "activeDeadlineSeconds":
            sent = request.resource_override.max_run_duration_seconds
        elif field == "parallelism":
            sent = request.parallelism or "JENNAH_PARALLELISM" in request.env_vars
        elif field == "priority":
            sent = request.HasField("priority")
        elif field == "ttlSecondsAfterFinished":
            sent = request.HasField("ttl_seconds_after_finished")
        elif field == "resources":
            sent = request.resource_profile or request.resource_override != pb.ResourceOverride()
            sent = sent or request.shared_memory_mib or request.HasField("gpu")
        else:
            sent = getattr(request, SENT_AS[field])
        if not sent:
            yield field


@quick
@given(
    method=st.sampled_from([*METHODS, "Nope", ""]),
    data=st.binary(max_size=200) | st.recursive(st.none() | texts | int64, st.lists).map(json.dumps).map(str.encode),
    content_type=st.sampled_from(["application/json", "application/proto", "text/plain"]),
    encoding=st.sampled_from(["identity", "gzip", "br"]),
    tenant=st.sampled_from([TENANT, "", "a b"]),
)
async def test_random_bytes_never_break_it(
    api: Api, method: str, data: bytes, content_type: str, encoding: str, tenant: str
) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": encoding, "X-Tenant-Id": tenant}
    reply = await api.raw(SERVICE + method, data, **headers)
    assert reply.status in (200, 400, 404, 415, 429, 501), reply.data
    assert b"Traceback" not in reply.data
    if reply.status != 200:
        assert set(reply.json) == {"code", "message"}


@quick
@given(
    method=st.sampled_from(METHODS),
    message=st.dictionaries(
        st.sampled_from(["job_id", "jobId", "page_size", "page_token", "status", "created_after", "limit"])
        | st.sampled_from(["notification_id", "env_vars", "commands", "image_uri", "resource_override"]),
        st.none() | texts | int64 | st.booleans() | st.lists(texts, max_size=2) | st.dictionaries(texts, texts),
    ),
)
async def test_any_json_gets_an_answer_of_the_protocol(api: Api, method: str, message: dict[str, Any]) -> None:
    reply = await api.raw(SERVICE + method, json.dumps(message).encode(), **{"X-Tenant-Id": TENANT})
    assert reply.status in (200, 400, 404), reply.data


@pytest.mark.parametrize("method", METHODS)
async def test_an_empty_message_never_breaks_it(api: Api, method: str) -> None:
    assert (await send(api, method, pb.SubmitJobRequest(), "proto")).status in (200, 400, 404)
