"""The variables of the provider: what they mean, and one line for each that is wrong."""

import pytest

from controller.clock import SystemClock
from controller.cloud_settings import SPOT_NODES, KubernetesSettings
from controller.clouds import provider_at
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError
from controller.settings import read_operator

BASE = {"BATCH_PROVIDER": "kubernetes", "DB_PROVIDER": "sqlite"}


def read(**variables: str) -> KubernetesSettings:
    cloud = read_operator({**BASE, **variables}).cloud
    assert isinstance(cloud, KubernetesSettings)
    return cloud


def test_nothing_has_to_be_set() -> None:
    found = read()
    assert (found.region, found.instance, found.namespace, found.kubeconfig) == ("cluster", "default", "", "")
    assert (found.ttl_seconds, found.grace_seconds, found.is_restricted) == (86400, 30, False)
    assert found.spot_nodes == SPOT_NODES


def test_all_that_can_be_set() -> None:
    found = read(
        KUBERNETES_JOB_NAMESPACE="batch",
        KUBERNETES_JOB_KUBECONFIG="/etc/jobs",
        KUBERNETES_JOB_TTL_SECONDS="600",
        KUBERNETES_GRACE_SECONDS="5",
        KUBERNETES_POD_SECURITY="restricted",
        KUBERNETES_SPOT_NODES="pool=spot",
        KUBERNETES_GPU_RESOURCE="amd.com/gpu",
        KUBERNETES_GPU_LABEL="gpu",
        WATCH_NAMESPACES="a,b",
    )
    assert (found.namespace, found.kubeconfig, found.watch_namespaces) == ("batch", "/etc/jobs", ("a", "b"))
    assert (found.ttl_seconds, found.grace_seconds, found.is_restricted) == (600, 5, True)
    assert (found.spot_nodes, found.gpu_resource, found.gpu_label) == ({"pool": "spot"}, "amd.com/gpu", "gpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KUBERNETES_JOB_NAMESPACE", "A B"),
        ("KUBERNETES_JOB_TTL_SECONDS", "59"),
        ("KUBERNETES_GRACE_SECONDS", "-1"),
        ("KUBERNETES_POD_SECURITY", "privileged"),
        ("KUBERNETES_SPOT_NODES", "spot"),
        ("KUBERNETES_SPOT_NODES", "a b=c"),
        ("KUBERNETES_GPU_RESOURCE", "a gpu"),
        ("KUBERNETES_GPU_LABEL", "a label"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(**{name: value})
    (fault,) = refused.value.faults
    assert fault.startswith(name)


def test_jobs_are_not_made_in_the_controllers_own_namespace() -> None:
    assert read(POD_NAMESPACE="jennah-system", KUBERNETES_JOB_NAMESPACE="batch").own_namespace == "jennah-system"
    with pytest.raises(ConfigError, match="KUBERNETES_JOB_NAMESPACE='jennah-system' is the controller's own namespace"):
        read(POD_NAMESPACE="jennah-system", KUBERNETES_JOB_NAMESPACE="jennah-system")
    elsewhere = read(POD_NAMESPACE="same", KUBERNETES_JOB_NAMESPACE="same", KUBERNETES_JOB_KUBECONFIG="/etc/jobs")
    assert elsewhere.own_namespace == "", "that of another cluster is another one"


def test_jobs_that_were_made_there_before_are_still_reached() -> None:
    env = {**BASE, "POD_NAMESPACE": "jennah-system"}
    there = Destination(provider="kubernetes", namespace="jennah-system")
    assert provider_at(there, SystemClock(), env).name == "kubernetes"
