"""What the chart lets the programs do in Kubernetes: this table, and nothing else.

It is derived from the code (controller/kube, controller/handlers, api/objects, api/secrets, api/tenancy, api/auth);
tests/cluster runs the programs with these rights.
"""

from collections.abc import Iterable, Iterator

import pytest

from tests.manifests import chart
from tests.manifests.cases import CASES
from tests.manifests.chart import Object

JOBS = "jennah.alphaus.cloud/jennahjobs"

OPERATOR = {
    f"{JOBS}: get list watch patch delete",
    f"{JOBS}/status: patch",
    "secrets: get",
    "configmaps: get",
    "namespaces: get",
    "events: create",
}
LEASE = {
    "coordination.k8s.io/leases: create",
    "coordination.k8s.io/leases[jennah-controller]: get update",
}
KUBERNETES_JOBS = {
    "batch/jobs: get list watch create patch delete",
    "pods: list watch",
    "pods/status: patch",
    "secrets: get create",
}
API_WATCHED = {f"{JOBS}: get list patch delete", "namespaces: get"}
API_JOBS = {f"{JOBS}: create", "secrets: get create"}
REVIEWS = {"authentication.k8s.io/tokenreviews: create", "authorization.k8s.io/subjectaccessreviews: create"}

TENANTS = {"jennah.alphaus.cloud/jennahtenants: list"}
"""They have no namespace."""

CONFINED = {
    "jennah-controller in *": TENANTS,
    "jennah-api in *": TENANTS,
    "jennah-controller in jennah-jobs": OPERATOR,
    "jennah-controller in jennah-system": LEASE,
    "jennah-api in jennah-jobs": API_JOBS | API_WATCHED,
}
"""By default nothing else is granted but in the namespace of jobs, and the lease beside the programs."""
CLUSTER_WIDE = {
    "jennah-controller in *": OPERATOR | TENANTS,
    "jennah-controller in jennah-system": LEASE,
    "jennah-api in *": API_WATCHED | TENANTS,
    "jennah-api in jennah-jobs": API_JOBS,
}

EXPECTED = {
    "the least": CONFINED,
    "all namespaces": CLUSTER_WIDE,
    "a few namespaces": {
        **CONFINED,
        "jennah-controller in team-a": OPERATOR,
        "jennah-api in team-a": API_WATCHED,
    },
    "kubernetes jobs in the jobs' own namespaces": {
        **CONFINED,
        "jennah-controller in jennah-jobs": OPERATOR | KUBERNETES_JOBS,
    },
    "kubernetes jobs in all namespaces": {
        **CLUSTER_WIDE,
        "jennah-controller in *": OPERATOR | TENANTS | KUBERNETES_JOBS,
    },
    "kubernetes jobs in one namespace": {**CONFINED, "jennah-controller in batch": KUBERNETES_JOBS},
    "kubernetes jobs in another cluster": CONFINED,
    "kubernetes jobs in a few namespaces": {
        **CONFINED,
        "jennah-controller in jennah-jobs": OPERATOR | KUBERNETES_JOBS,
        "jennah-controller in team-a": OPERATOR | KUBERNETES_JOBS,
        "jennah-api in team-a": API_WATCHED,
    },
    "accounts of the cluster may call": {**CONFINED, "jennah-api in *": REVIEWS | TENANTS},
    "tokens of an issuer, and of a file": CONFINED,
    "no API": {
        "jennah-controller in *": TENANTS,
        "jennah-controller in jennah-jobs": OPERATOR,
        "jennah-controller in jennah-system": LEASE,
    },
    "the API on Cloud Run": {
        "jennah-controller in *": TENANTS,
        "api@my-project.iam.gserviceaccount.com in *": TENANTS,
        "jennah-controller in jennah-jobs": OPERATOR,
        "jennah-controller in jennah-system": LEASE,
        "api@my-project.iam.gserviceaccount.com in jennah-jobs": API_JOBS | API_WATCHED,
    },
    "the environment from elsewhere": CONFINED,
    "as little as possible": {},
}


@pytest.mark.parametrize("case", EXPECTED)
def test_the_programs_may_do_what_their_code_calls_and_nothing_else(case: str) -> None:
    assert granted(chart.render(CASES[case])) == EXPECTED[case]


def granted(objects: Iterable[Object]) -> dict[str, set[str]]:
    """Rights by "account in namespace"; ``*`` is the whole cluster."""
    objects = list(objects)
    roles = {(f["kind"], f["metadata"].get("namespace"), f["metadata"]["name"]): f for f in objects if "rules" in f}
    found: dict[str, set[str]] = {}
    for binding in (f for f in objects if f["kind"].endswith("RoleBinding")):
        namespace = binding["metadata"].get("namespace")
        role = roles[binding["roleRef"]["kind"], namespace, binding["roleRef"]["name"]]
        for subject in binding["subjects"]:
            found.setdefault(f"{subject['name']} in {namespace or '*'}", set()).update(_rights(role))
    return found


def _rights(role: Object) -> Iterator[str]:
    for rule in role["rules"]:
        names = f"[{' '.join(rule['resourceNames'])}]" if "resourceNames" in rule else ""
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield f"{group}/{resource}{names}: {' '.join(rule['verbs'])}".removeprefix("/")


def test_nothing_is_granted_by_a_wildcard() -> None:
    for case in CASES:
        for role in (f for f in chart.render(CASES[case]) if "rules" in f):
            for rule in role["rules"]:
                assert "*" not in {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}


def test_the_clusters_own_roles_take_in_jennahjobs() -> None:
    roles = {
        role["metadata"]["name"]: role
        for role in chart.of_kind(chart.render(CASES["the least"]), "ClusterRole")
        if role["metadata"]["name"].startswith("jennah-jobs-")
    }
    assert {name: sorted(_rights(role)) for name, role in roles.items()} == {
        "jennah-jobs-view": [f"{JOBS}/status: get list watch", f"{JOBS}: get list watch"],
        "jennah-jobs-edit": [f"{JOBS}: create update patch delete deletecollection"],
    }
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    into = {
        name: {label.removeprefix(aggregated) for label in role["metadata"]["labels"] if label.startswith(aggregated)}
        for name, role in roles.items()
    }
    assert into == {"jennah-jobs-view": {"view", "edit", "admin"}, "jennah-jobs-edit": {"edit", "admin"}}
