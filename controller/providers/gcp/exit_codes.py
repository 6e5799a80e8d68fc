"""What a task's exit code says of its end, and which codes the service may run a task again for. Pure.

Codes from 50000 are the service's own. Source: "Task failure exit codes" of its troubleshooting guide (2026-04).
"""

import msgspec

from controller.domain.job import JobSpec

PROGRAM = range(1, 256)
"""What a program can fail with."""
UNKNOWN = 50000
"""The task failed, and the service does not say why."""
PREEMPTED = 50001
"""The spot VM was taken back while the task ran."""
VM_SILENT = 50002
"""The VM stopped reporting: a fault of its host, or a program that took all of it."""
VM_REBOOTED = 50003
UNRESPONSIVE = 50004
"""The task did not answer and could not be ended: it may have done its work."""
TIMED_OUT = 50005
"""The task ran longer than its limit."""
VM_RECREATED = 50006

MACHINE_LOST = frozenset({PREEMPTED, VM_SILENT, VM_REBOOTED, VM_RECREATED})
"""The machine went, whatever the program did. Everything else counts as a failure of the program."""


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often the service may run a task again (`count`), and after which exit codes it never may (`final`)."""

    count: int
    final: tuple[int, ...] = ()


def retries(spec: JobSpec) -> Retries:
    """The service's one counter and one list of codes for the two limits of a spec.

    A task that ran into its time limit is never run again. Where only losses of the machine may be repeated, all other
    codes are final. Codes that are final are listed, the others are not: the SDK has two texts on codes that a policy
    does not list (`LifecyclePolicy.action`, `TaskSpec.lifecycle_policies`), and by both a FAIL_TASK has them retried.
    By RETRY_TASK they would fail or be retried, depending on the text.
    """
    if spec.backoff_limit:
        lost = () if spec.preemption_limit else tuple(sorted(MACHINE_LOST))
        return Retries(count=spec.backoff_limit, final=(*lost, TIMED_OUT))
    if spec.preemption_limit:
        return Retries(count=spec.preemption_limit, final=(*PROGRAM, UNKNOWN, UNRESPONSIVE, TIMED_OUT))
    return Retries(count=0)
