"""What each cloud's adapter needs to be told, from the environment (contract §3 and names of our own)."""

import base64
import re

import msgspec

from controller.domain import images, names
from controller.variables import Environment

AZURE_TASK_USERS = ("task", "pool", "task-admin", "pool-admin")
"""Scope of the user that the service makes, and whether it is root on the node."""

_INSTANCE = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_NODE_SIZE = re.compile(r"(\d+(?:\.\d+)?)/(\d+)(?:/(\d+))?")


class GcpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Google Cloud Batch."""

    project: str
    """BATCH_PROJECT_ID."""
    region: str
    """BATCH_REGION."""
    instance: str
    """JENNAH_INSTANCE: tells the jobs of one installation from those of another in the same project."""
    endpoint: str = ""
    """GCP_BATCH_ENDPOINT: host:port of a stand-in that speaks gRPC, without TLS and credentials; or the URL of what
    speaks REST, with credentials where it is https. Empty means the service, by gRPC."""
    reads_per_second: float
    """GCP_READS_PER_SECOND; the service allows 15,000 a minute and region (providers.md §1g)."""
    mutations_per_second: float
    """GCP_MUTATIONS_PER_SECOND; the service allows 6,000 a minute and region."""


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """AWS Batch."""

    region: str
    """BATCH_REGION."""
    instance: str
    """JENNAH_INSTANCE: tells the jobs of one installation from those of another in the same account."""
    account_id: str = ""
    """AWS_ACCOUNT_ID: the account that the credentials must be of; empty: any."""
    job_queue: str
    """AWS_JOB_QUEUE: name or ARN of the queue that jobs go to unless AWS_JOB_QUEUES or their spec says otherwise. ""
    for a place that only has jobs of earlier settings."""
    job_queues: dict[str, str] = {}
    """AWS_JOB_QUEUES: queues by what a job asks for: ``spot=Q``, ``gpu=Q``, a machine type, a GPU type, or one of these
    joined by ``+`` with spot (``gpu+spot=Q``, ``c6i.large+spot=Q``). The machine type counts first, then the GPU's
    type, the GPU, spot; spec.aws.jobQueue before all. What has no queue is refused, but for ``gpu``: the default."""
    execution_role_arn: str = ""
    """AWS_EXECUTION_ROLE_ARN: for jobs that name none; Fargate and secrets need one."""
    endpoint: str = ""
    """AWS_BATCH_ENDPOINT: URL of a stand-in; empty means the service."""
    calls_per_second: float
    """AWS_CALLS_PER_SECOND: for all calls but SubmitJob; the service publishes no limit."""
    submits_per_second: float
    """AWS_SUBMITS_PER_SECOND; the service allows 50 an account and region (providers.md §2g)."""


class NodeSize(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine has."""

    cpu_millis: int
    memory_mib: int
    gpus: int | None = None
    """None: not known."""


class AzureRegistry(msgspec.Struct, frozen=True, kw_only=True):
    """A private registry: a user and a password, or an identity of the pool."""

    server: str
    """AZURE_REGISTRY_SERVER, as `images.registry_host` writes it: its images are pulled with these credentials."""
    username: str = ""
    """AZURE_REGISTRY_USERNAME."""
    password: str = ""
    """AZURE_REGISTRY_PASSWORD. Never log it."""
    identity: str = ""
    """AZURE_REGISTRY_IDENTITY: resource id of a user-assigned identity that the pool has."""

    def __repr__(self) -> str:
        return f"AzureRegistry({self.server})"


class AzureSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Azure Batch."""

    region: str
    """BATCH_REGION."""
    instance: str
    """JENNAH_INSTANCE: tells the jobs of one installation from those of another in the same account."""
    subscription_id: str
    """AZURE_SUBSCRIPTION_ID: only for links to the portal."""
    resource_group: str
    """AZURE_RESOURCE_GROUP: only for links to the portal."""
    account: str
    """AZURE_BATCH_ACCOUNT."""
    endpoint: str
    """AZURE_BATCH_ENDPOINT; https://ACCOUNT.REGION.batch.azure.com by default."""
    account_key: str = ""
    """AZURE_BATCH_KEY: the account's shared key; empty means azure-identity's default chain. Never log it."""
    pool: str
    """AZURE_BATCH_POOL: the pool that jobs go to unless AZURE_BATCH_POOLS or their spec says otherwise. "" for a place
    that only has jobs of earlier settings."""
    pools: dict[str, str] = {}
    """AZURE_BATCH_POOLS: pools by what a job asks for, as AWS_JOB_QUEUES."""
    nodes: dict[str, NodeSize] = {}
    """AZURE_NODE_SIZES: cores and MiB of a node, and its GPUs if it has any, by VM size or pool id:
    ``Standard_NC6=6/57344/1``; for sizes that `domain.machines` does not know."""
    registry: AzureRegistry | None = None
    """AZURE_REGISTRY_*: the private registry that jobs may pull from, beside those of the pool itself."""
    output_url: str = ""
    """AZURE_OUTPUT_URL: URL of the Blob container that stdout and stderr are kept in. May hold a signature: never log
    it."""
    output_identity: str = ""
    """AZURE_OUTPUT_IDENTITY: resource id of the pool's identity that may write there; else the URL holds a
    signature."""
    task_user: str = ""
    """AZURE_TASK_USER: whom tasks run as, one of `AZURE_TASK_USERS`; empty leaves it to the service."""
    reads_per_second: float
    """AZURE_READS_PER_SECOND: reads of single jobs, and as many again of the rounds that observe all jobs. The service
    publishes no limit."""
    mutations_per_second: float
    """AZURE_MUTATIONS_PER_SECOND: calls that make, end or remove something."""

    def __repr__(self) -> str:
        return f"AzureSettings({self.account})"


SPOT_NODES = {
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""What GKE, EKS, Karpenter and AKS label their spot nodes with, and GKE and AKS taint them with."""


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Kubernetes Jobs."""

    region: str
    """BATCH_REGION: a name for the cluster, only shown; "cluster" by default."""
    instance: str
    """JENNAH_INSTANCE: tells the jobs of one installation from those of another in the same cluster."""
    watch_namespaces: tuple[str, ...] = ()
    """WATCH_NAMESPACES: where Jobs are made and watched unless `namespace` says otherwise."""
    namespace: str = ""
    """KUBERNETES_JOB_NAMESPACE: where all Jobs are made; empty: each in its JennahJob's own namespace."""
    own_namespace: str = ""
    """POD_NAMESPACE: where the controller itself is, and no Job is made; empty: in none of the cluster of the Jobs."""
    kubeconfig: str = ""
    """KUBERNETES_JOB_KUBECONFIG: path of a kubeconfig file of another cluster to run the Jobs in."""
    grace_seconds: int = 30
    """KUBERNETES_GRACE_SECONDS: from SIGTERM to SIGKILL, for the tasks of a job that is cancelled."""
    ttl_seconds: int = 86400
    """KUBERNETES_JOB_TTL_SECONDS: how long an ended Job is kept, its Pods and their logs with it; longer where
    spec.ttlSecondsAfterFinished is."""
    is_restricted: bool = False
    """KUBERNETES_POD_SECURITY: restricted, for namespaces of that Pod Security level, or baseline."""
    spot_nodes: dict[str, str] = msgspec.field(default_factory=lambda: dict(SPOT_NODES))
    """KUBERNETES_SPOT_NODES: labels of spot nodes, of which a node has one; taints that read the same are tolerated."""
    gpu_resource: str = "nvidia.com/gpu"
    """KUBERNETES_GPU_RESOURCE: the resource that counts GPUs, and the taint of nodes that have them."""
    gpu_label: str = "nvidia.com/gpu.product"
    """KUBERNETES_GPU_LABEL: the label of a node that says which type its GPUs are."""


def read_gcp(env: Environment, region: str) -> GcpSettings:
    """Google Cloud Batch; faults stay in `env`."""
    return GcpSettings(
        project=env.text("BATCH_PROJECT_ID"),
        region=region,
        instance=_instance(env),
        endpoint=_gcp_endpoint(env),
        reads_per_second=env.number("GCP_READS_PER_SECOND", 100, least=0.1, most=10_000),
        mutations_per_second=env.number("GCP_MUTATIONS_PER_SECOND", 50, least=0.1, most=10_000),
    )


def read_aws(env: Environment, region: str, *, takes_new_jobs: bool = True) -> AwsSettings:
    """AWS Batch; faults stay in `env`. A place that takes no new jobs needs no queue for them."""
    return AwsSettings(
        region=region,
        instance=_instance(env),
        account_id=env.text("AWS_ACCOUNT_ID", ""),
        job_queue=env.text("AWS_JOB_QUEUE", None if takes_new_jobs else ""),
        job_queues=env.pairs("AWS_JOB_QUEUES"),
        execution_role_arn=env.text("AWS_EXECUTION_ROLE_ARN", ""),
        endpoint=env.text("AWS_BATCH_ENDPOINT", ""),
        calls_per_second=env.number("AWS_CALLS_PER_SECOND", 10, least=0.1, most=10_000),
        submits_per_second=env.number("AWS_SUBMITS_PER_SECOND", 40, least=0.1, most=10_000),
    )


def read_azure(env: Environment, region: str, *, takes_new_jobs: bool = True) -> AzureSettings:
    """Azure Batch; faults stay in `env`. A place that takes no new jobs needs no pool for them."""
    account = env.text("AZURE_BATCH_ACCOUNT")
    user = env.text("AZURE_TASK_USER", "")
    if user and user not in AZURE_TASK_USERS:
        env.faults.append(f"AZURE_TASK_USER={user!r} is not one of {', '.join(AZURE_TASK_USERS)}")
    return AzureSettings(
        region=region,
        instance=_instance(env),
        subscription_id=env.text("AZURE_SUBSCRIPTION_ID"),
        resource_group=env.text("AZURE_RESOURCE_GROUP"),
        account=account,
        endpoint=_azure_endpoint(env, account, region),
        account_key=_azure_key(env),
        pool=env.text("AZURE_BATCH_POOL", None if takes_new_jobs else ""),
        pools=env.pairs("AZURE_BATCH_POOLS"),
        nodes=_node_sizes(env),
        registry=_azure_registry(env),
        output_url=env.text("AZURE_OUTPUT_URL", ""),
        output_identity=env.text("AZURE_OUTPUT_IDENTITY", ""),
        task_user=user,
        reads_per_second=env.number("AZURE_READS_PER_SECOND", 20, least=0.1, most=10_000),
        mutations_per_second=env.number("AZURE_MUTATIONS_PER_SECOND", 20, least=0.1, most=10_000),
    )


def read_kubernetes(
    env: Environment, region: str, watch_namespaces: tuple[str, ...], *, own_namespace: str, takes_new_jobs: bool
) -> KubernetesSettings:
    """Kubernetes Jobs; faults stay in `env`. `own_namespace`: that of this program, empty where it is in none."""
    namespace = env.text("KUBERNETES_JOB_NAMESPACE", "")
    kubeconfig = env.text("KUBERNETES_JOB_KUBECONFIG", "")
    own_namespace = "" if kubeconfig else own_namespace
    if namespace:
        env.check("KUBERNETES_JOB_NAMESPACE", names.namespace_fault(namespace))
    if namespace and namespace == own_namespace and takes_new_jobs:
        env.faults.append(
            f"KUBERNETES_JOB_NAMESPACE={namespace!r} is the controller's own namespace: "
            "jobs could use its accounts and Secrets there"
        )
    spot_nodes = env.pairs("KUBERNETES_SPOT_NODES") or dict(SPOT_NODES)
    gpu_resource = env.text("KUBERNETES_GPU_RESOURCE", "nvidia.com/gpu")
    gpu_label = env.text("KUBERNETES_GPU_LABEL", "nvidia.com/gpu.product")
    for key, value in spot_nodes.items():
        if not names.is_label(key, value):
            env.faults.append(f"KUBERNETES_SPOT_NODES: {key}={value} is no label of a node")
    for variable, key in (("KUBERNETES_GPU_RESOURCE", gpu_resource), ("KUBERNETES_GPU_LABEL", gpu_label)):
        if not names.is_label(key, ""):
            env.faults.append(f"{variable}={key!r} is no name such as nvidia.com/gpu")
    return KubernetesSettings(
        region=region,
        instance=_instance(env),
        watch_namespaces=watch_namespaces,
        namespace=namespace,
        own_namespace=own_namespace,
        kubeconfig=kubeconfig,
        grace_seconds=env.integer("KUBERNETES_GRACE_SECONDS", 30, least=0, most=86400),
        ttl_seconds=env.integer("KUBERNETES_JOB_TTL_SECONDS", 86400, least=60, most=2**31 - 1),
        is_restricted=env.choice("KUBERNETES_POD_SECURITY", ("baseline", "restricted"), "baseline") == "restricted",
        spot_nodes=spot_nodes,
        gpu_resource=gpu_resource,
        gpu_label=gpu_label,
    )


def _gcp_endpoint(env: Environment) -> str:
    endpoint = env.text("GCP_BATCH_ENDPOINT", "").rstrip("/")
    if "/" in endpoint and not endpoint.startswith(("https://", "http://")):
        env.faults.append(
            f"GCP_BATCH_ENDPOINT={endpoint!r} is neither host:port (gRPC) nor a URL of http or https (REST)"
        )
    return endpoint


def _azure_endpoint(env: Environment, account: str, region: str) -> str:
    endpoint = env.text("AZURE_BATCH_ENDPOINT", f"https://{account}.{region}.batch.azure.com").rstrip("/")
    if not endpoint.startswith(("https://", "http://")):
        env.faults.append(f"AZURE_BATCH_ENDPOINT={endpoint!r} is no URL: https://ACCOUNT.REGION.batch.azure.com")
    elif endpoint.startswith("http://") and not env.text("AZURE_BATCH_KEY", ""):
        env.faults.append(
            "AZURE_BATCH_ENDPOINT is plain http: that needs AZURE_BATCH_KEY, tokens are sent by https only"
        )
    return endpoint


def _azure_key(env: Environment) -> str:
    key = env.text("AZURE_BATCH_KEY", "")
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        env.faults.append("AZURE_BATCH_KEY is no account key: those are base64")  # never the value
    return key


def _azure_registry(env: Environment) -> AzureRegistry | None:
    registry = AzureRegistry(
        server=images.registry_host(env.text("AZURE_REGISTRY_SERVER", "")),
        username=env.text("AZURE_REGISTRY_USERNAME", ""),
        password=env.text("AZURE_REGISTRY_PASSWORD", ""),
        identity=env.text("AZURE_REGISTRY_IDENTITY", ""),
    )
    if not registry.server:
        if registry.username or registry.password or registry.identity:
            env.faults.append("AZURE_REGISTRY_SERVER is not set")
        return None
    if bool(registry.username) != bool(registry.password) or bool(registry.username) == bool(registry.identity):
        env.faults.append(
            "AZURE_REGISTRY_SERVER needs AZURE_REGISTRY_IDENTITY, or AZURE_REGISTRY_USERNAME and _PASSWORD"
        )
    elif not _is_registry(registry.server):
        env.faults.append(
            f"AZURE_REGISTRY_SERVER={registry.server!r} is no registry that an image's name can begin with: "
            "docker.io, or a host such as myregistry.azurecr.io"
        )
    return registry


def _is_registry(host: str) -> bool:
    try:
        return images.parse(f"{host}/name").registry == host
    except ValueError:
        return False


def _node_sizes(env: Environment) -> dict[str, NodeSize]:
    found = {}
    for name, text in env.pairs("AZURE_NODE_SIZES").items():
        match = _NODE_SIZE.fullmatch(text)
        if match is None or not float(match[1]) or not int(match[2]):
            env.faults.append(
                f"AZURE_NODE_SIZES: {text!r} is not cores/MiB or cores/MiB/GPUs such as 4/16384 or 6/57344/1"
            )
        else:
            found[name] = NodeSize(
                cpu_millis=round(float(match[1]) * 1000),
                memory_mib=int(match[2]),
                gpus=int(match[3]) if match[3] else None,
            )
    return found


def _instance(env: Environment) -> str:
    instance = env.text("JENNAH_INSTANCE", "default")
    if not _INSTANCE.fullmatch(instance):
        env.faults.append(f"JENNAH_INSTANCE={instance!r} must be lower case letters, digits and '-', at most 32")
    return instance
