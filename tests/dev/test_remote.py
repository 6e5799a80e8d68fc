"""``make run`` writes to a database of this machine, and to another only for a word."""

import pytest

from dev import remote

HERE = [
    {},
    {"DB_PROVIDER": "sqlite", "DB_ENDPOINT": "/srv/jennah.db"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:p@localhost:5432/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:p@127.0.0.1/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:p@[::1]:5432/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:p@%2Fvar%2Frun/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql:///x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql:///x?host=/var/run/postgresql"},
    {"DB_PROVIDER": "dynamodb", "DB_ENDPOINT": "http://127.0.0.1:8000"},
    {"DB_PROVIDER": "cosmosdb", "DB_ENDPOINT": "https://localhost:8081"},
    {"DB_PROVIDER": "spanner", "SPANNER_EMULATOR_HOST": "localhost:9010"},
]
ELSEWHERE = [
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@db.example:5432/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@127.0.0.1,db.example/x"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@localhost/x?host=db.example"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@localhost/x?hostaddr=192.0.2.1"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@localhost/x", "PGHOSTADDR": "192.0.2.1"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql:///x", "PGHOST": "db.example"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql:///x", "PGSERVICE": "production"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql:///x?service=production"},
    {"DB_PROVIDER": "postgres", "DB_ENDPOINT": "postgresql://u:secret@[fd00::1]:5432/x"},
    {"DB_PROVIDER": "dynamodb", "DB_REGION": "eu-west-1"},
    {"DB_PROVIDER": "dynamodb", "DB_ENDPOINT": "https://dynamodb.eu-west-1.amazonaws.com"},
    {"DB_PROVIDER": "cosmosdb", "DB_ENDPOINT": "https://account.documents.azure.com:443/", "DB_KEY": "secret"},
    {"DB_PROVIDER": "spanner", "DB_PROJECT_ID": "p"},
    {"DB_PROVIDER": "spanner", "SPANNER_EMULATOR_HOST": "emulator.example:9010"},
]


@pytest.mark.parametrize("variables", HERE, ids=str)
def test_a_database_of_this_machine_is_written_to(variables: dict[str, str]) -> None:
    assert remote.fault(variables) == ""


@pytest.mark.parametrize("variables", ELSEWHERE, ids=str)
def test_another_needs_a_word(variables: dict[str, str]) -> None:
    fault = remote.fault(variables)
    assert f"say {remote.ALLOWED}=true" in fault
    assert "secret" not in fault
    assert remote.fault({**variables, remote.ALLOWED: "true"}) == ""
    assert remote.fault({**variables, remote.ALLOWED: "false"}) == fault
