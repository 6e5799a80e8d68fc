"""What each cloud's adapter needs to be told, from the environment (contract §3 and names of our own)."""

import re

import msgspec

from controller.variables import Environment

_INSTANCE = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")


class GcpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Google Cloud Batch."""

    project: str
    """BATCH_PROJECT_ID."""
    region: str
    """BATCH_REGION."""
    instance: str
    """JENNAH_INSTANCE: tells the jobs of one installation from those of another in the same project."""
    endpoint: str = ""
    """GCP_BATCH_ENDPOINT: host:port of a stand-in, spoken to without TLS and credentials; empty means the service."""
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
    """AWS_ACCOUNT_ID: kept for those who set it; ARNs come from the service."""
    job_queue: str
    """AWS_JOB_QUEUE: name or ARN of the queue that jobs go to unless AWS_JOB_QUEUES or their spec says otherwise."""
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
    """AZURE_BATCH_POOL: the pool that jobs go to unless AZURE_BATCH_POOLS or their spec says otherwise."""
    pools: dict[str, str] = {}
    """AZURE_BATCH_POOLS: pools by what a job asks for, as AWS_JOB_QUEUES."""
    calls_per_second: float
    """AZURE_CALLS_PER_SECOND; the service publishes no limit."""

    def __repr__(self) -> str:
        return f"AzureSettings({self.account})"


def read_gcp(env: Environment, region: str) -> GcpSettings:
    """Google Cloud Batch; faults stay in `env`."""
    return GcpSettings(
        project=env.text("BATCH_PROJECT_ID"),
        region=region,
        instance=_instance(env),
        endpoint=env.text("GCP_BATCH_ENDPOINT", ""),
        reads_per_second=env.number("GCP_READS_PER_SECOND", 100, least=0.1, most=10_000),
        mutations_per_second=env.number("GCP_MUTATIONS_PER_SECOND", 50, least=0.1, most=10_000),
    )


def read_aws(env: Environment, region: str) -> AwsSettings:
    """AWS Batch; faults stay in `env`."""
    return AwsSettings(
        region=region,
        instance=_instance(env),
        account_id=env.text("AWS_ACCOUNT_ID", ""),
        job_queue=env.text("AWS_JOB_QUEUE"),
        job_queues=env.pairs("AWS_JOB_QUEUES"),
        execution_role_arn=env.text("AWS_EXECUTION_ROLE_ARN", ""),
        endpoint=env.text("AWS_BATCH_ENDPOINT", ""),
        calls_per_second=env.number("AWS_CALLS_PER_SECOND", 10, least=0.1, most=10_000),
        submits_per_second=env.number("AWS_SUBMITS_PER_SECOND", 40, least=0.1, most=10_000),
    )


def read_azure(env: Environment, region: str) -> AzureSettings:
    """Azure Batch; faults stay in `env`."""
    account = env.text("AZURE_BATCH_ACCOUNT")
    return AzureSettings(
        region=region,
        instance=_instance(env),
        subscription_id=env.text("AZURE_SUBSCRIPTION_ID"),
        resource_group=env.text("AZURE_RESOURCE_GROUP"),
        account=account,
        endpoint=env.text("AZURE_BATCH_ENDPOINT", f"https://{account}.{region}.batch.azure.com"),
        account_key=env.text("AZURE_BATCH_KEY", ""),
        pool=env.text("AZURE_BATCH_POOL"),
        pools=env.pairs("AZURE_BATCH_POOLS"),
        calls_per_second=env.number("AZURE_CALLS_PER_SECOND", 20, least=0.1, most=10_000),
    )


def _instance(env: Environment) -> str:
    instance = env.text("JENNAH_INSTANCE", "default")
    if not _INSTANCE.fullmatch(instance):
        env.faults.append(f"JENNAH_INSTANCE={instance!r} must be lower case letters, digits and '-', at most 32")
    return instance
