"""What Kubernetes takes of a spec: pure. The API asks it as well, so that callers hear it at once."""

from collections.abc import Mapping

import msgspec

from controller.domain import names
from controller.domain.job import JobSpec, KubernetesOptions
from controller.domain.resources import ResourceSet, Sizing
from controller.providers import program
from controller.providers.kubernetes import labels
from controller.providers.program import invalid

MAX_SECRET_BYTES = 1024 * 1024
"""Of a Secret's values together (core/v1, MaxSecretSize)."""
MAX_KEY = 253
"""Characters of a Secret's key."""
MAX_WORDS_BYTES = 900_000
"""Of command, args, labels and node selector as JSON. etcd takes 1.5 MiB for an object, and the Job controller puts the
Job's template into each Pod, with more around it."""
EVICTION_MIB = 100
"""A kubelet gives no Pod the last 100 MiB of its node (kubelet configuration, evictionHard, memory.available)."""


def check(spec: JobSpec, resources: ResourceSet, sizing: Sizing, env: Mapping[str, str]) -> None:
    """Raises Permanent(INVALID_SPEC), which names the field, the limit and the remedy.

    `env`: every variable, resolved; from the API those that it knows.
    """
    program.check(spec, env, "kubernetes")
    for name in spec.cloud_secrets:
        raise invalid(f"env {name}", "Kubernetes has no cloudSecretRef: use secretKeyRef")
    if spec.priority:
        raise invalid("priority", "Kubernetes has classes of priority: name one in spec.kubernetes.priorityClassName")
    fault = names.object_name_fault(spec.service_account) if spec.service_account else None
    if fault:
        raise invalid("serviceAccount", f"must name a ServiceAccount of the Job's namespace: {fault}")
    labels.check(spec.labels or {})
    _check_environment(env)
    _check_nodes(spec)
    _check_size(spec)
    machine = sizing.machine
    if machine and machine.cloud != "azure" and spec.machine_type != machine.name.lower():
        fault = f"no node has the label {spec.machine_type!r}, whose letters count: it is {machine.name.lower()}"
        raise invalid("machineType", fault)
    if machine and not sizing.takes_all_memory and resources.memory_mib > machine.memory_mib - EVICTION_MIB:
        most = machine.memory_mib - EVICTION_MIB
        fault = f"{resources.memory_mib} MiB fit on no node of the machine type {machine.name}, which gives at most"
        raise invalid("resources.memory", f"{fault} {most} MiB to Pods: ask for less, or name a larger machineType")


def _check_environment(env: Mapping[str, str]) -> None:
    size = sum(len(value.encode("utf-8", "surrogatepass")) for value in env.values())
    if size > MAX_SECRET_BYTES:
        raise invalid(
            "env",
            f"the values have {size} bytes together, and a Secret takes {MAX_SECRET_BYTES}: put what is "
            "large into a file that the program reads",
        )
    for name in env:
        if len(name) > MAX_KEY:
            raise invalid("env", f"the name {name[:20]}… has more than {MAX_KEY} characters")


def _check_nodes(spec: JobSpec) -> None:
    """Labels of nodes: what is no label, no node can have."""
    gpu = spec.resources.gpu if spec.resources else None
    options = spec.kubernetes or KubernetesOptions()
    asked = [("machineType", "machine", spec.machine_type), ("resources.gpu.type", "gpu", gpu.type if gpu else None)]
    asked += [("kubernetes.nodeSelector", key, value) for key, value in (options.node_selector or {}).items()]
    for field, key, value in asked:
        if value is not None and not names.is_label(key, value):
            told = value if field != "kubernetes.nodeSelector" else f"{key}={value}"
            raise invalid(field, f"no node can have {told!r} as a label: at most 63 letters, digits and . _ -")


def _check_size(spec: JobSpec) -> None:
    options = spec.kubernetes or KubernetesOptions()
    # Labels are the Job's and its Pods'; each "$" of a word is written twice.
    parts = (spec.labels, spec.labels, options.node_selector, options.tolerations, spec.command, spec.args)
    dollars = sum(word.count("$") for words in (spec.command, spec.args) for word in words or ())
    size = len(msgspec.json.encode(parts)) + dollars
    if size > MAX_WORDS_BYTES:
        fault = f"command, args and labels have {size} bytes together, of which a Job takes {MAX_WORDS_BYTES}"
        raise invalid("args", f"{fault}: put long text into a ConfigMap or the image")
