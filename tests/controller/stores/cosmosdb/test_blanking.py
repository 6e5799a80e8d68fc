"""`jennah migrate --redact`: pages, throttling, lost replies. Laws: tests/contract/test_blanking.py."""

import pytest

from controller.domain.errors import Unavailable
from controller.stores.cosmosdb import CosmosStore
from controller.stores.cosmosdb_schema import CosmosMigrations
from tests.controller.stores.cosmosdb import service as cosmosdb_service
from tests.controller.stores.cosmosdb.harness import KEY, transition
from tests.controller.stores.cosmosdb.service import Fault, Service, cut, lose_the_reply, status


async def redact(service: Service) -> int:
    migrations = CosmosMigrations(service.endpoint, "jennah", key=KEY)
    try:
        return sum([count async for count in migrations.redact(dry_run=False)])
    finally:
        await migrations.close()


async def record(store: CosmosStore, count: int, tenant: str = "t") -> None:
    await store.record([transition(job=f"j{n}", tenant=tenant, env_vars_json='{"A":"x"}') for n in range(count)])


def variables(service: Service) -> set[str | None]:
    return {document.get("envVarsJson") for document in service.of_type("job")}


async def test_all_pages_of_all_tenants_are_read(service: Service, store: CosmosStore) -> None:
    await record(store, 3)
    await record(store, 2, tenant="u")
    assert await redact(service) == 5
    assert service.requests.count("scan") == 3
    assert variables(service) == {'{"A":""}'}


@pytest.mark.parametrize("fault", [lose_the_reply, cut, status(429), status(503)])
async def test_a_row_is_counted_once_whatever_becomes_of_requests(
    service: Service, store: CosmosStore, fault: Fault
) -> None:
    await record(store, 5)
    service.faults["patch"].append(fault)
    service.faults["scan"].extend([cosmosdb_service.first(lambda _: None), fault])
    assert await redact(service) == 5
    assert service.requests.count("scan") == 4, "the page that failed is asked for again, no other"
    assert variables(service) == {'{"A":""}'}


async def test_a_row_that_another_writes_in_between_is_read_again(service: Service, store: CosmosStore) -> None:
    await record(store, 1)

    def other(service: Service) -> None:
        theirs = {"envVarsJson": '{"B":"y"}', "transition": 1, "_etag": "theirs"}
        service.documents["t", "job:j0"] = {**service.documents["t", "job:j0"], **theirs}

    service.faults["patch"].append(cosmosdb_service.first(other))
    assert await redact(service) == 1
    document = service.documents["t", "job:j0"]
    assert (document["envVarsJson"], document["transition"]) == ('{"B":""}', 1)


async def test_a_row_that_goes_in_between_is_not_counted(service: Service, store: CosmosStore) -> None:
    await record(store, 2)
    service.faults["patch"].append(cosmosdb_service.first(lambda service: service.documents.pop(("t", "job:j0"))))
    assert await redact(service) == 1
    assert ("t", "job:j0") not in service.documents


async def test_what_was_blanked_before_a_failure_is_told(service: Service, store: CosmosStore) -> None:
    await record(store, 3)
    migrations = CosmosMigrations(service.endpoint, "jennah", key=KEY)
    service.faults["patch"].append(cosmosdb_service.first(lambda _: None))
    service.always["patch"] = status(403)
    told: list[int] = []
    with pytest.raises(Unavailable) as raised:
        async for count in migrations.redact(dry_run=False):
            told.append(count)
    await migrations.close()
    assert told == [1]
    assert "secret" not in str(raised.value)
