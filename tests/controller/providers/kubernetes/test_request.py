"""What a request becomes: the Job and its Secret, and what is refused by name."""

import base64
import json
from typing import Any

import msgspec
import pytest

from controller.domain import names, reasons
from controller.domain.destination import Destination
from controller.domain.errors import Permanent
from controller.domain.job import (
    CloudSecretRef,
    EnvVar,
    EnvVarSource,
    Gpu,
    KubernetesOptions,
    Resources,
    Toleration,
)
from controller.providers.kubernetes import places, request
from tests.controller.providers.kubernetes.harness import JOB_UID, UID, job, settings, wanted

QUEUE = "kueue.x-k8s.io/queue-name"


def made(**spec: Any) -> dict[str, Any]:
    return request.job(wanted(**spec), settings())


def pod_of(**spec: Any) -> dict[str, Any]:
    return made(**spec)["spec"]["template"]["spec"]


def test_a_job_with_its_labels_in_its_jennahjobs_own_namespace_runs_nothing_yet() -> None:
    job = made()
    assert job["spec"]["suspend"] is True
    assert job["metadata"] == {
        "name": f"hello-{UID.replace('-', '')}",
        "namespace": "team-a",
        "labels": {
            "app.kubernetes.io/managed-by": "jennah",
            "jennah.alphaus.cloud/instance": "test",
            "jennah.alphaus.cloud/uid": UID,
            "jennah.alphaus.cloud/external-name": f"hello-{UID.replace('-', '')}",
            "jennah.alphaus.cloud/tenant": "tenant",
            "jennah.alphaus.cloud/job-id": "job-1",
            "jennah.alphaus.cloud/namespace": "team-a",
        },
        "annotations": {
            "jennah.alphaus.cloud/unreleased": "true",
            "jennah.alphaus.cloud/tenant": "tenant",
            "jennah.alphaus.cloud/preemption-limit": "3",
        },
    }
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"], "logs find the Pods by them"
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400


def test_a_job_beside_its_jennahjob_goes_with_it_until_it_is_let_go() -> None:
    """An owner in another namespace or cluster would count as gone: the garbage collector would take the Job."""
    asked = msgspec.structs.replace(wanted(), object_name="hello")
    (owner,) = request.job(asked, settings())["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "jennah.alphaus.cloud/v1",
        "kind": "JennahJob",
        "name": "hello",
        "uid": UID,
        "controller": False,
        "blockOwnerDeletion": False,
    }
    released = request.release(asked, job())["metadata"]
    assert released["ownerReferences"] == [{"uid": UID, "$patch": "delete"}]
    for elsewhere in (settings(namespace="batch"), settings(kubeconfig="/of/another/cluster")):
        assert "ownerReferences" not in request.job(asked, elsewhere)["metadata"]
    assert "ownerReferences" not in made()["metadata"], "whose object's name is not known"


def test_a_job_is_let_go_as_it_was_read_and_no_other() -> None:
    assert request.release(wanted(), job()) == {
        "metadata": {
            "uid": JOB_UID,
            "resourceVersion": "10",
            "annotations": {"jennah.alphaus.cloud/unreleased": None},
            "ownerReferences": [{"uid": UID, "$patch": "delete"}],
        },
        "spec": {"suspend": False},
    }


@pytest.mark.parametrize("by", ["its user", "a default of the namespace"])
def test_a_job_in_a_queue_of_kueues_is_let_go_by_kueue(by: str) -> None:
    asked = wanted(labels={QUEUE: "q"} if by == "its user" else {})
    assert QUEUE not in request.job(asked, settings())["metadata"]["labels"], "Kueue would let it go before its time"
    there = job(meta={"labels": {QUEUE: "q"}} if by != "its user" else None)
    released = request.release(asked, there)
    assert released["metadata"]["labels"] == {QUEUE: "q"}
    assert "spec" not in released


def test_one_namespace_can_be_for_all_jobs() -> None:
    job = request.job(wanted(), settings(namespace="batch"))
    assert job["metadata"]["namespace"] == "batch"
    assert job["metadata"]["labels"]["jennah.alphaus.cloud/namespace"] == "team-a"


def test_the_environments_values_are_in_a_secret_of_the_job_and_nowhere_in_the_job() -> None:
    asked = wanted(env={"TOKEN": "secret-value", "B": "ü"})
    job, secret = request.job(asked, settings()), request.secret(asked, settings(), JOB_UID)
    assert "secret-value" not in json.dumps(job)
    name = secret["metadata"]["name"]
    assert job["spec"]["template"]["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": name}}]
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == asked.env
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", job["metadata"]["name"], JOB_UID)


def test_a_job_without_an_environment_needs_no_secret() -> None:
    asked = wanted(env={})
    assert request.secret(asked, settings(), JOB_UID) is None
    assert "envFrom" not in request.job(asked, settings())["spec"]["template"]["spec"]["containers"][0]


def test_a_variable_of_the_jobs_own_is_not_hidden_by_one_of_ours() -> None:
    told = request.job(wanted(env={"JENNAH_JOB_ID": "mine"}), settings())
    names_told = [one["name"] for one in told["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert "JENNAH_JOB_ID" not in names_told


def test_requests_are_limits_and_the_deadline_is_the_pods() -> None:
    pod = pod_of(boot_disk_gib=20, resources=Resources(gpu=Gpu(count=2, type="NVIDIA-L4")))
    asked = {"cpu": "500m", "memory": "128Mi", "ephemeral-storage": "20Gi", "nvidia.com/gpu": "2"}
    assert pod["containers"][0]["resources"] == {"requests": asked, "limits": asked}
    assert pod["activeDeadlineSeconds"] == 3600
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_a_single_task_is_tried_again_by_the_job_and_tasks_of_an_array_each_for_itself() -> None:
    single, array = made(backoff_limit=2)["spec"], made(backoff_limit=2, completions=5, parallelism=3)["spec"]
    assert (single["completionMode"], single["completions"], single["backoffLimitPerIndex"]) == ("Indexed", 1, 2)
    assert (array["completionMode"], array["completions"], array["parallelism"]) == ("Indexed", 5, 3)
    assert array["backoffLimitPerIndex"] == 2
    assert "backoffLimit" not in array, "that would be of all tasks together"
    told = {one["name"]: one for one in array["template"]["spec"]["containers"][0]["env"]}
    assert told["BATCH_TASK_COUNT"]["value"] == "5"
    assert "job-completion-index" in told["BATCH_TASK_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
    for spec in (single, array):
        ours, rule = spec["podFailurePolicy"]["rules"]
        assert ours["onPodConditions"] == [{"type": "jennah.alphaus.cloud/NotRunAgain", "status": "True"}]
        assert ours["action"] == ("FailJob" if spec is single else "FailIndex")
        assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        assert spec["template"]["spec"]["restartPolicy"] == "Never", "a failure policy needs that"


def test_a_single_task_is_told_its_index_as_those_of_an_array_are() -> None:
    told = {one["name"]: one for one in pod_of()["containers"][0]["env"]}
    assert told["BATCH_TASK_COUNT"]["value"] == "1"
    assert "job-completion-index" in told["BATCH_TASK_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]


def test_words_with_dollars_reach_the_program_as_they_are() -> None:
    container = pod_of(command=("sh", "-c"), args=("echo $(HOME) $$ $x",))["containers"][0]
    assert container["command"] == ["sh", "-c"]
    assert container["args"] == ["echo $$(HOME) $$$$ $$x"]


def test_a_spot_job_runs_on_a_node_with_one_of_the_labels_and_tolerates_their_taints() -> None:
    asked = request.job(wanted(spot=True), settings(spot_nodes={"a/spot": "yes", "b/spot": "1"}))
    pod = asked["spec"]["template"]["spec"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [one["matchExpressions"][0]["key"] for one in terms] == ["a/spot", "b/spot"], "of terms one is enough"
    assert pod["tolerations"] == [{"key": "a/spot", "value": "yes"}, {"key": "b/spot", "value": "1"}]


def test_machine_identity_priority_and_registries() -> None:
    options = KubernetesOptions(
        priority_class_name="high",
        image_pull_secrets=("registry",),
        node_selector={"disk": "ssd"},
        tolerations=(Toleration(key="team", operator="Exists"),),
    )
    pod = pod_of(machine_type="c6i.large", service_account="runner", kubernetes=options)
    assert pod["nodeSelector"] == {"disk": "ssd", "node.kubernetes.io/instance-type": "c6i.large"}
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("runner", True)
    assert (pod["priorityClassName"], pod["imagePullSecrets"]) == ("high", [{"name": "registry"}])
    assert pod["tolerations"] == [{"key": "team", "operator": "Exists"}]


def test_pods_have_no_rights_in_the_cluster_and_fit_the_baseline_unless_told_to_fit_more() -> None:
    pod = pod_of()
    assert pod["automountServiceAccountToken"] is False
    nobody = pod_of(service_account="")
    assert nobody["automountServiceAccountToken"] is False, "an account without a name is on no list of tenants"
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False}
    pod = request.job(wanted(), settings(is_restricted=True))["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_an_ended_job_is_kept_as_long_as_its_jennahjob() -> None:
    assert made(ttl_seconds_after_finished=100_000)["spec"]["ttlSecondsAfterFinished"] == 100_000
    assert made(ttl_seconds_after_finished=5)["spec"]["ttlSecondsAfterFinished"] == 86400


def test_a_job_that_is_left_alone_says_so() -> None:
    assert made(deletion_policy="Orphan")["metadata"]["labels"]["jennah.alphaus.cloud/deletion-policy"] == "Orphan"


@pytest.mark.parametrize("key", ["team", "kueue.x-k8s.io/priority-class", "app.kubernetes.io/name", "helm.sh/chart"])
def test_users_labels_are_the_jobs_and_its_pods(key: str) -> None:
    job = made(labels={key: "v"})
    assert job["metadata"]["labels"][key] == job["spec"]["template"]["metadata"]["labels"][key] == "v"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"env": {"N" * 254: "v"}}, "spec.env"),
        ({"env": {"A": "x" * (2**20 + 1)}}, "spec.env"),
        ({"priority": 5}, "spec.priority"),
        ({"service_account": "runner@project.iam"}, "spec.serviceAccount"),
        ({"labels": {"a b": "c"}}, "spec.labels"),
        ({"labels": {"a": "b c"}}, "spec.labels"),
        ({"labels": {"batch.kubernetes.io/job-name": "x"}}, "spec.labels"),
        ({"labels": {"topology.kubernetes.io/zone": "x"}}, "spec.labels"),
        ({"labels": {"app.kubernetes.io/managed-by": "x"}}, "spec.labels"),
        ({"labels": {"jennah.alphaus.cloud/uid": "x"}}, "spec.labels"),
        ({"labels": {"controller-uid": "x"}}, "spec.labels"),
        ({"labels": {"kueue.x-k8s.io/prebuilt-workload-name": "theirs"}}, "spec.labels"),
        ({"labels": {"azure.workload.identity/use": "true"}}, "spec.labels"),
        ({"labels": {"sidecar.istio.io/inject": "false"}}, "spec.labels"),
        ({"labels": {"scheduling.volcano.sh/queue-name": "theirs"}}, "spec.labels"),
        ({"machine_type": "a machine"}, "spec.machineType"),
        ({"resources": Resources(gpu=Gpu(count=1, type="a gpu"))}, "spec.resources.gpu.type"),
        ({"kubernetes": KubernetesOptions(node_selector={"a": "b c"})}, "spec.kubernetes.nodeSelector"),
        ({"args": ("x" * 100_000,) * 10}, "spec.args"),
        ({"args": ("x" * 131_072,)}, "spec.args[0]"),
        ({"env": {"A": "x" * 131_072}}, "spec.env: A"),
    ],
)
def test_what_cannot_be_is_refused_and_named(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Permanent) as refused:
        made(**spec)
    assert refused.value.reason == reasons.INVALID_SPEC
    assert str(refused.value).startswith(field)


def test_a_clouds_secret_is_refused_and_the_variable_named() -> None:
    asked = wanted()
    variable = EnvVar(name="DB", value_from=EnvVarSource(cloud_secret_ref=CloudSecretRef(name="arn:1")))
    spec = msgspec.structs.replace(asked.spec, env=(variable,))
    with pytest.raises(Permanent, match="env DB"):
        request.job(msgspec.structs.replace(asked, spec=spec), settings())


def test_a_jobs_name_leaves_room_for_the_host_names_of_its_pods_and_stays_unique() -> None:
    """The API server refuses an indexed Job whose name with the largest index is longer than 63 characters."""
    external = names.external_name("a-name-that-is-as-long-as-it-can-be", UID)
    assert len(external) == 63
    name = places.job_name(external)
    assert len(f"{name}-9999") <= 63
    assert name.endswith(UID.replace("-", ""))
    short = names.external_name("short", UID)
    assert places.job_name(short) == short


def test_the_same_request_gives_the_same_job() -> None:
    assert made(completions=3) == made(completions=3)


def test_a_job_in_the_controllers_own_namespace_is_refused() -> None:
    """It could name the controller's ServiceAccount, and mount every Secret that is beside it."""
    own = settings(own_namespace="jennah-system")
    with pytest.raises(Permanent, match=r"metadata\.namespace: is the controller's own") as refused:
        request.namespace_of("jennah-system", own)
    assert refused.value.reason == reasons.INVALID_SPEC
    assert request.namespace_of("team-a", own) == "team-a"
    assert request.namespace_of("jennah-system", settings(own_namespace="jennah-system", namespace="batch")) == "batch"
    sent = msgspec.structs.replace(wanted(), destination=Destination(provider="kubernetes", namespace="jennah-system"))
    with pytest.raises(Permanent, match="controller's own"):
        request.job(sent, own)


def test_a_namespaces_tenant_is_no_label_and_is_kept_whole_beside_it() -> None:
    asked = msgspec.structs.replace(wanted(), tenant_id="ns:team-a")
    meta = request.job(asked, settings())["metadata"]
    assert meta["labels"][names.LABEL_TENANT] == "ns.team-a"
    assert meta["annotations"][names.LABEL_TENANT] == "ns:team-a"


def expressions(**fields: object) -> list[list[tuple[str, list[str]]]]:
    """The terms of the node affinity: keys and values."""
    affinity = pod_of(**fields)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    terms = [term["matchExpressions"] for term in affinity["nodeSelectorTerms"]]
    return [[(one["key"], one["values"]) for one in term] for term in terms]


@pytest.mark.parametrize("name", ["a100", "A100", "nvidia-tesla-a100"])
def test_a_short_name_of_a_gpu_is_every_product_of_it(name: str) -> None:
    [[(key, values)]] = expressions(resources=Resources(gpu=Gpu(count=1, type=name)))
    assert key == "nvidia.com/gpu.product"
    assert {"NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-80GB"} <= set(values)


def test_a_spot_node_must_have_the_gpu_too() -> None:
    terms = expressions(spot=True, resources=Resources(gpu=Gpu(count=1, type="t4")))
    assert len(terms) > 1
    assert all(("nvidia.com/gpu.product", ["Tesla-T4"]) in term for term in terms)


@pytest.mark.parametrize("name", ["NVIDIA-A100-SXM4-40GB", "mi300x"])
def test_another_name_of_a_gpu_is_the_labels_value(name: str) -> None:
    pod = pod_of(resources=Resources(gpu=Gpu(count=1, type=name)))
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": name}
    assert "affinity" not in pod
