"""What each field of a JennahJob's spec means: the one declaration that the CRD's descriptions and the documentation's
table are made from. Pure data; `domain.support` says what each service makes of a field, `domain.status_fields` has
those of the status.

A path has the names of the schema, without indexes: ``env.valueFrom.secretKeyRef.name``.
"""

from collections.abc import Mapping

import msgspec


class Field(msgspec.Struct, frozen=True):
    """One field. `meaning` is a sentence or two; `default`: what an absent value means, "" where nothing is to say."""

    meaning: str
    unit: str = ""
    default: str = ""

    @property
    def told(self) -> str:
        """The meaning with the unit."""
        return f"{self.meaning} Unit: {self.unit}." if self.unit else self.meaning

    @property
    def text(self) -> str:
        """All of it in sentences."""
        return f"{self.told} Default: {self.default}." if self.default else self.told


_KEY_NAME = "Name of the {} in the job's namespace."
_OPTIONAL = "Whether the job may run without it."
_BYTES = "{} has at most 131071 bytes: Linux starts no program with a longer one."

SPEC: Mapping[str, Field] = {
    "image": Field("Container image to run."),
    "command": Field(
        "Replaces the image's entrypoint. One list item is one argument; no shell is involved. "
        + _BYTES.format("An item"),
        default="the image's entrypoint",
    ),
    "args": Field("Arguments to the entrypoint. " + _BYTES.format("An item"), default="the image's arguments"),
    "env": Field("Environment variables."),
    "env.name": Field("Name of the variable."),
    "env.value": Field(
        "Its value as it is: nothing in it is replaced. " + _BYTES.format("NAME=value"), default="empty"
    ),
    "env.valueFrom": Field("Where the value comes from. It excludes value."),
    "env.valueFrom.secretKeyRef": Field("A key of a Secret in the job's namespace."),
    "env.valueFrom.secretKeyRef.name": Field(_KEY_NAME.format("Secret")),
    "env.valueFrom.secretKeyRef.key": Field("Key in the Secret."),
    "env.valueFrom.secretKeyRef.optional": Field(_OPTIONAL, default="false"),
    "env.valueFrom.configMapKeyRef": Field("A key of a ConfigMap in the job's namespace."),
    "env.valueFrom.configMapKeyRef.name": Field(_KEY_NAME.format("ConfigMap")),
    "env.valueFrom.configMapKeyRef.key": Field("Key in the ConfigMap."),
    "env.valueFrom.configMapKeyRef.optional": Field(_OPTIONAL, default="false"),
    "env.valueFrom.cloudSecretRef": Field(
        "A secret of the cloud's own secret manager. The cloud hands it to the job; its value never passes through "
        "Jennah."
    ),
    "env.valueFrom.cloudSecretRef.name": Field(
        "gcp: projects/P/secrets/S/versions/V; aws: the ARN of a Secrets Manager secret or SSM parameter."
    ),
    "envFrom": Field("Secrets and ConfigMaps of the job's namespace whose keys all become variables."),
    "envFrom.prefix": Field("Put before each key.", default="nothing"),
    "envFrom.secretRef": Field("A Secret in the job's namespace."),
    "envFrom.secretRef.name": Field(_KEY_NAME.format("Secret")),
    "envFrom.secretRef.optional": Field(_OPTIONAL, default="false"),
    "envFrom.configMapRef": Field("A ConfigMap in the job's namespace."),
    "envFrom.configMapRef.name": Field(_KEY_NAME.format("ConfigMap")),
    "envFrom.configMapRef.optional": Field(_OPTIONAL, default="false"),
    "resources": Field(
        "What each task gets. A field here wins over the machine type's, then the profile's, then the default."
    ),
    "resources.profile": Field("Name of a resource profile, such as small or large.", default="the default resources"),
    "resources.cpu": Field(
        "CPU as a Kubernetes quantity: 2 or 500m.", default="the machine type's, else the profile's"
    ),
    "resources.memory": Field(
        "Memory as a Kubernetes quantity: 4Gi or 512Mi.", default="the machine type's, else the profile's"
    ),
    "resources.sharedMemory": Field(
        "Size of /dev/shm, as a Kubernetes quantity. What programs put there counts as memory.",
        default="half of the memory for jobs with GPUs, else the service's (64 MiB on most)",
    ),
    "resources.gpu": Field("GPUs of each task.", default="those of the machine type, if it has any"),
    "resources.gpu.type": Field(
        "Kind of GPU, as the service names it, such as nvidia-tesla-t4.", default="whichever the service has"
    ),
    "resources.gpu.count": Field("Number of GPUs."),
    "machineType": Field(
        "Machine type, as the cloud names it. Alone it gives the job all that such a machine can give.",
        default="the service chooses by resources",
    ),
    "bootDiskGiB": Field(
        "Size of the boot disk.", unit="GiB", default="50 on Google Cloud Batch, else what the machine has"
    ),
    "spot": Field("Run on spare capacity that the cloud may take back.", default="false"),
    "serviceAccount": Field("Cloud identity that the job runs as.", default="the service's or the machine's own"),
    "activeDeadlineSeconds": Field(
        "How long one attempt of one task may run. A task that ran into this limit is not run again.",
        unit="seconds",
        default="the profile's",
    ),
    "pendingDeadlineSeconds": Field(
        "How long the job may be at the service before it runs. Then it is ended as Failed.",
        unit="seconds",
        default="no limit",
    ),
    "backoffLimit": Field("How often a task is run again after its program failed.", default="3"),
    "preemptionLimit": Field(
        "How often a task is run again after its machine was taken back or lost. Such losses do not count for "
        "backoffLimit.",
        default="3",
    ),
    "completions": Field("Number of tasks. Each is told its index.", default="1"),
    "parallelism": Field("How many tasks run at once at most.", default="the service decides"),
    "priority": Field("Jobs with a higher number go first.", default="0"),
    "labels": Field("Labels or tags of the cloud job."),
    "provider": Field("Service that runs the job.", default="BATCH_PROVIDER of the operator"),
    "gcp": Field("What only Google Cloud Batch has."),
    "gcp.network": Field("VPC network of the VMs: projects/P/global/networks/N.", default="the project's"),
    "gcp.subnetwork": Field("Subnetwork of the VMs: projects/P/regions/R/subnetworks/S.", default="the network's"),
    "gcp.noExternalIp": Field("VMs get no external IP address.", default="false"),
    "gcp.allowedLocations": Field(
        "Where the VMs may be, such as zones/us-central1-a.", default="each zone of the region"
    ),
    "gcp.instanceTemplate": Field(
        "Instance template of the VMs. It takes the place of machineType, spot, bootDiskGiB, GPUs and network."
    ),
    "gcp.bootDiskType": Field("Type of the boot disk, such as pd-balanced or pd-ssd.", default="the service's"),
    "gcp.bootDiskImage": Field("Image of the boot disk.", default="the service's"),
    "gcp.minCpuPlatform": Field("Oldest CPU platform that will do, such as Intel Ice Lake.", default="each"),
    "gcp.reservation": Field("Reservation to take the VMs from.", default="each that fits"),
    "gcp.tags": Field("Network tags of the VMs."),
    "gcp.registryUsernameSecret": Field("User of a private registry: projects/P/secrets/S/versions/V."),
    "gcp.registryPasswordSecret": Field("Password of a private registry: projects/P/secrets/S/versions/V."),
    "gcp.serviceAccountScopes": Field("OAuth scopes of the service account.", default="the service's"),
    "aws": Field("What only AWS Batch has."),
    "aws.jobQueue": Field("Job queue.", default="AWS_JOB_QUEUES by machine type, GPU and spot, else AWS_JOB_QUEUE"),
    "aws.jobRoleArn": Field("Role that the program acts as. It goes before serviceAccount.", default="serviceAccount"),
    "aws.executionRoleArn": Field(
        "Role that pulls the image, reads secrets and writes logs.", default="AWS_EXECUTION_ROLE_ARN"
    ),
    "aws.shareIdentifier": Field("Share of a queue with fair-share scheduling."),
    "aws.ephemeralStorageGiB": Field("Disk of a Fargate task.", unit="GiB", default="bootDiskGiB, else 20"),
    "aws.assignPublicIp": Field("Fargate tasks get a public IP address.", default="false"),
    "aws.registryCredentialsArn": Field("Secrets Manager secret with the credentials of a private registry."),
    "aws.logGroup": Field("CloudWatch log group.", default="/aws/batch/job"),
    "azure": Field("What only Azure Batch has."),
    "azure.pool": Field("Pool.", default="AZURE_BATCH_POOLS by machine type, GPU and spot, else AZURE_BATCH_POOL"),
    "azure.registryServer": Field("Host name of a private registry.", default="AZURE_REGISTRY_SERVER"),
    "azure.registryIdentity": Field(
        "Resource id of the pool's identity that may pull from it.", default="AZURE_REGISTRY_IDENTITY"
    ),
    "kubernetes": Field("What only Kubernetes Jobs have."),
    "kubernetes.priorityClassName": Field("Priority class of the Pods.", default="the cluster's"),
    "kubernetes.imagePullSecrets": Field(
        "Names of Secrets of the Job's namespace with the credentials of private registries."
    ),
    "kubernetes.nodeSelector": Field("Labels that a node must have, beside those for machineType and GPUs."),
    "kubernetes.tolerations": Field("Taints of nodes on which the Pods may run all the same, as in core/v1."),
    "kubernetes.tolerations.key": Field("Key of the taint.", default="each key"),
    "kubernetes.tolerations.operator": Field("How value is compared.", default="Equal"),
    "kubernetes.tolerations.value": Field("Value of the taint."),
    "kubernetes.tolerations.effect": Field("Effect of the taint.", default="each effect"),
    "displayName": Field("A name for people; it need not be unique. The cloud job's name begins with it."),
    "tenantId": Field(
        "Tenant that the job belongs to.",
        default="the namespace's label jennah.alphaus.cloud/tenant, else ns: and the namespace's name",
    ),
    "jobId": Field("Id in the API and the database, unique within the tenant.", default="the object's uid"),
    "suspend": Field("Holds back a job that is not submitted yet. Afterwards it changes nothing.", default="false"),
    "cancel": Field("Asks for the end of the job. It cannot be taken back.", default="false"),
    "ttlSecondsAfterFinished": Field(
        "Deletes the object this long after the job's end. The database keeps the record.",
        unit="seconds",
        default="the object stays",
    ),
    "deletionPolicy": Field(
        "What becomes of the cloud job when the object is deleted: Cancel ends it first, Orphan leaves it.",
        default="Cancel",
    ),
}

BLOCKS = ("gcp", "aws", "azure", "kubernetes")
"""The blocks of what only one service has; each has that service's name."""


def _has_row(path: str) -> bool:
    first, _, rest = path.partition(".")
    if first == "resources":
        return bool(rest) and rest != "gpu.count"
    return not rest or path == "env.valueFrom.cloudSecretRef" or (first in BLOCKS and "." not in rest)


ROWS = tuple(path for path in SPEC if _has_row(path))
"""The fields that the table of services has: each service's column has a cell for each, but for fields of others'
blocks."""


def concerns(path: str, provider: str) -> bool:
    """Whether that service's column has a cell for the field: a field inside of a block is that service's alone."""
    block, _, rest = path.partition(".")
    return not rest or block not in BLOCKS or block == provider
