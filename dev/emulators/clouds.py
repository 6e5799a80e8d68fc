"""The stand-ins by provider, and what the operator is told to use one."""

from collections.abc import Mapping, Sequence

import msgspec

from dev.emulators.azure import auth


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """A program of this package: ``python -m MODULE`` prints ``ready: ENDPOINT control: HOST:PORT``."""

    is_service: bool = True
    """Whether it is the service, and can be told to misbehave. False: it works on the API server of a kubeconfig file,
    which is its endpoint."""

    is_known_by_url: bool = False
    """Whether its URL tells the place where jobs are: behind two URLs are two accounts."""

    module: str
    endpoint_variable: str
    defaults: Mapping[str, str]
    """Settings of the operator that the stand-in agrees with. It takes more calls than a service would."""
    alternatives: Sequence[Mapping[str, str]] = ()
    """Other settings that it serves as well: new jobs go somewhere else then."""

    def settings(self, ready_line: str) -> dict[str, str]:
        """The operator's environment for the stand-in that printed that line."""
        return {**self.defaults, self.endpoint_variable: endpoint(ready_line)}


def endpoint(ready_line: str) -> str:
    """Where the service is."""
    return ready_line.split()[1]


def control(ready_line: str) -> str:
    """Where its side door is: host:port."""
    return ready_line.split()[3]


STAND_INS = {
    "gcp": StandIn(
        module="dev.emulators.gcp_batch",
        endpoint_variable="GCP_BATCH_ENDPOINT",
        defaults={"BATCH_PROJECT_ID": "jennah-dev", "BATCH_REGION": "us-central1"},
        alternatives=({"BATCH_REGION": "europe-west1"}, {"BATCH_PROJECT_ID": "jennah-other"}),
    ),
    "aws": StandIn(
        module="dev.emulators.aws_batch",
        endpoint_variable="AWS_BATCH_ENDPOINT",
        defaults={
            "BATCH_REGION": "eu-west-1",
            "AWS_JOB_QUEUE": "jennah",
            "AWS_JOB_QUEUES": "spot=jennah-spot",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CALLS_PER_SECOND": "100",
        },
        alternatives=({"AWS_JOB_QUEUE": "jennah-spot"},),
    ),
    "azure": StandIn(
        is_known_by_url=True,
        module="dev.emulators.azure_batch",
        endpoint_variable="AZURE_BATCH_ENDPOINT",
        defaults={
            "BATCH_REGION": "westeurope",
            "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
            "AZURE_RESOURCE_GROUP": "jennah-dev",
            "AZURE_BATCH_ACCOUNT": auth.ACCOUNT,
            "AZURE_BATCH_KEY": auth.KEY,
            "AZURE_READS_PER_SECOND": "200",
            "AZURE_MUTATIONS_PER_SECOND": "200",
            "AZURE_BATCH_POOL": "jennah",
            "AZURE_BATCH_POOLS": "spot=jennah-spot,gpu=jennah-gpu",
        },
        alternatives=({"AZURE_BATCH_POOL": "jennah-spot"},),
    ),
    "kubernetes": StandIn(
        is_service=False,
        module="dev.emulators.kubernetes_jobs",
        # The API server is the service: the program plays the Jobs of the one that it is pointed at.
        endpoint_variable="KUBERNETES_JOB_KUBECONFIG",
        defaults={},
    ),
}
