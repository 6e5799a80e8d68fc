"""The field mask that a call may send as metadata: of Batch it is not known what becomes of it, so all is possible."""

from typing import Any, Literal

from dev.emulators.gcp.messages import ListJobsResponse
from dev.emulators.gcp.refusals import invalid

MaskMode = Literal["honour", "ignore", "refuse", "drop-token", "drop-fields"]
MASK_MODES: tuple[MaskMode, ...] = ("honour", "ignore", "refuse", "drop-token", "drop-fields")


def masked(answer: Any, mask: str, mode: MaskMode) -> Any:
    """The ListJobsResponse as the mask leaves it, or with the faults of that mode. Raises Refusal."""
    if not mask or mode == "ignore":
        return answer
    if mode == "refuse":
        raise invalid("unsupported field mask")
    paths = mask.split(",")
    fields = {_snake(path.removeprefix("jobs.")) for path in paths if path.startswith("jobs.")}
    if mode == "drop-fields":
        fields = {"name", "status"}
    found = ListJobsResponse()
    for job in answer.jobs:
        trimmed = found.jobs.add()
        for field, value in job.ListFields():
            if field.name in fields:
                _copy(trimmed, field.name, value)
    if "nextPageToken" in paths and mode != "drop-token":
        found.next_page_token = answer.next_page_token
    if "unreachable" in paths:
        found.unreachable.extend(answer.unreachable)
    return found


def _copy(job: Any, name: str, value: Any) -> None:
    if name == "labels":
        job.labels.update(value)
    elif hasattr(value, "DESCRIPTOR"):
        getattr(job, name).CopyFrom(value)
    else:
        setattr(job, name, value)


def _snake(camel: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in camel)
