"""What is settled before a call: one tenant, one token, one key, a host of ours; and which kind takes which token."""

import asyncio

import pytest

from api.auth.gate import Gate
from api.auth.principal import Named, Principal
from api.connect.errors import ConnectError
from api.hosts import KnownHosts
from tests.api.auth.callers import call
from tests.api.harness import SERVICE, TENANT, Api

ANYWHERE = KnownHosts("0.0.0.0", ())


class Kind:
    """Takes one token."""

    def __init__(self, name: str, token: str) -> None:
        self._name = name
        self._token = token
        self.seen: list[str] = []

    async def identify(self, token: str, remote: str) -> Named | None:
        self.seen.append(token)
        return Named(Principal(self._name, "me"), frozenset({TENANT})) if token == self._token else None

    async def close(self) -> None:
        pass


async def test_the_first_kind_that_knows_a_token_says_who_calls() -> None:
    first, second = Kind("first", "one"), Kind("second", "two")
    gate = Gate((first, second), ANYWHERE)
    for token, principal in (("one", "first:me"), ("two", "second:me")):
        asked = call(token)
        await gate.admit(asked)
        assert (str(asked.principal), asked.tenant_id) == (principal, TENANT)
    assert second.seen == ["two"]
    with pytest.raises(ConnectError, match="unauthenticated"):
        await gate.admit(call("three"))


async def test_without_a_kind_anybody_acts_for_every_tenant() -> None:
    asked = call(tenant="team-z")
    await Gate((), ANYWHERE).admit(asked)
    assert (str(asked.principal), asked.tenant_id) == ("anonymous", "team-z")


async def raw(api: Api, *headers: str, target: str = f"{SERVICE}ListJobs", body: bytes = b"{}") -> tuple[int, str]:
    """Those header lines as they stand, Host too; the status and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    fixed = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    head = "\r\n".join((f"POST {target} HTTP/1.1", *headers, *fixed, "", ""))
    writer.write(head.encode() + body)
    try:
        answer = (await reader.read()).decode()
    finally:
        writer.close()
    return int(answer.split(" ", 2)[1]), answer.partition("\r\n\r\n")[2]


@pytest.mark.parametrize(
    "twice",
    [
        ("X-Tenant-Id: victim", "X-Tenant-Id: attacker"),
        ("X-Tenant-Id: victim", "x-tenant-id: victim"),
        ("X-Tenant-Id: victim, attacker",),
        ("X-Tenant-Id: victim,attacker",),
        ("X-Tenant-Id: victim", "Authorization: Bearer a", "Authorization: Bearer b"),
        ("X-Tenant-Id: victim", "Idempotency-Key: a", "Idempotency-Key: b"),
        ("X-Tenant-Id: victim", "Idempotency-Key: a,b"),
        ("X-Tenant-Id: victim", "Idempotency-Key: a, b"),
    ],
    ids=lambda lines: " + ".join(lines),
)
async def test_a_header_that_counts_may_not_come_twice(api: Api, twice: tuple[str, ...]) -> None:
    """The first one counted: that of the caller, where a gateway adds its own behind it."""
    target, body = f"{SERVICE}SubmitJob", b'{"image_uri": "x"}'
    status, answer = await raw(api, "Host: localhost", *twice, target=target, body=body)
    assert status == 400, answer
    assert await api.objects() == []


async def test_two_tokens_that_a_proxy_joined_are_not_one() -> None:
    with pytest.raises(ConnectError, match="invalid_argument: Authorization is sent more than once"):
        await Gate((Kind("first", "one"),), ANYWHERE).admit(call("one, Bearer two"))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8081", "localhost.", "127.0.0.1", "127.0.0.1:8081", "[::1]", "[::1]:8081"]
)
async def test_an_api_on_loopback_answers_to_this_machines_names(api: Api, host: str) -> None:
    status, answer = await raw(api, f"Host: {host}", "X-Tenant-Id: a", "X-Forwarded-Host: evil.example.com")
    assert status == 200, answer


@pytest.mark.parametrize(
    "hosts",
    [
        ("Host: evil.example.com",),
        ("Host: evil.example.com:8081", "X-Forwarded-Host: localhost"),
        ("Host: 127.0.0.1:8081x",),
        ("Host: [::1]evil",),
        ("Host: [::1].evil.example.com",),
        ("Host: ::1",),
        ("Host: evil@127.0.0.1",),
        ("Host: localhost.evil.example.com",),
        ("Host: localhost, evil.example.com",),
        ("Host: 10.0.0.1",),
        ("Host:",),
        ("Host: localhost", "Host: evil.example.com"),
        (),
    ],
    ids=lambda hosts: " + ".join(hosts),
)
async def test_and_to_no_other(api: Api, hosts: tuple[str, ...]) -> None:
    """A page whose name leads to 127.0.0.1 could submit jobs and read the answers."""
    target, body = f"{SERVICE}SubmitJob", b'{"image_uri": "x"}'
    status, answer = await raw(api, *hosts, "X-Tenant-Id: a", target=target, body=body)
    assert status in (400, 403), answer
    assert await api.objects() == []


async def test_a_host_in_the_target_is_no_way_around(api: Api) -> None:
    target = f"http://evil.example.com{SERVICE}ListJobs"
    status, answer = await raw(api, "Host: localhost", "X-Tenant-Id: a", target=target)
    assert (status, "ALLOWED_HOSTS" in answer) == (403, True)


def refuses(hosts: KnownHosts, host: str) -> bool:
    asked = call()
    asked.headers["Host"] = host  # type: ignore[index]
    try:
        hosts.check(asked.headers, "/")
    except ConnectError:
        return True
    return False


def test_other_names_are_allowed_by_a_setting() -> None:
    hosts = KnownHosts("127.0.0.1", ("jennah.example.com",))
    assert not refuses(hosts, "jennah.example.com:443")
    assert not refuses(hosts, "localhost")
    assert refuses(hosts, "x.jennah.example.com")


def test_an_address_that_others_reach_answers_to_any_name_unless_names_are_set() -> None:
    assert not refuses(KnownHosts("0.0.0.0", ()), "jennah-api.jennah-system.svc")
    assert refuses(KnownHosts("0.0.0.0", ("jennah.example.com",)), "evil.example.com")
