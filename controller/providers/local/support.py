"""What the local provider makes of each field of the spec: its column of the table in docs/jennahjob.md."""

from controller.domain.support import Column, by_operator, honoured, not_honoured, per_attempt, refused

COLUMN: Column = {
    "image": not_honoured("image", "recorded and not run"),
    "command": honoured(),
    "args": honoured(),
    "env": honoured(),
    "env.valueFrom.cloudSecretRef": refused("use secretKeyRef"),
    "envFrom": honoured(),
    "resources.profile": not_honoured("resources.profile", "but for its time limit"),
    "resources.cpu": not_honoured("resources.cpu"),
    "resources.memory": not_honoured("resources.memory"),
    "resources.sharedMemory": not_honoured("resources.sharedMemory"),
    "resources.gpu": not_honoured("resources.gpu"),
    "resources.gpu.type": not_honoured("resources.gpu.type"),
    "machineType": not_honoured("machineType"),
    "bootDiskGiB": not_honoured("bootDiskGiB"),
    "spot": not_honoured("spot"),
    "serviceAccount": not_honoured("serviceAccount"),
    "activeDeadlineSeconds": per_attempt(),
    "pendingDeadlineSeconds": by_operator(),
    "backoffLimit": honoured("of each task"),
    "preemptionLimit": not_honoured(
        "preemptionLimit", "a job whose machine stops is not run again; 0 and 3 are not told"
    ),
    "completions": honoured(),
    "parallelism": honoured(),
    "priority": not_honoured("priority"),
    "labels": not_honoured("labels"),
    "provider": by_operator(),
    "gcp": refused("the job runs here"),
    "aws": refused("the job runs here"),
    "azure": refused("the job runs here"),
    "kubernetes": refused("the job runs here"),
    "displayName": by_operator("the folder's name begins with it"),
    "tenantId": by_operator(),
    "jobId": by_operator(),
    "suspend": by_operator("until the job is submitted"),
    "cancel": by_operator("the processes are ended"),
    "ttlSecondsAfterFinished": by_operator("the folder stays"),
    "deletionPolicy": by_operator(),
}
