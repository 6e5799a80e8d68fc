"""Opening the store: credentials, the container, and what is logged."""

import logging
import time

import pytest

from controller.domain.errors import ConfigError, Unavailable
from controller.stores.cosmosdb import CosmosStore
from tests.controller.stores.cosmosdb.harness import KEY, transition
from tests.controller.stores.cosmosdb.service import Service, lose_the_reply, status


async def test_nobody_there_at_the_start_is_unavailable_with_a_clear_line(unused_tcp_port: int) -> None:
    store = CosmosStore(f"http://127.0.0.1:{unused_tcp_port}", "jennah", key=KEY)
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert str(caught.value) == "Cosmos DB cannot be reached at 127.0.0.1"
    await store.close()


async def test_a_store_that_could_not_be_opened_can_be_opened_later(service: Service) -> None:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    service.faults["account"].extend([status(503)] * 5)
    with pytest.raises(Unavailable):
        await store.open()
    service.faults["account"].clear()
    await store.open()
    await store.record([transition()])
    await store.close()


@pytest.mark.parametrize("code", [401, 403])
async def test_credentials_that_are_refused_are_unavailable_at_once(service: Service, code: int) -> None:
    service.always["account"] = status(code)
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=f"credentials.*{code}"):
        await store.open()
    assert time.monotonic() - begun < 3


async def test_a_key_that_is_none_is_a_config_error(service: Service) -> None:
    with pytest.raises(ConfigError, match="DB_KEY") as caught:
        await CosmosStore(service.endpoint, "jennah", key="not base64!").open()
    assert "not base64!" not in str(caught.value)


async def test_a_container_that_is_not_there_is_a_config_error_that_names_the_command(service: Service) -> None:
    service.has_container = False
    with pytest.raises(ConfigError, match="jennah migrate"):
        await CosmosStore(service.endpoint, "jennah", key=KEY).open()


@pytest.mark.parametrize("kind", ["query", "batch"])
async def test_a_container_that_went_away_does_not_reject_the_rows(
    service: Service, store: CosmosStore, kind: str
) -> None:
    service.always[kind] = status(404)
    with pytest.raises(Unavailable, match="jennah migrate"):
        await store.record([transition()])


async def test_without_a_key_the_azure_credentials_are_asked_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import aio

    class Nobody:
        is_closed = False

        async def __aenter__(self) -> "Nobody":
            return self

        async def __aexit__(self, *args: object) -> None:
            Nobody.is_closed = True

        async def get_token(self, *scopes: str, **more: object) -> None:
            raise ClientAuthenticationError("nobody is logged in")

        async def close(self) -> None: ...

    monkeypatch.setattr(aio, "DefaultAzureCredential", Nobody)
    with pytest.raises(Unavailable, match="no Azure credentials"):
        await CosmosStore("https://127.0.0.1:1/", "jennah").open()
    assert Nobody.is_closed


async def test_nothing_of_a_request_is_logged_at_any_level(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    await store.open()
    service.faults["batch"].extend([status(503), lose_the_reply])
    await store.record([transition(env_vars_json="secret value")])
    await store.close()
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert [record.name for record in caplog.records if record.name.startswith("azure")] == []
    assert "secret" not in lines
    assert KEY not in lines


async def test_a_store_that_is_not_open_is_unavailable(service: Service) -> None:
    store = CosmosStore(service.endpoint, "jennah", key=KEY)
    with pytest.raises(Unavailable, match="not open"):
        await store.get_job("t", "j")
    await store.close()
