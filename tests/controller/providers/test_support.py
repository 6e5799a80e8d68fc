"""Each service's column says what its adapter does: every field of the spec is mapped without it and with it."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.domain import reasons
from controller.domain.differences import condition_of
from controller.domain.errors import Permanent
from controller.domain.fields import ROWS, concerns
from controller.domain.support import Support
from controller.providers.services import COLUMNS
from tests.controller.providers.mapped import PROVIDERS, Mapped, mapped
from tests.controller.providers.support_cases import case, spec

CELLS = [(provider, path) for provider in PROVIDERS for path in ROWS if concerns(path, provider)]

MARKS: Mapping[str, frozenset[str]] = {
    "gcp": frozenset({"jennah-deletion-policy"}),
    "aws": frozenset({"tags"}),
    "azure": frozenset({"displayName"}),
    "kubernetes": frozenset({"annotations", "jennah.alphaus.cloud/deletion-policy"}),
    "local": frozenset({"image", "is_left_alone"}),
}
"""Where adapters keep what the operator or a person wants to know again of a job: the service makes nothing of it."""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_column_has_a_cell_for_each_field_and_for_no_other(provider: str) -> None:
    wanted = {path for path in ROWS if concerns(path, provider)}
    assert wanted - COLUMNS[provider].keys() == set(), "cells that are missing"
    assert COLUMNS[provider].keys() - wanted == set(), "cells of no field"


@pytest.mark.parametrize(("provider", "path"), CELLS, ids=[f"{provider}-{path}" for provider, path in CELLS])
def test_a_cell_says_what_the_adapter_does(provider: str, path: str) -> None:
    _CHECKS[COLUMNS[provider][path].support](provider, path)


def assert_refused(provider: str, path: str) -> None:
    with pytest.raises(Permanent) as error:
        with_value(provider, path)
    assert error.value.reason == reasons.INVALID_SPEC
    assert path.rpartition(".")[2] in str(error.value), "the field is named"


def assert_honoured(provider: str, path: str) -> None:
    """It changes what is sent, whatever its value, and nothing is said of it but what the cell names."""
    cell, before = COLUMNS[provider][path], without(provider, path)
    told = [with_value(provider, path)]
    if case(provider, path).exact is not None:
        told.append(with_exact(provider, path))
    for one in told:
        assert one.sent != before.sent, "it changes nothing"
        new = {remark.condition for remark in one.remarks} - {remark.condition for remark in before.remarks}
        assert condition_of(path) not in new - {cell.condition}, one.remarks
    if cell.condition:
        assert cell.condition in {remark.condition for one in told for remark in one.remarks}


def assert_rounded(provider: str, path: str) -> None:
    """A value that the service does not have is told; one that it has is taken as it is."""
    condition = COLUMNS[provider][path].condition
    assert condition in {remark.condition for remark in with_value(provider, path).remarks}
    exact = with_exact(provider, path)
    assert exact.sent != without(provider, path).sent, "it changes nothing"
    assert condition not in {remark.condition for remark in exact.remarks}, exact.remarks


def assert_not_honoured(provider: str, path: str) -> None:
    condition, before, told = COLUMNS[provider][path].condition, without(provider, path), with_value(provider, path)
    assert unmarked(provider, told.sent) == unmarked(provider, before.sent), "it changes something"
    assert condition in {remark.condition for remark in told.remarks}
    assert {remark.condition for remark in told.remarks if remark not in before.remarks} <= {condition}


def assert_by_operator(provider: str, path: str) -> None:
    """The adapter looks at the field for no more than a mark. What the operator finds for it is not asked for here."""
    before, told = without(provider, path), with_value(provider, path, env={})
    assert unmarked(provider, told.sent) == unmarked(provider, before.sent), "the service sees it"
    assert told.remarks == before.remarks


_CHECKS = {
    Support.REFUSED: assert_refused,
    Support.HONOURED: assert_honoured,
    Support.PER_ATTEMPT: assert_honoured,
    Support.ROUNDED: assert_rounded,
    Support.NOT_HONOURED: assert_not_honoured,
    Support.BY_OPERATOR: assert_by_operator,
}


def without(provider: str, path: str) -> Mapped:
    return mapped(provider, spec(case(provider, path).base))


def with_value(provider: str, path: str, env: Mapping[str, str] | None = None) -> Mapped:
    given = case(provider, path)
    asked = spec({**given.base, given.path or path: given.value})
    return mapped(provider, asked, given.env if env is None else env)


def with_exact(provider: str, path: str) -> Mapped:
    given = case(provider, path)
    base = given.base if given.exact_base is None else given.exact_base
    return mapped(provider, spec({**base, given.path or path: given.exact}), given.env)


def unmarked(provider: str, sent: Any) -> Any:
    """Without the adapter's own marks."""
    if isinstance(sent, dict):
        return {name: unmarked(provider, value) for name, value in sent.items() if name not in MARKS[provider]}
    if isinstance(sent, list):
        return [unmarked(provider, value) for value in sent]
    return sent
