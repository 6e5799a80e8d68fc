"""A job's variables: its own, and what every task is told. Pure."""

from controller.ports import SubmitRequest

INDEX = "BATCH_TASK_INDEX"
ARRAY_INDEX = "AWS_BATCH_JOB_ARRAY_INDEX"
"""Set by the service, in each task of an array; no request can give each task a variable of another name."""


def of(request: SubmitRequest) -> dict[str, str]:
    """All of them. What the job sets itself, by value or secret, stays as it is."""
    told = {
        "JENNAH_JOB_ID": request.job_id,
        "JENNAH_TENANT_ID": request.tenant_id,
        "BATCH_TASK_COUNT": str(request.spec.completions),
    }
    if request.spec.completions == 1:
        told[INDEX] = "0"
    secrets = request.spec.cloud_secrets
    return {name: value for name, value in told.items() if name not in secrets} | dict(request.env)


def misses_index(request: SubmitRequest) -> bool:
    """Whether an array's command reads the variable that it will not find, and not the one that there is."""
    if request.spec.completions == 1 or INDEX in request.env or INDEX in request.spec.cloud_secrets:
        return False
    words = (*(request.spec.command or ()), *(request.spec.args or ()), *request.env.values())
    return any(INDEX in word for word in words) and not any(ARRAY_INDEX in word for word in words)
