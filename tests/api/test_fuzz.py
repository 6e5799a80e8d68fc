"""Thirty seconds of random bytes against every path: no crash, no 500, no traceback, and it works as before afterwards.

The seed is printed with a failure; FUZZ_SEED repeats it, FUZZ_SECONDS makes it longer.
"""

import asyncio
import gzip
import json
import os
import random
import time

import pytest

from tests.api.harness import IMAGE, SERVICE, TENANT, Api

SECONDS = float(os.environ.get("FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
CALLERS = 8

METHODS = ["SubmitJob", "ListJobs", "GetJob", "CancelJob", "DeleteJob", "GetCurrentTenant"]
METHODS += ["ListNotifications", "AckNotification", "Nope", ""]
PATHS = [*(SERVICE + method for method in METHODS), "/", "/health", "/livez", "/readyz", "/..%2f..%2fetc/passwd"]
VERBS = ["POST", "POST", "POST", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]
TYPES = ["application/json", "application/proto", "application/connect+json", "text/plain", "application/json; x=\xff"]
FIELDS = ["job_id", "jobId", "image_uri", "env_vars", "commands", "resource_override", "page_token", "name", "limit"]


def body(chance: random.Random) -> bytes:
    """Bytes, JSON of our fields with values of any kind, or either of them cut off."""
    values = [None, True, -1, 2**63, 1e308, "", "\0", "é" * 9, "x" * 2000, [], {}, [[]], {"a": None}, "-inf"]
    made = (
        chance.randbytes(chance.randrange(300))
        if chance.random() < 0.5
        else json.dumps({chance.choice(FIELDS): chance.choice(values) for _ in range(chance.randrange(5))}).encode()
    )
    return made[: chance.randrange(len(made) + 1)] if chance.random() < 0.2 else made


def request(chance: random.Random) -> bytes:
    """One HTTP request, sometimes wrong in its framing as well."""
    data, encoding = body(chance), chance.choice(["identity", "gzip", "gzip", "br", "x" * 50])
    if encoding == "gzip" and chance.random() < 0.7:
        data = gzip.compress(data)
    lines = [
        f"{chance.choice(VERBS)} {chance.choice(PATHS)} HTTP/1.1",
        "Host: x",
        f"Content-Type: {chance.choice(TYPES)}",
        f"Content-Encoding: {encoding}",
        f"X-Tenant-Id: {chance.choice([TENANT, '', 'a b', 'x' * 99])}",
        f"Connect-Timeout-Ms: {chance.choice(['1000', '', '-1', 'x', '9' * 11])}",
        f"Connect-Protocol-Version: {chance.choice(['1', '2', ''])}",
        f"Content-Length: {len(data) if chance.random() < 0.95 else chance.choice([-1, 0, 'x'])}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


async def send(api: Api, data: bytes) -> bytes:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 15)
    except ConnectionError:
        return b""  # refused before all of it was read
    finally:
        writer.close()


@pytest.mark.timeout(SECONDS + 120)
async def test_random_requests_break_nothing(api: Api) -> None:
    end = time.monotonic() + SECONDS

    async def caller(number: int) -> int:
        chance, sent = random.Random(SEED + number), 0
        while time.monotonic() < end:
            data = request(chance)
            reply = await send(api, data)
            status = int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else 0
            assert status == 0 or status < 500 or status in (501, 504), (SEED, data, reply)
            assert b"Traceback" not in reply and b'File "' not in reply, (SEED, data, reply)
            sent += 1
        return sent

    sent = await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    assert sum(sent) > 100
    assert (await api.submit(job_id="afterwards")).status == 200
    assert (await api.call("GetJob", {"job_id": "afterwards"})).json["job"]["imageUri"] == IMAGE
