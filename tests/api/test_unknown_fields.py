"""Fields of JSON requests that there are not: misspelt ones are refused with the one that was meant, others are told.

A job whose size, image or arguments were lost with a misspelt name would run all the same, and be another one.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.protobuf.descriptor import FieldDescriptor

from api.connect.endpoint import WARNINGS_MAX
from api.connect.json_types import UNKNOWN_MAX
from api.gen import deployment_pb2 as pb
from tests.api.harness import IMAGE, SERVICE, TENANT, Api, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = {method.name: method for method in pb.DESCRIPTOR.services_by_name["DeploymentService"].methods}


@pytest.fixture
def api(shared_api: Api) -> Api:
    """One for all: what is refused or read changes nothing."""
    return shared_api


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_changes(api: Api) -> AsyncIterator[None]:
    before = await api.count()
    yield
    assert await api.count() == before


def warnings(reply: Reply) -> list[str]:
    return reply.headers.getall("Warning", [])  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"commnds": ["ls"]}, "commnds: there is no such field (did you mean commands?)"),
        ({"Command": ["ls"]}, "Command: there is no such field (did you mean command?)"),
        ({"resource_overide": {}}, "resource_overide: there is no such field (did you mean resource_override?)"),
        ({"imageUrl": "x"}, "imageUrl: there is no such field (did you mean imageUri?)"),
        ({"image": "x"}, "image: there is no such field (did you mean image_uri?)"),
        ({"env_var": {"A": "hidden"}}, "env_var: there is no such field (did you mean env_vars?)"),
        ({"use-spot-vms": True}, "use-spot-vms: there is no such field (did you mean use_spot_vms?)"),
        ({"id": "a"}, "id: there is no such field (did you mean job_id?)"),
        ({"cpuMillis": 5}, "cpuMillis: there is no such field (did you mean resourceOverride.cpuMillis?)"),
        ({"memory_mib": 5}, "memory_mib: there is no such field (did you mean resource_override.memory_mib?)"),
        ({"gpu_type": "l4"}, "gpu_type: there is no such field (did you mean gpu.type?)"),
        (
            {"resource_override": {"memory": 5}},
            "resource_override.memory: there is no such field (did you mean memory_mib?)",
        ),
        ({"gpu": {"counts": 1}}, "gpu.counts: there is no such field (did you mean count?)"),
        ({"commnds": None}, "commnds: there is no such field (did you mean commands?)"),
        ({"image_uri": IMAGE, "imageUri": IMAGE}, "imageUri: is there as image_uri as well; leave out one of them"),
        ({"gpu": {"count": 1}, "resourceProfile": "small", "resource_profile": None}, "resourceProfile: is there as"),
        ({"gpu": []}, "gpu: expected an object, found a list"),
        ({"gpu": ""}, "gpu: expected an object, found a string"),
        ({"commands": {}}, "commands: expected a list of strings, found an object"),
        ({"env_vars": []}, "env_vars: expected an object whose values are strings, found a list"),
        ({f"x{n}": 1 for n in range(UNKNOWN_MAX + 1)}, f"there are more than {UNKNOWN_MAX} unknown fields, such as x"),
    ],
)
async def test_a_field_that_was_meant_to_be_another_runs_no_job(api: Api, fields: dict[str, object], told: str) -> None:
    reply = await api.submit(**fields)
    assert (reply.status, reply.code) == (400, "invalid_argument")
    assert reply.message.startswith(told)
    assert "hidden" not in reply.message


@pytest.mark.parametrize("method", METHODS)
async def test_every_field_of_every_method_is_known_by_a_letter_less(api: Api, method: str) -> None:
    known = METHODS[method].input_type.fields
    for field in known:
        for name in (field.name, field.json_name):
            for misspelt in {name[:-1], f"{name[0]}_{name[1:]}"} - {other.name for other in known}:
                reply = await api.call(method, {misspelt: None})
                assert reply.code == "invalid_argument", (misspelt, reply.data)
                assert reply.message.startswith(f"{misspelt}: there is no such field (did you mean "), misspelt


@pytest.mark.parametrize("method", METHODS)
async def test_a_field_that_is_near_to_none_is_ignored_and_told(api: Api, method: str) -> None:
    first, second = [await api.call(method, message) for message in ({}, {"foo": 1, "colour": [{"a": {"b": 2}}]})]
    assert (first.status, first.data) == (second.status, second.data)
    assert warnings(first) == []
    assert warnings(second) == ['299 - "unknown field foo"', '299 - "unknown field colour"']


async def test_a_warning_is_short_ascii_and_no_header_of_its_own(api: Api) -> None:
    fields = {'a"\r\nX-Evil: 1': 1, "ж\\": 2, "z" * 100_000: 3, **{f"x{number}": 4 for number in range(20)}}
    reply = await api.call("ListJobs", fields)
    assert reply.status == 200
    assert "X-Evil" not in reply.headers
    told = warnings(reply)
    assert told[:3] == [
        '299 - "unknown field a???X-Evil: 1"',
        '299 - "unknown field ??"',
        f'299 - "unknown field {"z" * 64}"',
    ]
    assert len(told) == WARNINGS_MAX + 1
    assert told[-1] == f'299 - "{len(fields) - WARNINGS_MAX} more unknown fields"'


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"image_uri": "a", "image_uri": "b"}', "image_uri"),
        ('{"image_uri": "a", "env_vars": {"A": "hidden", "A": "hidden"}}', "A"),
        ('{"image_uri": "a", "gpu": {"count": 1, "count": 2}}', "count"),
        ('{"image_uri": "a", "foo": [{"b": {"c": 1, "c": 1}}]}', "c"),
    ],
)
async def test_a_key_is_in_an_object_once(api: Api, body: str, key: str) -> None:
    reply = await api.raw(SERVICE + "SubmitJob", body.encode(), **{"X-Tenant-Id": TENANT})
    told = f"malformed JSON: the key '{key}' is there twice in one object"
    assert (reply.code, reply.message) == ("invalid_argument", told)


async def test_fields_of_binary_messages_that_are_not_known_are_the_protocols_business(api: Api) -> None:
    headers = {"X-Tenant-Id": TENANT, "Content-Type": "application/proto"}
    unknown_number = bytes([0xFA, 0x3F, 1, 0x78])  # field 1023, a text
    reply = await api.raw(SERVICE + "ListJobs", unknown_number, **headers)
    assert (reply.status, warnings(reply)) == (200, [])


async def test_every_field_can_be_said_in_both_spellings(api: Api) -> None:
    """Though some are near to each other: `command` and `commands`."""
    values = {
        FieldDescriptor.CPPTYPE_STRING: "",
        FieldDescriptor.CPPTYPE_BOOL: False,
        FieldDescriptor.CPPTYPE_INT32: 0,
        FieldDescriptor.CPPTYPE_INT64: "0",
    }
    for method in METHODS.values():
        for field in method.input_type.fields:
            for name in (field.name, field.json_name):
                value = [] if field.is_repeated else values.get(field.cpp_type, {})
                if field.message_type is not None:
                    value = {}
                reply = await api.call(method.name, {name: value})
                assert "no such field" not in reply.message if reply.status != 200 else not warnings(reply)
