"""The Secrets of jobs, as the API makes them."""

from typing import Any

import pytest

from api.secrets import EnvSecrets
from controller.domain.errors import Forbidden
from controller.domain.job import parse

VALUE = "s3cr3t-of-team-a"
JOB = parse({"metadata": {"name": "j", "namespace": "jobs", "uid": "u"}, "spec": {"image": "i"}})


class Denying:
    """An API server whose webhook quotes what it denies."""

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        raise Forbidden(f"webhook denied {VALUE}: {body}")


async def test_values_that_a_webhook_quotes_reach_neither_caller_nor_log() -> None:
    secrets = EnvSecrets(Denying(), namespace="jobs")  # type: ignore[arg-type]
    with pytest.raises(Forbidden) as raised:
        await secrets.ensure(JOB, "j-env-1", {"PASSWORD": VALUE})
    assert str(raised.value).startswith("webhook denied ***: {")
    assert VALUE not in str(raised.value) and "czNjcjN0" not in str(raised.value)
