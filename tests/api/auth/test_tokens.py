"""API_AUTH=token: what a line of the file means, and when a change of it counts."""

import hashlib
import logging
import os
from pathlib import Path

import pytest

from api.auth.principal import Principal
from api.auth.tokens import FileTokens, read
from api.connect.errors import Code
from api.reloading import LOOK_SECONDS
from controller.domain.errors import ConfigError
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.harness import TENANT, api_settings, serving
from tests.controller.fakes import FakeClock

OURS, THEIRS, GATEWAY = "token-of-team-a-0001", "token-of-team-b-0002", "token-of-the-gateway"


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def line(token: str, tenants: str, name: str = "ours") -> str:
    return f"{name} {sha256(token)} {tenants}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


async def test_a_token_is_good_for_its_own_tenants_and_no_other(
    kube: KubeClient, store: SqliteStore, path: Path
) -> None:
    path.write_text(f"# ours\n\n{line(OURS, f'{TENANT},team-a')}{line(THEIRS, 'team-b')}{line(GATEWAY, '*')}")
    async with serving(kube, store, api_settings(kinds=("token",), tokens_file=path)) as api:

        async def code(method: str, token: str, tenant: str, **message: object) -> str:
            return (await api.call(method, message, tenant=tenant, Authorization=f"Bearer {token}")).code

        assert await code("SubmitJob", OURS, "team-a", image_uri="x", job_id="a-1", env_vars={"P": "s3cr3t"}) == ""
        for method, message in (
            ("SubmitJob", {"image_uri": "x"}),
            ("GetJob", {"job_id": "a-1"}),
            ("ListJobs", {}),
            ("CancelJob", {"job_id": "a-1"}),
            ("DeleteJob", {"job_id": "a-1"}),
            ("GetCurrentTenant", {}),
            ("ListNotifications", {}),
            ("AckNotification", {"notification_id": "n"}),
        ):
            assert await code(method, THEIRS, "team-a", **message) == "permission_denied", method
            assert await code(method, "made-up-token-0003", "team-a", **message) == "unauthenticated", method
        reply = await api.call("ListJobs", {}, tenant="team-a", Authorization=f"Bearer {THEIRS}")
        assert (reply.status, reply.message) == (403, "this caller (by token) may not act for tenant team-a")
        assert len(await api.objects()) == 1
        assert await code("GetJob", GATEWAY, "team-a", job_id="a-1") == ""
        assert await code("ListJobs", OURS, TENANT) == ""


async def test_other_forms_of_the_header_are_no_token(kube: KubeClient, store: SqliteStore, path: Path) -> None:
    path.write_text(line(OURS, TENANT))
    async with serving(kube, store, api_settings(kinds=("token",), tokens_file=path)) as api:
        for scheme in ("Bearer", "bearer"):
            assert (await api.call("ListJobs", Authorization=f"{scheme} {OURS}")).status == 200
        for header in ("", "Bearer", "Bearer ", f"Basic {OURS}", f"Bearer {OURS}x", OURS, "Bearer ä", "Bearer # ours"):
            reply = await api.call("SubmitJob", {"image_uri": "i"}, Authorization=header)
            assert (reply.status, reply.code) == (401, Code.UNAUTHENTICATED), header
        reply = await api.call("SubmitJob", {"image_uri": "i"}, Authorization=f"Bearer {sha256(OURS)}")
        assert reply.status == 401, "the hash in the file is no token"
        assert await api.objects() == []
        assert (await api.raw("/health", None, method="GET")).status == 200


def test_a_line_has_a_name_a_hash_and_tenants(path: Path) -> None:
    path.write_text(f"\ufeff{line(OURS, 'a,b', 'team/one')}\r\n  # no more\r\n{line(GATEWAY, '*').upper().strip()}")
    found = read(path)
    assert found[sha256(OURS)].principal == Principal("token", "team/one")
    assert found[sha256(OURS)].tenants == {"a", "b"}
    assert found[sha256(GATEWAY)].has_all


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "has no token"),
        ("# none\n", "has no token"),
        ("\udcff", "cannot be read"),
        (f"{OURS}\n", "line 1 is no NAME SHA256 TENANT.*plain tokens are not taken any more.*sha256sum"),
        (f"ours {sha256(OURS)}\n", "line 1 is no NAME"),
        (f"ours {sha256(OURS)} a b\n", "line 1 is no NAME"),
        (f"ours {sha256(OURS)} a, b\n", "line 1 is no NAME"),
        (f"ours {OURS} a\n", "line 1 has a SHA256 that is not"),
        (f"ours {sha256(OURS)} a,,b\n", "line 1 has a tenant"),
        (f"ours {sha256(OURS)} a,*\n", "line 1 has a tenant"),
        (f"ours {sha256(OURS)} -a\n", "line 1 has a tenant"),
        (f"o=urs {sha256(OURS)} a\n", "line 1 has a NAME"),
        (f"ours {sha256('')} a\n", "line 1 has the SHA-256 of an empty token"),
        (f"{line(OURS, 'a')}\n{line(OURS, '*')}", "line 3 has the hash of an earlier line"),
    ],
)
def test_a_wrong_file_is_told_by_its_lines_and_without_its_words(path: Path, content: str, fault: str) -> None:
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(ConfigError, match=fault) as caught:
        read(path)
    assert "API_TOKENS_FILE" in str(caught.value)
    assert OURS not in str(caught.value)
    assert sha256(OURS) not in str(caught.value)


async def test_a_short_token_is_refused_though_its_hash_is_there(path: Path) -> None:
    path.write_text(line("too-short", "*"))
    assert await FileTokens(path, FakeClock(), print).identify("too-short", "") is None


class Volume:
    """A Secret's: the file is a link into a folder, by way of a link that is swapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.path = folder / "tokens"
        self.path.symlink_to("..data/tokens")

    def write(self, content: str) -> None:
        self._number += 1
        made = self._folder / f"..{self._number}"
        made.mkdir()
        (made / "tokens").write_text(content)
        os.utime(made / "tokens", (1, 1))  # as old as the one before
        (self._folder / "..tmp").symlink_to(made.name)
        (self._folder / "..tmp").rename(self._folder / "..data")


async def test_a_swapped_file_counts_after_a_second_and_a_wrong_one_not_at_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    volume, clock = Volume(tmp_path), FakeClock()
    volume.write(line(OURS, "a"))
    failing: list[int] = []
    tokens = FileTokens(volume.path, clock, failing.append)

    async def good() -> set[str]:
        return {each for each in (OURS, THEIRS) if await tokens.identify(each, "")}

    volume.write(line(THEIRS, "a"))
    assert await good() == {OURS}, "it is not looked at for each call"
    clock.pause(LOOK_SECONDS)
    assert await good() == {THEIRS}
    caplog.set_level(logging.INFO)
    for wrong in ("", f"{OURS}\n", line(OURS, "a")[:50]):
        volume.write(wrong)
        for _ in range(3):
            clock.pause(LOOK_SECONDS)
            assert await good() == {THEIRS}
    assert (len(caplog.records), failing) == (3, [0, 0, 1, 1, 1]), "each wrong file is told once"
    volume.path.unlink()
    clock.pause(LOOK_SECONDS)
    assert await good() == {THEIRS}
    volume.path.symlink_to("..data/tokens")
    volume.write(line(OURS, "a") + line(THEIRS, "a"))
    clock.pause(LOOK_SECONDS)
    assert await good() == {OURS, THEIRS}
    assert failing == [0, 0, 1, 1, 1, 1, 0]
    assert OURS not in caplog.text


@pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x0c", "\x85", "\r"])
async def test_no_sign_but_a_line_end_begins_a_line(tmp_path: Path, sign: str) -> None:
    """A comment must not have a token in it that nobody sees."""
    path = tmp_path / "tokens"
    path.write_bytes(f"# for people{sign}{line(THEIRS, '*')}{line(OURS, 'a')}".encode())
    tokens = FileTokens(path, FakeClock(), [].append)
    assert await tokens.identify(OURS, "") is not None
    assert await tokens.identify(THEIRS, "") is None
