"""How often a task is run again, and after what: SubmitJob's retryStrategy. Pure.

The service has one count of attempts. Its rules (evaluateOnExit) match statusReason, reason and exit code by globs with
one ``*`` at the end, over letters, digits, ``.``, ``:`` and spaces; what no rule matches is run again.
"""

from typing import Any

from controller.domain.job import JobSpec
from controller.providers.aws.queues import Platform

MOST_ATTEMPTS = 10

_LOSSES: dict[Platform, tuple[tuple[str, str], ...]] = {
    Platform.EC2: (
        ("onStatusReason", "Host EC2*"),
        ("onReason", "DockerTimeoutError: Could not transition to pulled*"),
        ("onReason", "DockerTimeoutError: Could not transition to created*"),
    ),
    Platform.FARGATE: (
        ("onStatusReason", "Your Spot Task was interrupted*"),
        ("onStatusReason", "Timeout waiting for network interface provisioning to complete*"),
    ),
}
"""The ends that are a lost machine, or one that failed before the program began. `ends.is_loss` counts the same ones.
None of these may match what ran to its end: CannotInspectContainerError, say, or a start that timed out."""


def strategy(spec: JobSpec, platform: Platform) -> dict[str, Any]:
    """Never more runs of the program than backoffLimit + 1, and with backoffLimit 0 none after one that may have run to
    its end: only a lost machine is made up for then."""
    if spec.backoff_limit == 0:
        if spec.preemption_limit == 0:
            return {"attempts": 1}
        rules = [{name: glob, "action": "RETRY"} for name, glob in _LOSSES[platform]]
        attempts = min(spec.preemption_limit + 1, MOST_ATTEMPTS)
        return {"attempts": attempts, "evaluateOnExit": [*rules, {"onReason": "*", "action": "EXIT"}]}
    found: dict[str, Any] = {"attempts": spec.backoff_limit + 1}
    if spec.preemption_limit == 0:
        found["evaluateOnExit"] = [{name: glob, "action": "EXIT"} for name, glob in _LOSSES[platform]]
    return found


def shares_a_count(spec: JobSpec) -> bool:
    """Whether losses of the machine are counted with failures of the program."""
    return spec.backoff_limit > 0 and spec.preemption_limit > 0
