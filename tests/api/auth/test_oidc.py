"""API_AUTH=oidc: JWTs of an issuer on this machine, signed with keys that the test makes."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.auth import jwks, making
from api.auth.jwks import FRESH_SECONDS, KEPT_SECONDS, PAUSE_SECONDS
from api.auth.oidc import OidcTokens
from api.auth.settings import OidcSettings
from api.connect.errors import Code, ConnectError
from api.hosts import KnownHosts
from api.settings import read_api
from controller.domain.errors import ConfigError
from controller.kube.client import KubeClient
from controller.stores.sqlite import SqliteStore
from tests.api.auth.callers import NOW, claims, made_up
from tests.api.harness import api_settings, serving
from tests.controller.fakes import FakeClock, settle

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, key_id: str, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    kind = jwt.algorithms.ECAlgorithm if algorithm.startswith("ES") else jwt.algorithms.RSAAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": algorithm, "use": "sig", **more}


class Issuer:
    """On a free port. What it says can be changed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.url = ""
        self.keys: list[Any] = [public(RSA, "rsa"), public(EC, "ec", "ES256")]
        self.discovery: dict[str, Any] = {}
        self.status = 200
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def configuration(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.may_answer.wait()
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery})

    async def key_set(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys}, status=self.status)

    def settings(self, **changes: Any) -> OidcSettings:
        return OidcSettings(**{"issuer": self.url, "audience": "jennah", **changes})

    def sign(self, key: Any = RSA, key_id: str | None = "rsa", algorithm: str = "RS256", **changes: Any) -> str:
        found = claims(**{"iss": self.url, "tenants": ["team-a"], **changes})
        return jwt.encode(found, key, algorithm, headers={"kid": key_id} if key_id else {})


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", found.configuration)
    app.router.add_get("/keys", found.key_set)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    found.may_answer.set()
    await runner.cleanup()


@pytest.fixture
async def tokens(issuer: Issuer) -> AsyncIterator[OidcTokens]:
    found = OidcTokens(issuer.settings(), issuer.clock)
    yield found
    await found.close()


async def test_a_callers_tenants_are_those_of_the_claim(
    issuer: Issuer, kube: KubeClient, store: SqliteStore, tmp_path: Path
) -> None:
    """Beside tokens of a file, as the Gateway has one."""
    settings = api_settings(kinds=("oidc",), oidc=issuer.settings())
    async with serving(kube, store, settings, clock=issuer.clock) as api:
        token = issuer.sign()
        for tenant, status in (("team-a", 200), ("team-b", 403)):
            assert (await api.call("ListJobs", tenant=tenant, Authorization=f"Bearer {token}")).status == status
        forged = issuer.sign(OTHER_RSA)
        assert (await api.call("ListJobs", tenant="team-a", Authorization=f"Bearer {forged}")).status == 401


async def tenants(tokens: OidcTokens, token: str) -> set[str] | None:
    found = await tokens.identify(token, "")
    assert found is None or not found.has_all
    return None if found is None else set(found.tenants)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (["a", "b"], {"a", "b"}),
        ("a", {"a"}),
        ("a,b", {"a,b"}),  # no tenant of any call
        (None, set()),
        ({"a": 1}, set()),
        ([1, ["a"], "b"], {"b"}),
        ("*", {"*"}),
    ],
)
async def test_what_the_claim_may_be(issuer: Issuer, tokens: OidcTokens, claim: Any, expected: set[str]) -> None:
    assert await tenants(tokens, issuer.sign(tenants=claim)) == expected


async def test_a_star_is_not_every_tenant(issuer: Issuer, tokens: OidcTokens) -> None:
    found = await tokens.identify(issuer.sign(tenants="*"), "")
    assert found is not None
    assert not await found.may_act_for("team-a")


async def test_the_claim_has_the_name_that_the_settings_say(issuer: Issuer) -> None:
    tokens = OidcTokens(issuer.settings(tenant_claim="https://example.com/tenant"), issuer.clock)
    assert await tenants(tokens, issuer.sign(**{"https://example.com/tenant": "a"})) == {"a"}
    await tokens.close()


async def test_a_good_token_is_taken_by_either_algorithm(issuer: Issuer, tokens: OidcTokens) -> None:
    for token in (
        issuer.sign(),
        issuer.sign(EC, "ec", "ES256"),
        issuer.sign(aud=["other", "jennah"]),
        issuer.sign(exp=NOW - 59, nbf=NOW - 600),
        issuer.sign(nbf=NOW + 59),
    ):
        assert await tenants(tokens, token) == {"team-a"}
    found = await tokens.identify(issuer.sign(sub="somebody"), "")
    assert found is not None
    assert str(found.principal) == "oidc:somebody"
    assert issuer.asked == 1, "keys are kept"


@pytest.mark.parametrize(
    "changes",
    [
        {"key": OTHER_RSA},
        {"key": "a-secret-of-thirty-two-characters", "algorithm": "HS256"},
        {"key": RSA, "algorithm": "PS256"},
        {"key": RSA, "algorithm": "RS512"},
        {"key": EC, "key_id": "rsa", "algorithm": "ES256"},
        {"key_id": "unknown"},
        {"key_id": None},  # and the issuer has two
        {"iss": "https://another.example.com"},
        {"aud": "another"},
        {"aud": None},
        {"exp": NOW - 60},
        {"exp": None},
        {"nbf": NOW + 61},
        {"sub": None},
        {"sub": ""},
    ],
)
async def test_what_is_not_good_is_refused(issuer: Issuer, tokens: OidcTokens, changes: dict[str, Any]) -> None:
    assert await tokens.identify(issuer.sign(**changes), "") is None


async def test_an_unsigned_or_confused_token_is_refused(issuer: Issuer, tokens: OidcTokens) -> None:
    assert await tokens.identify(made_up({"alg": "none", "kid": "rsa"}, iss=issuer.url), "") is None
    assert await tokens.identify(made_up({"alg": "RS256", "kid": 7}, iss=issuer.url), "") is None
    assert await tokens.identify(made_up({"alg": "RS256", "kid": "rsa"}, iss=issuer.url), "") is None
    # A public key taken for a secret: the old trick against libraries that believe the header.
    confused = made_up({"alg": "HS256", "kid": "rsa"}, iss=issuer.url)
    assert await tokens.identify(confused, "") is None


async def test_tokens_that_cannot_be_good_do_not_reach_the_issuer(issuer: Issuer, tokens: OidcTokens) -> None:
    for token in ("made-up-token", issuer.sign(aud="x"), issuer.sign(exp=NOW - 600), made_up()):
        assert await tokens.identify(token, "") is None
    assert issuer.asked == 0


async def test_a_new_key_is_found_and_made_up_key_ids_ask_once_in_a_while(issuer: Issuer, tokens: OidcTokens) -> None:
    assert await tenants(tokens, issuer.sign()) == {"team-a"}
    issuer.keys = [public(OTHER_RSA, "new")]
    new = issuer.sign(OTHER_RSA, "new")
    for number in range(50):
        assert await tokens.identify(issuer.sign(key_id=f"made-up-{number}"), "") is None
    assert await tokens.identify(new, "") is None, "the issuer was asked a moment ago"
    assert issuer.asked == 1
    issuer.clock.pause(PAUSE_SECONDS)
    both = await asyncio.gather(*(tenants(tokens, new) for _ in range(20)))
    assert (both, issuer.asked) == ([{"team-a"}] * 20, 2)
    assert await tokens.identify(issuer.sign(), "") is None, "the old key is gone"


async def test_an_outage_of_the_issuer_is_no_outage_for_those_whose_key_is_known(
    issuer: Issuer, tokens: OidcTokens, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.status = 503
    with pytest.raises(ConnectError) as down:
        await tokens.identify(issuer.sign(), "")
    assert (down.value.code, down.value.retry_after) == (Code.UNAVAILABLE, 2)
    assert "answers 503" in caplog.text
    issuer.clock.pause(jwks.RETRY_SECONDS)
    issuer.status = 200
    good = issuer.sign(exp=NOW + 10_000)
    assert await tenants(tokens, good) == {"team-a"}
    issuer.status = 503
    issuer.may_answer.clear()
    issuer.clock.pause(FRESH_SECONDS)
    assert await tenants(tokens, good) == {"team-a"}, "beside the look at the issuer, which takes long"
    issuer.may_answer.set()
    await settled(tokens)
    issuer.clock.pause(KEPT_SECONDS)
    with pytest.raises(ConnectError):
        await tokens.identify(good, "")


async def settled(tokens: OidcTokens) -> None:
    while tokens._keys._reading is not None:
        await asyncio.sleep(0.001)


async def test_not_everybody_waits_for_an_issuer_that_is_slow(issuer: Issuer, tokens: OidcTokens) -> None:
    issuer.may_answer.clear()
    calls = [asyncio.create_task(tokens.identify(issuer.sign(), "")) for _ in range(jwks.WAITING_MAX + 10)]
    await settle()
    issuer.may_answer.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, ConnectError) for result in results) == 10
    assert issuer.asked == 1


@pytest.mark.parametrize(
    ("discovery", "keys"),
    [
        ({"issuer": "https://another.example.com"}, None),
        ({"jwks_uri": "http://keys.example.com/keys"}, None),
        ({"jwks_uri": "file:///etc/passwd"}, None),
        ({"jwks_uri": 7}, None),
        ({}, []),
        ({}, "rsa"),
        ({}, ["rsa"]),
        ({}, [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]),
        ({}, [public(RSA, "rsa", use="enc")]),
        ({}, [public(RSA, "rsa", "RS512")]),
        ({}, [{**public(RSA, "rsa"), "n": "!"}]),
    ],
)
async def test_what_an_issuer_may_not_say(
    issuer: Issuer, tokens: OidcTokens, discovery: dict[str, Any], keys: Any
) -> None:
    issuer.discovery = discovery
    issuer.keys = issuer.keys if keys is None else keys
    with pytest.raises(ConnectError) as refused:
        await tokens.identify(issuer.sign(), "")
    assert refused.value.code is Code.UNAVAILABLE


def test_an_issuer_is_https_but_on_this_machine() -> None:
    given = {"DB_PROVIDER": "sqlite", "API_AUTH": "oidc", "OIDC_AUDIENCE": "jennah"}
    for url in ("https://issuer.example.com/realms/a", "http://127.0.0.1:8080", "http://localhost"):
        assert read_api(given | {"OIDC_ISSUER": url}).auth.oidc is not None
    for url in ("http://issuer.example.com", "issuer.example.com", "https://", "https://i/?a=b", "https://u:p@i"):
        with pytest.raises(ConfigError, match="OIDC_ISSUER"):
            read_api(given | {"OIDC_ISSUER": url})


def test_a_file_without_authorities_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text(json.dumps({}))
    for each in (path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="OIDC_CA_FILE"):
            OidcTokens(OidcSettings(issuer="https://i", audience="a", ca_file=each), FakeClock())


def test_without_its_extra_the_start_says_what_to_install(kube: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("api.auth.oidc", "api.auth.jwks"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jwt", None)
    settings = api_settings(kinds=("oidc",), oidc=OidcSettings(issuer="https://i", audience="a")).auth
    with pytest.raises(ConfigError, match=r"pip install 'jennah-controller\[oidc\]'"):
        making.make(settings, hosts=KnownHosts("0.0.0.0", ()), client=kube, clock=FakeClock())
