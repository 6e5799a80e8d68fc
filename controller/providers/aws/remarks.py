"""What the service did otherwise than was asked, as words in a tag and as remarks: pure, and each from the other.

A word is a name, or a name with numbers: ``cpu=500/1000``. Words that are not known are left out, so that a tag of
another release can be read.
"""

from collections.abc import Iterator, Mapping

from controller.domain import reasons
from controller.domain.differences import ONE_COUNT, Difference, Remark, entrypoint_kept, remarks

SERVICE = "AWS Batch"
FARGATE_DAYS = 14
Words = Mapping[str, tuple[int, ...]]

COMMAND = "command"
SPOT = "spot"
"""No remark: the job's machines are spot capacity, so one that goes away was taken back."""


def encode(words: Words) -> str:
    """The words as text; "" where there is nothing to say."""
    return " ".join(f"{name}={'/'.join(map(str, numbers))}" if numbers else name for name, numbers in words.items())


def decode(text: str) -> tuple[Remark, ...]:
    """The remarks that those words stand for. Total."""
    found = list(remarks(_differences(text)))
    if COMMAND in text.split():
        found.append(entrypoint_kept(SERVICE))
    return tuple(found)


def is_spot(text: str) -> bool:
    """Whether those words say that the job's machines are spot capacity."""
    return SPOT in text.split()


def _differences(text: str) -> Iterator[Difference]:
    for word in text.split():
        name, _, value = word.partition("=")
        numbers = value.split("/") if value else []
        field, reason, message = MEANINGS.get(name, ("", "", ""))
        if field and message.count("{}") == len(numbers) and all(map(_is_number, numbers)):
            yield Difference(field=field, reason=reason, message=message.format(*numbers))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


MEANINGS: Mapping[str, tuple[str, str, str]] = {
    "cpu": (
        "resources.cpu",
        reasons.ROUNDED_UP,
        f"CPU of {{}}m became {{}}m, the next size that {SERVICE} has",
    ),
    "memory": (
        "resources.memory",
        reasons.ROUNDED_UP,
        f"memory of {{}} MiB became {{}} MiB, the next size that {SERVICE} has",
    ),
    "kept": (
        "resources.memory",
        reasons.HELD_BACK,
        f"of the {{}} MiB that the machine is sold with the job has {{}} MiB: on {SERVICE} a machine keeps the rest",
    ),
    "unsized": (
        "machineType",
        reasons.UNKNOWN_MACHINE_TYPE,
        "the size of the machine type is not known: the job has the CPUs and the memory of its profile there; ask for "
        "resources, or set machineTypeResources",
    ),
    "anymachine": (
        "machineType",
        reasons.NOT_SUPPORTED,
        "machineType chooses no machine where aws.jobQueue names the queue, or the queue is on Fargate",
    ),
    "anygpu": (
        "resources.gpu.type",
        reasons.NOT_SUPPORTED,
        "resources.gpu.type chooses no machine where aws.jobQueue or machineType is given: the GPUs are of the type "
        "that the queue's machines have",
    ),
    "shm": (
        "resources.sharedMemory",
        reasons.NOT_SUPPORTED,
        "resources.sharedMemory of {} MiB changes nothing: /dev/shm has a fixed size on Fargate",
    ),
    "disk": (
        "bootDiskGiB",
        reasons.NOT_SUPPORTED,
        f"bootDiskGiB {{}} changes nothing: the queue says what disk machines have ({SERVICE})",
    ),
    "diskup": (
        "bootDiskGiB",
        reasons.ROUNDED_UP,
        "bootDiskGiB of {} became {}, the least that Fargate has",
    ),
    "diskown": (
        "bootDiskGiB",
        reasons.NOT_SUPPORTED,
        "bootDiskGiB {} changes nothing: aws.ephemeralStorageGiB says {}",
    ),
    "timeout": (
        "activeDeadlineSeconds",
        reasons.ROUNDED_UP,
        f"activeDeadlineSeconds of {{}} became {{}}, the least that {SERVICE} takes",
    ),
    "longest": (
        "activeDeadlineSeconds",
        reasons.LIMITED,
        f"activeDeadlineSeconds is {{}}: Fargate may end a task that has run for {FARGATE_DAYS} days "
        f"({FARGATE_DAYS * 86400} s)",
    ),
    "losses": (
        "preemptionLimit",
        reasons.LIMITED,
        f"preemptionLimit of {{}} became {{}}: {SERVICE} runs a task at most 10 times",
    ),
    "retries": (
        "preemptionLimit",
        reasons.NOT_SUPPORTED,
        ONE_COUNT.format(SERVICE, "{}", "{}"),
    ),
    "parallelism": (
        "parallelism",
        reasons.NOT_SUPPORTED,
        f"{SERVICE} has no limit for tasks at once: parallelism {{}} changes nothing",
    ),
    "spotless": (
        "spot",
        reasons.NOT_SUPPORTED,
        "the queue has no spot machines: spot changes nothing",
    ),
    "priority": (
        "priority",
        reasons.NOT_SUPPORTED,
        "the queue has no scheduling policy: priority {} changes nothing",
    ),
    "labels": (
        "labels",
        reasons.NOT_SUPPORTED,
        "labels ({} of them) have characters that tags of AWS cannot have, each of which became _",
    ),
    "account": (
        "serviceAccount",
        reasons.NOT_SUPPORTED,
        "serviceAccount changes nothing: aws.jobRoleArn names another role",
    ),
    "index": (
        "completions",
        reasons.NOT_SUPPORTED,
        f"{SERVICE} does not set BATCH_TASK_INDEX, which the job reads: its tasks find their index in "
        "AWS_BATCH_JOB_ARRAY_INDEX",
    ),
}
"""By word: the field, the reason, and what is told, with a {} for each of its numbers."""
