"""The names that callers know fields of the spec by. Pure.

The rules of `controller` name fields as YAML has them; a caller of SubmitJob never saw those.
"""

import re
from typing import Final

WIRE: Final = {
    "image": "image_uri",
    "command": "command",
    "args": "commands",
    "env": "env_vars",
    "envFrom": "env_vars",
    "resources.profile": "resource_profile",
    "resources.cpu": "resource_override.cpu_millis",
    "resources.memory": "resource_override.memory_mib",
    "resources.sharedMemory": "shared_memory_mib",
    "resources.gpu": "gpu",
    "machineType": "machine_type",
    "bootDiskGiB": "boot_disk_size_gb",
    "spot": "use_spot_vms",
    "serviceAccount": "service_account",
    "activeDeadlineSeconds": "resource_override.max_run_duration_seconds",
    "pendingDeadlineSeconds": "pending_deadline_seconds",
    "backoffLimit": "backoff_limit",
    "preemptionLimit": "preemption_limit",
    "completions": "completions",
    "parallelism": "parallelism",
    "priority": "priority",
    "labels": "labels",
    "provider": "provider",
    "displayName": "name",
    "jobId": "job_id",
    "ttlSecondsAfterFinished": "ttl_seconds_after_finished",
}
"""By the field's path below ``spec``. Fields that SubmitJob does not have are not in here."""


def _pattern() -> re.Pattern[str]:
    """``spec.PATH``, and PATH alone where that is no common word."""
    paths = sorted(WIRE, key=len, reverse=True)
    unmistakable = [path for path in paths if path != path.lower() or "." in path]
    either = "|".join(re.escape(path) for path in unmistakable)
    spec = "|".join(re.escape(path) for path in paths)
    return re.compile(rf"(?<![\w.'/-])(?:spec\.({spec})|({either}))(?!\w)")


_PATH: Final = _pattern()


def translated(message: str) -> str:
    """The message with the wire's names of fields."""
    return _PATH.sub(lambda found: WIRE[found[1] or found[2]], message)
