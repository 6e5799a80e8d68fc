"""What the tests of the stand-in share: its time, requests, and what is read of answers."""

from typing import Any

import grpc

from dev.emulators.gcp import messages
from dev.emulators.gcp.refusals import Refusal
from dev.emulators.gcp.service import BatchService

PARENT = "projects/p/locations/us-central1"
REQUEST_ID = "5c1f2c44-0000-4000-8000-000000000001"
OK = grpc.StatusCode.OK


class Time:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def creation(job_id: str = "j", *command: str, request_id: str = "", **group: Any) -> Any:
    request = messages.CreateJobRequest(parent=PARENT, job_id=job_id, request_id=request_id)
    made = request.job.task_groups.add(**group)
    container = made.task_spec.runnables.add().container
    container.image_uri = "busybox"
    container.commands.extend(command or ("sleep", "60"))
    return request


def got(service: BatchService, job_id: str = "j") -> Any:
    return service.get_job(messages.GetJobRequest(name=f"{PARENT}/jobs/{job_id}"))


def listed(service: BatchService, **query: Any) -> Any:
    return service.list_jobs(messages.ListJobsRequest(parent=PARENT, **query))


def names(answer: Any) -> list[str]:
    return [job.name.rpartition("/")[2] for job in answer.jobs]


def code_of(call: Any, *arguments: Any) -> grpc.StatusCode:
    try:
        call(*arguments)
    except Refusal as refusal:
        return refusal.code
    return OK


def texts(events: Any) -> list[str]:
    return [event.description for event in events]
