"""A variable that is nearly called as one of ours is warned of; those of others are not."""

import re

import pytest

from api import cli
from controller.variables import misspelt

KNOWN = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", cli._SETTINGS))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DB_REDACT_EVN", "DB_REDACT_ENV"),
        ("BATCH_PROVIDR", "BATCH_PROVIDER"),
        ("JENNAH_NAMESPASE", "JENNAH_NAMESPACE"),
        ("AWS_JOB_QUEU", "AWS_JOB_QUEUE"),
        ("API_TOKEN_FILE", "API_TOKENS_FILE"),
        ("Batch_Region", "BATCH_REGION"),
    ],
)
def test_what_is_meant_is_said(name: str, meant: str) -> None:
    assert misspelt([name], KNOWN) == [f"{name} is no setting and changes nothing: is {meant} meant?"]


def test_known_ones_and_those_of_others_are_not_told() -> None:
    others = ("PATH", "HOME", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "GOOGLE_CLOUD_PROJECT",
              "KUBERNETES_SERVICE_HOST", "KUBERNETES_PORT_443_TCP_ADDR", "HTTPS_PROXY", "LOG_LEVELS_OF_ANOTHER_PROGRAM",
              "AZURE_CLIENT_ID", "POD_NAMESPACE", "HOSTNAME", "JENNAH_API_PORT_8081_TCP_PROTO")  # fmt: skip
    assert misspelt([*KNOWN, *others], KNOWN) == []
