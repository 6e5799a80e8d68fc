"""Bad input gets a clear answer and changes nothing: each case through the real HTTP server."""

import gzip
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.gen import deployment_pb2 as pb
from tests.api.harness import IMAGE, SERVICE, TENANT, Api, wipe

LONG_ID = "a" * 37

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api: Api) -> Api:
    """One for all: bad input changes nothing."""
    return shared_api


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_changes(api: Api) -> AsyncIterator[None]:
    before = await api.count()
    yield
    assert await api.count() == before


async def refused(api: Api, code: str, *parts: str, method: str = "SubmitJob", message: object = None) -> None:
    reply = await api.call(method, message)
    assert (reply.status, reply.code) == ({"invalid_argument": 400, "not_found": 404}[code], code), reply.data
    for part in parts:
        assert part in reply.message


SUBMISSIONS = [
    ("image_uri is required", {}),
    ("image_uri is required", {"image_uri": "  "}),
    ("image_uri: 'iiiii", {"image_uri": "i" * 1025}),
    ("image_uri: 'a\\x00b' is not an image", {"image_uri": "a\0b"}),
    ("job_id is longer than 36", {"job_id": LONG_ID}),
    ("job_id must consist of", {"job_id": "Upper"}),
    ("job_id must consist of", {"job_id": "../../secrets"}),
    ("job_id must consist of", {"job_id": "a_b"}),
    ("job_id must consist of", {"job_id": "a\0"}),
    ("name is longer than 255", {"name": "n" * 256}),
    ("name must not contain a NUL", {"name": "\0"}),
    ("machine_type is longer than 255", {"machine_type": "m" * 256}),
    ("service_account is longer than 1024", {"service_account": "s" * 1025}),
    ("resource_profile is longer than 50", {"resource_profile": "p" * 51}),
    (
        "resource_profile: unknown resource profile 'huge': known are default, large, medium, small, xlarge",
        {"resource_profile": "huge"},
    ),
    ("boot_disk_size_gb must be at least 10", {"boot_disk_size_gb": 9}),
    ("boot_disk_size_gb must not be negative", {"boot_disk_size_gb": -1}),
    ("boot_disk_size_gb must be at most 65536", {"boot_disk_size_gb": 65537}),
    ("resource_override.cpu_millis must not be negative", {"resource_override": {"cpu_millis": -1}}),
    ("resource_override.cpu_millis must be at most", {"resource_override": {"cpu_millis": 10**12}}),
    ("resource_override.memory_mib must not be negative", {"resource_override": {"memory_mib": -1}}),
    ("resource_override.memory_mib must be at most", {"resource_override": {"memory_mib": str(2**63 - 1)}}),
    ("max_run_duration_seconds must not be negative", {"resource_override": {"max_run_duration_seconds": -5}}),
    ("max_run_duration_seconds must be at most", {"resource_override": {"max_run_duration_seconds": 31536001}}),
    ("commands has more than 1024 items", {"commands": ["x"] * 1025}),
    ("commands[1] has 131072 bytes: Linux takes at most 131071", {"commands": ["x", "y" * 131072]}),
    ("commands[0] has a NUL", {"commands": ["a\0"]}),
    ("commands is larger than", {"commands": ["x" * 131072] * 9}),
    ("commands is larger than", {"commands": ["<&>\u2028" * 16384] * 4}),
    ("'1A' is not a name", {"env_vars": {"1A": "x"}}),
    ("'a-b' is not a name", {"env_vars": {"a-b": "x"}}),
    ("'' is not a name", {"env_vars": {"": "x"}}),
    ("'ä' is not a name", {"env_vars": {"ä": "x"}}),
    ("a name is longer than 253", {"env_vars": {"A" * 254: "x"}}),
    ("env_vars: A has a NUL", {"env_vars": {"A": "\0"}}),
    ("env_vars: A has 131072 bytes: Linux takes at most 131071", {"env_vars": {"A": "x" * 131070}}),
    ("env_vars has more than 1000 items", {"env_vars": {f"A{n}": "" for n in range(1001)}}),
    ("env_vars is larger than", {"env_vars": {f"A{n}": "x" * 131072 for n in range(9)}}),
    ("JENNAH_TASK_COUNT must be a whole number", {"env_vars": {"JENNAH_TASK_COUNT": "many"}}),
    ("JENNAH_TASK_COUNT must be a whole number", {"env_vars": {"JENNAH_TASK_COUNT": "0"}}),
    ("JENNAH_TASK_COUNT must be a whole number", {"env_vars": {"JENNAH_TASK_COUNT": "10001"}}),
    ("JENNAH_TASK_COUNT must be a whole number", {"env_vars": {"JENNAH_TASK_COUNT": "-4"}}),
    ("JENNAH_TASK_COUNT must be a whole number", {"env_vars": {"JENNAH_TASK_COUNT": "٣"}}),
    ("JENNAH_PARALLELISM must be a whole number", {"env_vars": {"JENNAH_PARALLELISM": "2.5"}}),
    ("JENNAH_PARALLELISM is over", {"env_vars": {"JENNAH_TASK_COUNT": "2", "JENNAH_PARALLELISM": "3"}}),
    ("JENNAH_PARALLELISM is over", {"env_vars": {"JENNAH_PARALLELISM": "2"}}),
    ("JENNAH_PARALLELISM is over", {"env_vars": {"ENABLE_DISTRIBUTED_MODE": "true", "JENNAH_PARALLELISM": "5"}}),
    ("completions must be a whole number from 1 to 10000", {"completions": 10001}),
    ("completions must be a whole number from 1 to 10000", {"completions": -1}),
    ("parallelism is over the task count of 2", {"completions": 2, "parallelism": 3}),
    (
        "completions is 2, and env_vars: JENNAH_TASK_COUNT is 3",
        {"completions": 2, "env_vars": {"JENNAH_TASK_COUNT": "3"}},
    ),
    (
        "parallelism is 1, and env_vars: JENNAH_PARALLELISM is 2",
        {"completions": 4, "parallelism": 1, "env_vars": {"JENNAH_PARALLELISM": "2"}},
    ),
    ("image_uri: 'busybox 1.36' is not an image", {"image_uri": "busybox 1.36"}),
    ("image_uri: '--privileged' is not an image", {"image_uri": "--privileged"}),
    ("unknown resource profile 'smal' (did you mean small?): known are default", {"resource_profile": "smal"}),
    ("provider: 'gpc' is not one of gcp, aws, azure, kubernetes, local (did you mean gcp?)", {"provider": "gpc"}),
    ("provider: 'moon' is not one of gcp, aws, azure, kubernetes, local", {"provider": "moon"}),
    ("command has more than 1024 items", {"command": ["x"] * 1025}),
    ("command[0] has 131072 bytes", {"command": ["é" * 65536]}),
    ("command and commands are larger than", {"command": ["x" * 131000] * 4, "commands": ["x" * 131000] * 5}),
    ("gpu.count must be a whole number from 1 to 64", {"gpu": {"type": "nvidia-l4"}}),
    ("gpu.count must be a whole number from 1 to 64", {"gpu": {"count": 65}}),
    ("gpu.type is longer than 128", {"gpu": {"count": 1, "type": "t" * 129}}),
    ("backoff_limit must be at most 10", {"backoff_limit": 11}),
    ("backoff_limit must not be negative", {"backoff_limit": -1}),
    ("preemption_limit must be at most 10", {"preemption_limit": 11}),
    ("priority must be at most 99", {"priority": 100}),
    ("ttl_seconds_after_finished must not be negative", {"ttl_seconds_after_finished": -1}),
    ("pending_deadline_seconds must be at most 31536000", {"pending_deadline_seconds": 31536001}),
    ("pending_deadline_seconds must not be negative", {"pending_deadline_seconds": -1}),
    ("shared_memory_mib must not be negative", {"shared_memory_mib": -1}),
    ("shared_memory_mib: 8192 MiB are more than the memory of 4096 MiB", {"shared_memory_mib": 8192}),
    ("labels has more than 48 items", {"labels": {f"l{n}": "" for n in range(49)}}),
    ("labels: a name is empty", {"labels": {"": "x"}}),
    ("labels: the value of 'team' is longer than 256", {"labels": {"team": "x" * 257}}),
]


@pytest.mark.parametrize(
    ("text", "fields"), SUBMISSIONS, ids=[f"{n} {text}" for n, (text, _) in enumerate(SUBMISSIONS)]
)
async def test_a_submission_that_names_the_wrong_field(api: Api, text: str, fields: dict[str, object]) -> None:
    message = {"image_uri": IMAGE, **fields} if fields else {}
    await refused(api, "invalid_argument", text, message=message)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("image_uri", 5, "image_uri: expected a string, found a number"),
        ("image_uri", ["x"], "image_uri: expected a string, found a list"),
        ("boot_disk_size_gb", "ten", "boot_disk_size_gb: expected a whole number, found a string"),
        ("boot_disk_size_gb", 10.5, "boot_disk_size_gb: expected a whole number, found a number with a fraction"),
        ("boot_disk_size_gb", 2**63, f"boot_disk_size_gb: expected a whole number from {-(2**63)} to {2**63 - 1}"),
        ("boot_disk_size_gb", True, "boot_disk_size_gb: expected a whole number, found true or false"),
        ("use_spot_vms", "yes", "use_spot_vms: expected true or false, found a string"),
        ("commands", "ls", "commands: expected a list of strings, found a string"),
        ("commands", ["ls", None], "commands[1]: expected a string, found null"),
        ("env_vars", ["A=1"], "env_vars: expected an object whose values are strings, found a list"),
        ("env_vars", {"A": "x", "B": 5}, "env_vars.B: expected a string, found a number"),
        ("labels", {"team": True}, "labels.team: expected a string, found true or false"),
        ("resource_override", 7, "resource_override: expected an object, found a number"),
        ("resourceOverride", {"cpuMillis": "much"}, "resourceOverride.cpuMillis: expected a whole number, found a str"),
        ("gpu", {"count": {}}, "gpu.count: expected a whole number, found an object"),
        ("backoff_limit", 2**31, f"backoff_limit: expected a whole number from {-(2**31)} to {2**31 - 1}"),
    ],
)
async def test_a_wrong_type_is_told_with_what_is_expected_and_what_was_found(
    api: Api, field: str, value: object, told: str
) -> None:
    reply = await api.submit(**{field: value})
    assert (reply.status, reply.code) == (400, "invalid_argument")
    assert reply.message.startswith(told)


async def test_what_is_wrong_with_an_environment_never_shows_a_value(api: Api) -> None:
    for env_vars in (["hidden"], {"A": ["hidden"]}, {"A": "hidden\0"}, {"A": {"hidden": 1}}, "hidden"):
        reply = await api.submit(env_vars=env_vars)
        assert reply.code == "invalid_argument"
        assert "hidden" not in reply.message
    reply = await api.submit(env_vars={"JENNAH_TASK_COUNT": "hidden"})
    assert "hidden" not in reply.message


MALFORMED_JSON = {
    "empty": b"",
    "blank": b" ",
    "open": b"{",
    "list": b"[]",
    "null": b"null",
    "number": b"5",
    "NaN": b"NaN",
    "text": b'"text"',
    "mismatched": b"{]",
    "no UTF-8": b"\xff\xfe",
    "no UTF-8 in a text": b'{"image_uri": "\xff"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"job_id": ' * 3000,
    "surrogate": b'{"image_uri": "\\ud800"}',
    "twice": b'{"image_uri": "a", "image_uri": "b"}',
    "endless number": b'{"boot_disk_size_gb": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("data", MALFORMED_JSON.values(), ids=MALFORMED_JSON)
async def test_malformed_json(api: Api, data: bytes) -> None:
    reply = await api.raw(SERVICE + "SubmitJob", data, **{"X-Tenant-Id": TENANT})
    assert (reply.status, reply.code) == (400, "invalid_argument")


@pytest.mark.parametrize("data", [b"\xff", b"\x12\x05ab", b"\x12\x02\xff\xff", b"{}", b"\x07" * 50, b"\x0b" * 500])
async def test_malformed_protobuf(api: Api, data: bytes) -> None:
    headers = {"X-Tenant-Id": TENANT, "Content-Type": "application/proto"}
    reply = await api.raw(SERVICE + "SubmitJob", data, **headers)
    assert (reply.status, reply.code) == (400, "invalid_argument")
    assert reply.headers["Content-Type"] == "application/json"


METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["DeploymentService"].methods]


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_needs_a_tenant(api: Api, method: str) -> None:
    for headers in ({}, {"X-Tenant-Id": ""}, {"X-Tenant-Id": "  "}):
        reply = await api.raw(SERVICE + method, b"{}", **headers)
        assert reply.status == 400
        assert reply.json == {"code": "invalid_argument", "message": "X-Tenant-Id header is required"}


@pytest.mark.parametrize("tenant", [LONG_ID, "a b", "-a", "a/b", "ä", "a,b", "a=b"])
async def test_a_tenant_that_is_no_name(api: Api, tenant: str) -> None:
    for method in METHODS:
        reply = await api.call(method, {"image_uri": IMAGE} if method == "SubmitJob" else {}, tenant=tenant)
        assert reply.code == "invalid_argument"
        assert reply.message.startswith("X-Tenant-Id ")


@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob"])
async def test_a_job_id_is_needed_must_be_one_and_must_be_known(api: Api, method: str) -> None:
    await refused(api, "invalid_argument", "job_id is required", method=method)
    await refused(api, "invalid_argument", "job_id is longer", method=method, message={"job_id": LONG_ID})
    await refused(api, "invalid_argument", "job_id must consist", method=method, message={"job_id": "no/path"})
    await refused(api, "not_found", "not found", method=method, message={"job_id": "unknown"})


@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob"])
async def test_a_job_of_another_tenant_is_not_found(api: Api, method: str) -> None:
    job_id = f"theirs-{method.lower()}"
    await api.submit(job_id=job_id, tenant="tenant-2")
    theirs = await api.job_object(job_id)
    await refused(api, "not_found", f"job {job_id} not found", method=method, message={"job_id": job_id})
    assert await api.job_object(job_id) == theirs
    assert await api.store.get_job("tenant-2", job_id) is not None
    await wipe(api.kube)


@pytest.mark.parametrize(
    ("method", "message", "text"),
    [
        ("ListJobs", {"page_size": -1}, "page_size must not be negative"),
        ("ListJobs", {"page_token": "nonsense"}, "page_token"),
        ("ListJobs", {"page_token": "ä"}, "page_token"),
        ("ListJobs", {"status": "SLEEPING"}, "status must be one of PENDING"),
        ("ListJobs", {"status": "runing"}, "CANCELLED (did you mean RUNNING?)"),
        ("ListJobs", {"created_after": "yesterday"}, "created_after must be an RFC 3339 time"),
        ("ListJobs", {"created_after": "0001-01-01T00:00:00+14:00"}, "created_after must be an RFC 3339 time"),
        ("ListJobs", {"created_after": "2025-01-01T00:00:00"}, "created_after must be an RFC 3339 time"),
        ("ListNotifications", {"limit": -1}, "limit must not be negative"),
        ("AckNotification", {}, "notification_id is required"),
        ("AckNotification", {"notification_id": "n" * 37}, "notification_id must be at most 36"),
    ],
)
async def test_wrong_questions(api: Api, method: str, message: object, text: str) -> None:
    await refused(api, "invalid_argument", text, method=method, message=message)


async def test_an_idempotency_key_must_be_printable(api: Api) -> None:
    for key in ("k" * 256, "a b", "ä"):
        reply = await api.call("SubmitJob", {"image_uri": IMAGE}, Idempotency_Key=key)
        assert (reply.code, reply.message.split()[0]) == ("invalid_argument", "Idempotency-Key")


async def test_a_body_of_10_mb_is_too_much(api: Api) -> None:
    body = json.dumps({"image_uri": IMAGE, "padding": "x" * 10_000_000}).encode()
    for data, encoding in ((body, "identity"), (gzip.compress(body), "gzip")):
        headers = {"X-Tenant-Id": TENANT, "Content-Encoding": encoding}
        reply = await api.raw(SERVICE + "SubmitJob", data, **headers)
        assert (reply.status, reply.code) == (429, "resource_exhausted")
        assert "4194304" in reply.message
