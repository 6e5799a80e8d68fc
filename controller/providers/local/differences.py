"""What the local provider does otherwise than a spec says, told by conditions. Pure: of the request alone."""

from collections.abc import Iterator

from controller.domain import differences, reasons
from controller.domain.differences import Difference, Remark
from controller.domain.job import JobSpec
from controller.ports import SubmitRequest

DEFAULT_PREEMPTION_LIMIT = JobSpec(image="").preemption_limit


def remarks(request: SubmitRequest) -> tuple[Remark, ...]:
    """The remarks of every observation that a submission returns."""
    return differences.remarks(_found(request.spec))


def _found(spec: JobSpec) -> Iterator[Difference]:
    if not spec.command and not spec.args:
        yield _told("image", "nothing is run: there is no command and no args, and images are not run locally")
    else:
        yield _told("image", "command and args run as a process of this machine: image is recorded and not run")
    others = {
        "spot": spec.spot,
        "serviceAccount": spec.service_account,
        "priority": spec.priority,
        "labels": spec.labels,
    }
    if given := [name for name, value in others.items() if value]:
        yield _told(given[0], f"{', '.join(given)} {_change(given)} nothing there")
    wanted = spec.resources
    sizes = {
        "resources.profile": wanted.profile if wanted else None,
        "resources.cpu": wanted.cpu if wanted else None,
        "resources.memory": wanted.memory if wanted else None,
        "resources.sharedMemory": wanted.shared_memory if wanted else None,
        "resources.gpu": wanted.gpu if wanted else None,
        "machineType": spec.machine_type,
        "bootDiskGiB": spec.boot_disk_gib,
    }
    if given := [name for name, value in sizes.items() if value]:
        yield _told(
            given[0], f"local processes may use all of this machine: {', '.join(given)} {_change(given)} nothing"
        )
    if spec.preemption_limit not in (0, DEFAULT_PREEMPTION_LIMIT):
        lost = "a job whose machine stops is not run again (RunnerLost): preemptionLimit changes nothing"
        yield _told("preemptionLimit", lost)


def _change(fields: list[str]) -> str:
    return "changes" if len(fields) == 1 else "change"


def _told(field: str, message: str) -> Difference:
    return Difference(field=field, reason=reasons.NOT_SUPPORTED, message=message)
