"""Why a job failed, or waits: one judgement over all that the service told of it. Pure.

Exit codes come first, as they are the service's machine-readable words. Texts decide what no code says. A text tells
of a container only where it is of the task that failed, and of want of room only where no task ran.

Sources: "Troubleshooting" of the service's guides (2026-04); texts that were seen, in tests/…/gcp/test_reasons.py.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from controller.domain import failures, reasons
from controller.domain.errors import Invalid
from controller.domain.failures import Failure
from controller.domain.job import JobSpec
from controller.domain.resources import memory_mib
from controller.providers.gcp import events, exit_codes

AGENT_REMEDY = (
    "grant the job's service account roles/batch.agentReporter, and see that its network reaches Google's services"
)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a job that failed. `of_task` and `of_job`: texts, the newest first."""

    exit_code: int | None = None
    """Of the failed task's last attempt, the service's own codes included."""
    had_begun: bool = True
    """Whether the program had, in that attempt; without one, whether any task ran."""
    of_task: Sequence[str] = ()
    of_job: Sequence[str] = ()
    preemptions: int = 0
    spec: JobSpec | None = None

    @property
    def image(self) -> str:
        return self.spec.image if self.spec else ""

    @property
    def seconds(self) -> int | None:
        return self.spec.active_deadline_seconds if self.spec else None

    @property
    def losses_limit(self) -> str:
        """How often the job may lose its machine, as `failures` has it (`exit_codes.retries`)."""
        shares = self.spec is not None and self.spec.backoff_limit and self.spec.preemption_limit
        return failures.SHARED_LIMIT if shares else failures.OWN_LIMIT

    @property
    def memory_mib(self) -> int | None:
        """What the spec itself asks for, in MiB."""
        wanted = self.spec.resources.memory if self.spec and self.spec.resources else None
        try:
            return memory_mib(wanted) if wanted is not None else None
        except Invalid:
            return None


_Judge = Callable[[str, Evidence], Failure]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_OF_CONTAINER: tuple[tuple[re.Pattern[str], _Judge], ...] = (
    (
        _words(r"no space left on device"),
        lambda words, seen: failures.disk_full(words, "raise bootDiskGiB"),
    ),
    (
        _words(
            r"pull(?:ing)? (?:the )?(?:container )?(?:\S+ )?image|image pull|pull access denied|manifest unknown"
            r"|manifest for .+ not found|failed to resolve reference|toomanyrequests"
        ),
        lambda words, seen: failures.image(seen.image, words),
    ),
    (
        _words(r"out of memory|(?<![-\w])oom(?:[- ]?kill\w*)?(?![-\w])"),
        lambda words, seen: failures.out_of_memory(seen.memory_mib, words, seen.exit_code),
    ),
    (
        _words(r"argument list too long"),
        lambda words, seen: failures.not_started(words, "shorten command, args or env"),
    ),
    (
        _words(r"executable file not found|exec format error|exec: .{0,200}(?:permission denied|no such file)"),
        lambda words, seen: failures.command_not_found(words, seen.exit_code),
    ),
    (
        _words(r"error response from daemon|failed to create (?:shim )?task|failed to create containerd"),
        lambda words, seen: failures.not_started(words),
    ),
)
"""In this order: the first that occurs is meant."""

_OF_END: tuple[tuple[re.Pattern[str], _Judge], ...] = (
    (
        _words(r"\bpreempt"),
        lambda words, seen: failures.preempted(words, seen.preemptions or None, limit=seen.losses_limit),
    ),
    (_words(r"\b14 days\b"), lambda words, seen: failures.service_limit(words)),
    (
        _words(r"maximum run ?(?:time|duration)|max_?run_?duration|exceeded .{0,40}(?:duration|timeout)"),
        lambda words, seen: failures.timed_out(seen.seconds, words),
    ),
)
_OF_MACHINE: tuple[tuple[re.Pattern[str], _Judge], ...] = (
    # With a hyphen it is of a name.
    (_words(r"(?<!-)quotas?(?![-\w])|quota_exceeded"), lambda words, seen: failures.quota_exceeded(words)),
    (
        _words(
            r"resource_pool_exhausted|stock-?out|(?:enough|insufficient|no available) (?:resources|capacity)"
            r"|currently unavailable in .{0,80}\bzone\b"
        ),
        lambda words, seen: failures.no_capacity(words),
    ),
    (_words(r"no VM has agent reporting"), lambda words, seen: failures.not_started(words, AGENT_REMEDY)),
    (
        _words(
            r"non-retryable|code_gce_|code_service_account|constraint\s+violated|invalid_field_value|invalid value for"
            r"|machine type .{0,80}does not exist"
        ),
        lambda words, seen: failures.refused(words),
    ),
)


def judge(seen: Evidence) -> Failure:
    """Why the job failed. Never without a reason, and never with exit code 0."""
    code, texts = seen.exit_code or None, [*seen.of_task, *seen.of_job[:1]]
    if code is None:
        code = next((found for found in map(events.exit_code_in, texts) if found), None)
        seen = msgspec.structs.replace(seen, exit_code=code)
    words = texts[0] if texts else ""
    if code is None:
        return _without_code(seen, texts) or failures.unknown(words)
    if code in exit_codes.PROGRAM:
        return _first(_OF_CONTAINER, texts, seen) or failures.exited(code, words, seen.memory_mib)
    if str(code) not in words:
        words = f"exit code {code}{': ' + words if words else ''}"
    if code == exit_codes.TIMED_OUT:
        late = failures.timed_out if seen.had_begun else failures.not_begun_in_time
        return late(seen.seconds, words)
    if code == exit_codes.PREEMPTED:
        return failures.preempted(words, seen.preemptions or None, limit=seen.losses_limit)
    if code in exit_codes.MACHINE_LOST:
        lost = failures.machine_lost if seen.had_begun else failures.machine_failed
        return lost(words, limit=seen.losses_limit)
    if code == exit_codes.UNRESPONSIVE:
        return failures.result_lost(words)
    # None of the codes from here on is the program's.
    seen = msgspec.structs.replace(seen, exit_code=None)
    return _first((*_OF_CONTAINER, *_OF_END), texts, seen) or failures.unknown(words)


def waits_reason(text: str) -> str:
    """The word for why a job gets no machine."""
    found = _first(_OF_MACHINE, [text], Evidence())
    if found is None:
        return reasons.WAITING_FOR_CAPACITY
    ours = (reasons.QUOTA_EXCEEDED, reasons.WAITING_FOR_CAPACITY)
    return found.reason if found.reason in ours else reasons.PROVIDER_ERROR


def _without_code(seen: Evidence, texts: Sequence[str]) -> Failure | None:
    if seen.had_begun:
        return _first((*_OF_CONTAINER, *_OF_END), texts, seen)
    # Nothing ran: why it waited may be told by an older text than the end is.
    return _first((*_OF_MACHINE, *_OF_CONTAINER, *_OF_END), [*seen.of_task, *seen.of_job], seen)


def _first(table: Iterable[tuple[re.Pattern[str], _Judge]], texts: Iterable[str], seen: Evidence) -> Failure | None:
    table = tuple(table)
    for text in texts:
        plain = events.without_names(text)
        for words, verdict in table:
            if words.search(plain):
                return verdict(text, seen)
    return None
