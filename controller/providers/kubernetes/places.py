"""Where a job is: its Job's namespace and name, and the paths of what belongs to it. Pure."""

import re
from functools import lru_cache
from typing import NamedTuple

from controller.domain.errors import Invalid
from controller.ports import JobRef

CONTAINER = "task"
"""The name of the container that runs the job's image."""
NAME_MAX = 63 - len("-9999")
"""A pod of an indexed Job has the host name JOB-INDEX, which is at most 63 characters: the API server refuses a Job
whose name is longer. JennahJobs have at most 10,000 tasks."""
_UID_DIGITS = 32
_PATH = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs/([^/]+)")


class Place(NamedTuple):
    """A Job's namespace and name."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        """As the API server has it; in a JennahJob's status its `resourcePath`."""
        return f"{jobs(self.namespace)}/{self.name}"

    @property
    def secret(self) -> str:
        """The name of the Secret with the job's environment."""
        return f"{self.name}-env"


def jobs(namespace: str = "") -> str:
    """All Jobs, or those of one namespace."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" if namespace else "/apis/batch/v1/jobs"


def pods(namespace: str = "") -> str:
    """All Pods, or those of one namespace."""
    return f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"


def secrets(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets"


def job_name(external_name: str) -> str:
    """The Job's name: the external name, whose readable beginning is cut where that is too long. The uid stays whole,
    so it is as unique."""
    if len(external_name) <= NAME_MAX:
        return external_name
    digits = external_name[-_UID_DIGITS:]
    return f"{external_name[: NAME_MAX - _UID_DIGITS - 1].rstrip('-')}-{digits}"


def parse(path: str) -> Place | None:
    """The place of that path; None for one that is none of ours."""
    match = _PATH.fullmatch(path)
    return Place(match[1], match[2]) if match else None


def place_of(ref: JobRef, fixed_namespace: str) -> Place:
    """Where that job was sent, or would be. Raises Invalid where nothing says in which namespace."""
    sent = ref.destination.namespace if ref.destination is not None else None
    return _place(ref.external_name, ref.resource_path or "", sent or "", fixed_namespace or ref.namespace)


@lru_cache(maxsize=100_000)  # the same jobs are asked for many times a second
def _place(external_name: str, path: str, sent: str, namespace: str) -> Place:
    name = job_name(external_name)
    known = Place(sent, name) if sent else parse(path)
    if known is not None and known.name == name:
        return known
    if not namespace:
        raise Invalid(f"it is not known in which namespace the Job {name} is")
    return Place(namespace, name)
