"""Why a job failed, in the same words on every service. Pure.

Every message has what happened, the number, the field that decides it, and what to do. Adapters collect the evidence
and choose the function; they write no sentences of their own. `words` are the service's, whole.
"""

from collections.abc import Sequence

import msgspec

from controller.domain import reasons

_COMMAND_CODES = {126: "cannot be executed", 127: "does not exist in the image"}
_KILLED = 137
OWN_LIMIT = "preemptionLimit"
SHARED_LIMIT = "backoffLimit (which counts lost machines as well)"
"""Of lost machines, on a service with one count for these and for failures of the program."""
_SIGNALS = {130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job that failed. `exit_code` is the program's own: never 0, None where it left none."""

    reason: str
    """A word of `domain.reasons`."""
    message: str
    exit_code: int | None = None

    def of_task(self, index: int | None) -> "Failure":
        """The same, said of one task of several."""
        return self if index is None else msgspec.structs.replace(self, message=f"task {index}: {self.message}")


def exited(code: int, words: str = "", memory_mib: int | None = None) -> Failure:
    """The program ended by itself with a code other than 0. 126 and 127 are a shell's or runtime's for a command.

    `memory_mib`: its limit, of a service that does not say whether it was that which ended the program.
    """
    signal = f" ({_SIGNALS[code]})" if code in _SIGNALS else ""
    if code == _KILLED and memory_mib:
        signal += f", as does one that needs more than its {memory_mib} MiB (resources.memory)"
    text = f"the program ended with exit code {code}{signal}; see its logs"
    if code in _COMMAND_CODES:
        text = (
            f"the program ended with exit code {code}: by custom, a command in it {_COMMAND_CODES[code]}; see its logs"
        )
    return Failure(reason=reasons.NON_ZERO_EXIT, message=_with(text, words), exit_code=code or None)


def command_not_found(words: str = "", code: int | None = None) -> Failure:
    """The runtime could not execute the command: it is not in the image, or is no program."""
    text = "the command does not exist in the image or cannot be executed; check command and args"
    return Failure(reason=reasons.COMMAND_NOT_FOUND, message=_with(text, words), exit_code=code or None)


def not_started(words: str = "", remedy: str = "") -> Failure:
    """The container could not be started, for another cause than its command or image."""
    text = f"the container could not be started{'; ' + remedy if remedy else ''}"
    return Failure(reason=reasons.CONTAINER_NOT_STARTED, message=_with(text, words))


def out_of_memory(memory_mib: int | None, words: str = "", code: int | None = None) -> Failure:
    """The program needed more than its memory. `memory_mib`: its limit, in MiB; None where it is not known."""
    limit = f"its {memory_mib} MiB" if memory_mib else "it was given"
    text = f"the program needed more memory than {limit}; raise resources.memory, or take a larger profile or machine"
    return Failure(reason=reasons.OUT_OF_MEMORY, message=_with(text, words), exit_code=code or None)


def timed_out(seconds: int | None, words: str = "") -> Failure:
    """An attempt ran into its time limit. `seconds`: activeDeadlineSeconds, or the profile's; None: not known."""
    limit = f"its limit of {seconds} s" if seconds else "its time limit"
    text = f"the program ran longer than {limit} and is not run again; raise activeDeadlineSeconds"
    return Failure(reason=reasons.DEADLINE_EXCEEDED, message=_with(text, words))


def service_limit(words: str = "") -> Failure:
    """The service ended a job that had run for as long as it lets one, whatever activeDeadlineSeconds says."""
    text = "the job ran for as long as the service lets one run; split its work into several jobs"
    return Failure(reason=reasons.DEADLINE_EXCEEDED, message=_with(text, words))


def not_begun_in_time(seconds: int | None, words: str = "") -> Failure:
    """An attempt's time limit, which counts from the machine on, was over before the program began."""
    limit = f"its limit of {seconds} s" if seconds else "its time limit"
    text = f"the program did not begin within {limit}, which counts the image's pull; raise activeDeadlineSeconds"
    return Failure(reason=reasons.DEADLINE_EXCEEDED, message=_with(text, words))


def kept_running(containers: Sequence[str], seconds: int | None) -> Failure:
    """The program ended well, and containers beside it ran on into the time limit. It is not run again."""
    limit = f"its limit of {seconds} s" if seconds else "its time limit"
    text = (
        f"the program ended with exit code 0, and {_named(containers)} next to it kept the task until {limit}: "
        "the program may have done its work and is not run again; have what is injected end with the program"
    )
    return Failure(reason=reasons.DEADLINE_EXCEEDED, message=text)


def failed_beside(containers: Sequence[str], words: str = "") -> Failure:
    """The program ended well, and containers next to it failed the task. It is not run again."""
    text = (
        f"the program ended with exit code 0, and {_named(containers)} next to it failed the task: the program may "
        "have done its work and is not run again; see the logs of that container"
    )
    return Failure(reason=reasons.FAILED, message=_with(text, words))


def image(name: str, words: str = "") -> Failure:
    """The image cannot be had. `name`: as the spec has it, "" where it is not known."""
    text = (
        f"the image {name + ' ' if name else ''}cannot be pulled; check image, who may pull it from its registry, and "
        "whether the job's network reaches that"
    )
    return Failure(reason=reasons.IMAGE_PULL_FAILED, message=_with(text, words))


def preempted(words: str = "", preemptions: int | None = None, *, limit: str = OWN_LIMIT) -> Failure:
    """The cloud took the machine back, and its limit was used up: OWN_LIMIT or SHARED_LIMIT."""
    times = f" {preemptions} times" if preemptions and preemptions > 1 else ""
    text = f"the machine was taken back{times}, more often than {limit} allows; raise it, or leave out spot"
    return Failure(reason=reasons.PREEMPTED, message=_with(text, words))


def evicted(words: str = "", code: int | None = None) -> Failure:
    """The node put the task out, for what it used or for want of room."""
    text = "the node evicted the task; if it was for what the task used, raise resources.memory or bootDiskGiB"
    return Failure(reason=reasons.EVICTED, message=_with(text, words), exit_code=code or None)


def machine_failed(words: str = "", *, limit: str = OWN_LIMIT) -> Failure:
    """The machine or its agent failed before the program began. It did nothing, and may be run again.

    `limit`: of the service's own tries; "" where it does not try again.
    """
    often = f", more often than {limit} allows" if limit else ""
    text = f"the machine failed before the program began{often}; submit the job again"
    return Failure(reason=reasons.MACHINE_FAILED, message=_with(text, words))


def disk_full(words: str = "", remedy: str = "submit the job again, or give the machines larger disks") -> Failure:
    """The machine's disk had no room for the image or the container: the program did not begin."""
    text = f"the disk of the machine is full, so the program did not begin; {remedy}"
    return Failure(reason=reasons.MACHINE_FAILED, message=_with(text, words))


def machine_lost(words: str = "", *, limit: str = OWN_LIMIT) -> Failure:
    """The machine failed while the program ran, and its limit was used up."""
    text = f"the machine was lost while the program ran, more often than {limit} allows; raise it"
    return Failure(reason=reasons.MACHINE_FAILED, message=_with(text, words))


def quota_exceeded(words: str = "") -> Failure:
    """The service gave up on a job that its quota has no room for."""
    text = "the job got no machine, its quota has no room for it; raise the quota, or ask for less"
    return Failure(reason=reasons.QUOTA_EXCEEDED, message=_with(text, words))


def no_capacity(words: str = "") -> Failure:
    """The service gave up on a job that it has no machine for."""
    text = "the job got no machine, as none is free; allow other places or another machineType, or leave out spot"
    return Failure(reason=reasons.WAITING_FOR_CAPACITY, message=_with(text, words))


def refused(words: str = "") -> Failure:
    """The service took the job, and then refused to make machines for it."""
    text = "the service refused to make machines for the job; correct what its words name"
    return Failure(reason=reasons.SUBMISSION_REFUSED, message=_with(text, words))


def result_lost(words: str = "") -> Failure:
    """The program ran, and the service lost how it ended: it may have done its work, and is not run again for that."""
    text = (
        "the program ran, and how it ended was lost with its machine or agent: it may have done its work; see its logs"
    )
    return Failure(reason=reasons.RESULT_LOST, message=_with(text, words))


def output_lost(words: str = "") -> Failure:
    """The program ended well, and what the service was to store of it could not be stored."""
    text = (
        "the program ended with exit code 0, and the service could not store its output: the program has done its "
        "work; check where output goes"
    )
    return Failure(reason=reasons.FAILED, message=_with(text, words))


def queue_limit(words: str = "") -> str:
    """The service ended a job that waited for a machine, as the owner of its queue told it to: the message."""
    return _with("the queue's own limit for jobs that wait ended it", words)


def unknown(words: str = "") -> Failure:
    """A failure that no evidence explains."""
    return Failure(reason=reasons.FAILED, message=_with("the job failed", words))


def _named(containers: Sequence[str]) -> str:
    return f"the container{'s' if len(containers) > 1 else ''} {' and '.join(containers) or '(unknown)'}"


def _with(text: str, words: str) -> str:
    words = " ".join(words.split())
    return f"{text}; reported: {words}" if words else text
