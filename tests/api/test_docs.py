"""docs/api.md is true: its examples work, its tables have every field and the protocol's statuses."""

import json
import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from api.connect.errors import HTTP_STATUS, Code
from api.gen import deployment_pb2 as pb
from tests.api.harness import SERVICE, Api

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BODIES = re.findall(r"-d '(\{.*?\})'", PAGE) + re.findall(r"```json\n(.*?)```", PAGE, re.S)
REFUSED = [body for body in BODIES if '"commands": "' in body or "overide" in body]


def test_every_field_of_submit_job_has_its_row() -> None:
    def leaves(message: Descriptor, prefix: str = "") -> set[str]:
        found: set[str] = set()
        for field in message.fields:
            inner = field.message_type
            is_map = inner is not None and inner.GetOptions().map_entry
            found |= leaves(inner, f"{field.name}.") if inner and not is_map else {prefix + field.name}
        return found

    assert set(re.findall(r"^\| `([a-z_.]+)` \| (?:list|object|string|int|bool)", PAGE, re.M)) == leaves(
        pb.SubmitJobRequest.DESCRIPTOR
    )


def test_the_codes_have_the_protocols_statuses() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([0-9, ]+) \|", PAGE, re.M))
    assert len(rows) > 10
    for code, statuses in rows.items():
        assert HTTP_STATUS[Code(code)] in {int(status) for status in statuses.split(",")}, code


@pytest.mark.parametrize("body", [body for body in BODIES if body not in REFUSED])
async def test_the_examples_are_requests_that_the_api_takes(api: Api, body: str) -> None:
    assert (len(BODIES), len(REFUSED)) == (5, 2)
    reply = await api.submit(**json.loads(body))
    assert reply.status == 200, reply.data
    known = pb.SubmitJobRequest.DESCRIPTOR.fields_by_name
    assert json.loads(body).keys() <= set(known)


@pytest.mark.parametrize("body", REFUSED)
async def test_the_examples_of_errors_are_what_the_api_says(api: Api, body: str) -> None:
    reply = await api.raw(SERVICE + "SubmitJob", body.encode(), **{"X-Tenant-Id": "blue"})
    assert reply.data.decode() in PAGE
