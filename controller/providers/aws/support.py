"""What the service makes of each field of the spec: its column of the table in docs/jennahjob.md."""

from controller.domain import conditions
from controller.domain.support import Cell, Column, Support, by_operator, honoured, not_honoured, refused, rounded

_ONLY_THERE = "only for that service"

COLUMN: Column = {
    "image": honoured("in a job definition that jobs share"),
    "command": Cell(
        Support.HONOURED, "handed to the image's entrypoint, which cannot be replaced", conditions.ENTRYPOINT_REPLACED
    ),
    "args": honoured("an empty word is refused"),
    "env": honoured("where it is too long for SubmitJob, in a job definition; names of `AWS_BATCH` are refused"),
    "env.valueFrom.cloudSecretRef": honoured("the ARN of a Secrets Manager secret or SSM parameter"),
    "envFrom": honoured("as `env`"),
    "resources.profile": honoured("as the sizes and the time limit that it stands for"),
    "resources.cpu": rounded("resources.cpu", "up to whole CPUs, on Fargate to its next size"),
    "resources.memory": rounded("resources.memory", "up to Fargate's next size; exact on EC2"),
    "resources.sharedMemory": honoured("on EC2; on Fargate not honoured (condition `ResourcesExact`)"),
    "resources.gpu": honoured("on EC2; refused on Fargate"),
    "resources.gpu.type": honoured("a key of `AWS_JOB_QUEUES`; refused without such a queue"),
    "machineType": rounded(
        "machineType",
        "a key of `AWS_JOB_QUEUES`, else refused; alone it is all its CPUs and the memory that it leaves",
    ),
    "bootDiskGiB": not_honoured("bootDiskGiB", "on EC2 the disk is the queue's; on Fargate 20 to 200 GiB, exact"),
    "spot": honoured("the key `spot` of `AWS_JOB_QUEUES`; refused without such a queue"),
    "serviceAccount": honoured("the ARN of the job role; others are refused"),
    "activeDeadlineSeconds": Cell(
        Support.ROUNDED,
        "per attempt; less than 60 s becomes 60 s; Fargate may end it after 14 days",
        conditions.DEADLINE_EXACT,
    ),
    "pendingDeadlineSeconds": by_operator(),
    "backoffLimit": honoured("at most 9; 10 is refused"),
    "preemptionLimit": rounded(
        "preemptionLimit",
        "exact, at most 9, with `backoffLimit: 0`; else losses count for `backoffLimit`",
    ),
    "completions": honoured("an array job; the index is `AWS_BATCH_JOB_ARRAY_INDEX`, not `BATCH_TASK_INDEX`"),
    "parallelism": not_honoured("parallelism", "all tasks may run at once"),
    "priority": not_honoured("priority", "but on queues with a scheduling policy"),
    "labels": rounded("labels", "tags, at most 43; characters that tags cannot have become `_`"),
    "provider": by_operator(),
    "gcp": refused("the job goes to AWS Batch"),
    "aws": honoured(),
    "azure": refused("the job goes to AWS Batch"),
    "kubernetes": refused("the job goes to AWS Batch"),
    "displayName": honoured("the job's name begins with it"),
    "tenantId": honoured("a tag, and `JENNAH_TENANT_ID`"),
    "jobId": honoured("a tag, and `JENNAH_JOB_ID`"),
    "suspend": by_operator(),
    "cancel": by_operator(),
    "ttlSecondsAfterFinished": by_operator(),
    "deletionPolicy": by_operator("also a tag"),
    "aws.jobQueue": honoured("before all that chooses a queue"),
    "aws.jobRoleArn": honoured("before `serviceAccount`"),
    "aws.executionRoleArn": honoured("else `AWS_EXECUTION_ROLE_ARN`"),
    "aws.shareIdentifier": honoured("refused on queues without a scheduling policy"),
    "aws.ephemeralStorageGiB": honoured("refused on EC2"),
    "aws.assignPublicIp": honoured("refused on EC2"),
    "aws.registryCredentialsArn": honoured("needs an execution role"),
    "aws.logGroup": honoured("names that begin with `AWS/` are refused"),
}
