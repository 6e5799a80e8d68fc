"""Names that are legal on every service, and derived alike by everybody."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain import names

STRICTEST = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")
UID = "7b1a1c9e-0c39-4a6c-9a53-0d9f7a3d3c11"


@given(st.text(max_size=300), st.uuids())
def test_an_external_name_is_valid_on_all_clouds_whatever_the_job_is_called(name: str, uid: uuid.UUID) -> None:
    external = names.external_name(name, str(uid))
    assert STRICTEST.fullmatch(external)
    assert external.endswith(uid.hex), "the whole uid is in it: unique for ever"


def test_an_external_name_begins_with_what_people_know() -> None:
    assert names.external_name("Train Model #7", UID).startswith("train-model-7-7b1a1c9e")


def test_transition_ids_are_the_same_for_everybody_and_fit_the_column() -> None:
    assert names.transition_id(UID, 3) == names.transition_id(UID, 3)
    assert len({names.transition_id(UID, n) for n in range(100)} | {names.notification_id(UID)}) == 101
    assert len(names.transition_id(UID, 3)) == names.ID_MAX


@pytest.mark.parametrize("tenant", ["a", "Tenant-1", "x" * 36, "a.b_c", str(uuid.uuid4())])
def test_tenants_that_are_legal(tenant: str) -> None:
    assert names.tenant_fault(tenant) is None


@pytest.mark.parametrize("tenant", ["", "x" * 37, "-a", "a-", "a b", "a/b", "ä", "a\n"])
def test_tenants_that_are_not(tenant: str) -> None:
    assert names.tenant_fault(tenant)


@pytest.mark.parametrize("job_id", ["a", "x" * 36, "a.b-c", str(uuid.uuid4())])
def test_job_ids_that_are_legal(job_id: str) -> None:
    assert names.job_id_fault(job_id) is None


@pytest.mark.parametrize("job_id", ["", "x" * 37, "UPPER", "a_b", "-a", "a.", "a..b", "a b", "../x"])
def test_job_ids_that_are_not(job_id: str) -> None:
    assert names.job_id_fault(job_id)


@pytest.mark.parametrize(("name", "legal"), [("A", True), ("_a1", True), ("1A", False), ("A-B", False), ("", False)])
def test_env_names_are_c_identifiers(name: str, legal: bool) -> None:
    assert names.is_env_name(name) is legal


@pytest.mark.parametrize("namespace", ["default", "a" * 33, "a" * 34, "team-a", "x" * 63])
def test_a_namespaces_own_tenant_can_be_recorded_and_is_no_callers(namespace: str) -> None:
    tenant_id = names.namespace_tenant(namespace)
    assert names.tenant_fault(tenant_id) is None
    assert names.api_tenant_fault(tenant_id) is not None
    assert names.is_label("k", names.tenant_label(tenant_id))
    assert tenant_id != names.namespace_tenant(namespace[:-1] + "b")


def test_no_namespace_can_be_called_as_the_tenant_of_another() -> None:
    """A namespace with a long name has a tenant that is cut; who may make namespaces must not be able to be it."""
    tenant_id = names.namespace_tenant("team-payments-production-and-reports")
    called_so = tenant_id.removeprefix("ns:")
    assert names.namespace_fault(called_so) is not None or names.namespace_tenant(called_so) != tenant_id
