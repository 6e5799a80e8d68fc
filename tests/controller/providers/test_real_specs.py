"""Jobs as people write them, for every service: the request is the one that a person has signed.

Where a change is meant, ``make golden`` writes the files; their difference is what is reviewed.
"""

from pathlib import Path

import pytest

from tests.controller.providers import golden
from tests.controller.providers.mapped import PROVIDERS

CASES = [(provider, spec) for provider in PROVIDERS for spec in golden.SPECS]


@pytest.mark.parametrize(("provider", "spec"), CASES, ids=[f"{provider}-{spec.stem}" for provider, spec in CASES])
def test_the_request_is_the_one_that_was_reviewed(provider: str, spec: Path) -> None:
    assert golden.text(provider, spec) == golden.path(provider, spec).read_text(), (
        "make golden, and review the difference"
    )


def test_there_is_a_file_for_each_and_no_other() -> None:
    wanted = {golden.path(provider, spec) for provider, spec in CASES}
    assert set((golden.HERE / "golden").rglob("*.json")) == wanted
    assert len(golden.SPECS) >= 11
