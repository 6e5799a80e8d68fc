"""AWS Batch behind `ports.BatchProvider`.

The service makes a new job with every SubmitJob, so `submit` is one request that is never repeated here; what makes
that exactly once is the reconciler's protocol (design §3), which `prepare` and `find` serve.
"""

import asyncio
import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

import msgspec

from controller.cloud_settings import AwsSettings
from controller.domain import reasons, redaction
from controller.domain.destination import Destination
from controller.domain.errors import ConfigError, Forbidden, Permanent, Retryable, Unavailable, Unreachable
from controller.domain.job import JobSpec, TaskCounts
from controller.domain.phases import Phase
from controller.ports import Clock, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers import destinations
from controller.providers.aws import definition, links, queues, remarks, tags
from controller.providers.aws import request as mapping
from controller.providers.aws.catalogue import Catalogue
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.ending import Ending
from controller.providers.aws.errors import Refused
from controller.providers.aws.listing import Listing
from controller.providers.aws.observation import cancel_reason
from controller.providers.aws.queues import Queue
from controller.providers.aws.unclaimed import Unclaimed

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Prepared submissions, and ids of submitted jobs, that are kept at most."""

_QUEUE_IS_AWAY = re.compile(
    r"(?i:queue)\b.*\b(?i:is|in|state|status)\b\W+(?:(?i:a|an|the|now|currently|in|state|status)\W+)*"
    r"(?:DISABLED|UPDATING|INVALID|CREATING|DELETING|DELETED)\b"
    r"|(?i:queue)\b.*\b(?i:not)\W+(?:(?i:a|an|the|in|state|status)\W+)*(?:ENABLED|VALID)\b",
    re.DOTALL,
)
"""A queue's states are words in capitals; "is invalid" is said of what is in the request."""
_DEFINITION_IS_AWAY = re.compile(
    r"job\s?definition.*\b(INACTIVE|DEREGISTERED|not (in (the )?)?\S*active|no longer|does not exist|not found)\b",
    re.IGNORECASE | re.DOTALL,
)
"""The service has no codes for these (the words are UNCONFIRMED, providers.md §2f)."""


_LONGEST_DEFINITION = f"{'x' * 128}:{2**31}"


class Prepared(msgspec.Struct, frozen=True):
    """What was looked up for a submission."""

    queue: Queue
    definition: str
    """``name:revision``."""


class AwsProvider:
    """One region of one account."""

    name = "aws"
    names_are_ids = False
    cancel_erases = False
    remembers_seconds = 86400.0
    """About a day is reported of the service; its documents say more (providers.md §2c)."""

    def __init__(self, settings: AwsSettings, clock: Clock) -> None:
        self.region = settings.region
        self.site = Destination(provider=self.name, account=settings.account_id or None, region=settings.region)
        self._home = ""
        """What the ARNs of everything in this account and region begin with, once `open` has learned it."""
        self._settings = settings
        self._connection = AwsConnection(settings, clock)
        self._catalogue = Catalogue(self._connection, clock)
        self._listing = Listing(self._connection, settings, clock)
        self._ending = Ending(self._connection, clock)
        self._unclaimed = Unclaimed(self._listing, settings.instance, settings.region)
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._ids: OrderedDict[str, str] = OrderedDict()

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        """By the queue that the spec and the settings choose. Raises Permanent(INVALID_SPEC)."""
        return msgspec.structs.replace(self.site, queue=queues.choose(spec, self._settings))

    async def open(self) -> None:
        """See that every configured queue exists, and learn the account from their ARNs; where none is configured, from
        those of all queues. Raises ConfigError, Unavailable."""
        wanted = queues.configured(self._settings)
        try:
            existing = await self._catalogue.existing(wanted)
        except Forbidden as error:
            raise ConfigError([str(error)]) from error
        except Refused as error:
            raise ConfigError([f"AWS_JOB_QUEUE or AWS_JOB_QUEUES: {error}"]) from error
        missing = [name for name in wanted if name not in existing]
        if missing:
            variable = {self._settings.job_queue: "AWS_JOB_QUEUE"}
            where = f"in {self.region} there is no queue"
            raise ConfigError([f"{variable.get(name, 'AWS_JOB_QUEUES')}: {where} {name!r}" for name in missing])
        self._home, account = queues.home_of(next(iter(existing.values()), ""))
        told = self._settings.account_id
        if account and told and account != told:
            raise ConfigError([f"AWS_ACCOUNT_ID={told}, but the credentials are those of the account {account}"])
        self.site = msgspec.structs.replace(self.site, account=account or told or None)

    async def prepare(self, request: SubmitRequest) -> None:
        """Check and map the request, have its definition, and wait for a place in SubmitJob's rate."""
        destinations.check(self.site, [request])
        self._remember(self._prepared, request.external_name, await self._look_up(request))
        await self._connection.submits.take()

    async def submit(self, request: SubmitRequest) -> Observation:
        """One SubmitJob request. Raises as the port says: only Unavailable leaves the outcome unknown."""
        destinations.check(self.site, [request])
        prepared = self._prepared.pop(request.external_name, None)
        if prepared is None:
            try:
                prepared = await self._look_up(request)
            except Unavailable as error:
                if type(error) is not Unavailable:
                    raise
                raise Retryable(str(error)) from error  # nothing was submitted
        sent = self._parameters(request, prepared.queue, prepared.definition)
        try:
            reply = await self._connection.submit(sent, request.send_by)
        except Refused as refused:
            raise self._refusal(refused, request, prepared) from None
        job_id = str(reply["jobId"])
        arn = str(reply.get("jobArn") or job_id)
        self._remember(self._ids, request.external_name, job_id)
        return Observation(
            external_name=request.external_name,
            uid=request.uid,
            resource_path=arn,
            phase=Phase.PENDING,
            tasks=TaskCounts(total=request.spec.completions, pending=request.spec.completions),
            remarks=remarks.decode(sent["tags"].get(tags.ASKED, "")),
            console_url=links.job(arn, self.region, job_id),
        )

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        """By name in every queue that it can be in, and by its id where that is known; confirmed by its tag."""
        where, job_id = queues.possible(ref, self._settings), self._id_of(ref)
        with _unanswered():
            found = await self._listing.named(ref.external_name, ref.uid, where, job_id=job_id)
        return [seen for _, seen in found]

    async def get(self, ref: JobRef) -> Observation | None:
        job_id = self._id_of(ref)
        if job_id is None:
            return next(iter(await self.find(ref)), None)
        with _unanswered():
            for job in (await self._listing.describe([job_id])).values():
                return await self._listing.meaning_of(job)
        return None

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        destinations.check(self.site, refs)
        here = [ref for ref in refs if not self._is_elsewhere(ref)]
        ids = {ref.external_name: job_id for ref in here if (job_id := self._known_id(ref))}
        with _unanswered():
            return await self._listing.observe(here, ids)

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        with _unanswered():
            return await self._unclaimed.look(claimed, ended_since)

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        """TerminateJob, always: CancelJob does nothing to a job that runs.

        False where no id is known and no job of that name was found. The service takes an id that it does not know,
        or no longer, for ended: that is True.
        """
        job_id = self._id_of(ref)
        if job_id:
            await self._ending.end(job_id, cancel_reason(reason))
            return True
        found = await self.find(ref)
        ids = [_id_in(seen.resource_path) for seen in found if not seen.has_ended]
        await asyncio.gather(*(self._ending.end(one, cancel_reason(reason)) for one in ids))
        return bool(found)

    async def delete(self, ref: JobRef) -> None:
        """The service removes ended jobs by itself, and nobody else can. A definition that has the job's environment is
        deregistered, as long as the service still knows the job; without the right to do so it stays."""
        try:
            job_id = self._id_of(ref)
            for job in (await self._listing.describe([job_id]) if job_id else {}).values():
                name = (job.job_definition or "").rpartition("/")[2]
                if name.startswith(definition.OWN_PREFIX):
                    await self._connection.call("DeregisterJobDefinition", {"jobDefinition": name})
                    self._catalogue.forget_definition(name)
        except (Forbidden, Refused) as error:
            log.warning("the job definition of %s stays, if it has one of its own: %s", ref.external_name, error)

    async def close(self) -> None:
        await self._ending.close()
        await self._catalogue.close()
        await self._connection.close()

    async def _look_up(self, request: SubmitRequest) -> Prepared:
        """The queue and the definition for that request, which is checked before a definition is registered."""
        spec = request.spec
        noted = request.destination.queue if request.destination is not None else None
        name = noted or queues.choose(spec, self._settings)
        is_from_spec = spec.aws is not None and spec.aws.job_queue == name
        queue = await self._catalogue.queue(name, is_from_spec=is_from_spec)
        self._parameters(request, queue, _LONGEST_DEFINITION)
        needed = definition.parameters(request, queue, self._settings.execution_role_arn)
        try:
            return Prepared(queue, await self._catalogue.definition(needed))
        except Refused as refused:  # it may quote the environment
            raise self._refused(refused, request) from None

    def _parameters(self, request: SubmitRequest, queue: Queue, definition: str) -> dict[str, Any]:
        return mapping.parameters(request, queue, definition=definition, instance=self._settings.instance)

    def _refusal(self, refused: Refused, request: SubmitRequest, prepared: Prepared) -> Exception:
        """What the service's words mean: a queue or definition that changed meanwhile is worth another try."""
        words = refused.failure.words
        if _DEFINITION_IS_AWAY.search(words):
            self._catalogue.forget_definition(prepared.definition)
            return Retryable(f"the job definition {prepared.definition} is no longer active")
        if _QUEUE_IS_AWAY.search(words):
            self._catalogue.forget_queue(prepared.queue.name)
            return Retryable(f"the queue {prepared.queue.name!r} takes no jobs now", delay=15.0)
        return self._refused(refused, request)

    @staticmethod
    def _refused(refused: Refused, request: SubmitRequest) -> Permanent:
        told = redaction.without_values(str(refused), request.env.values())
        return Permanent(told, reason=reasons.SUBMISSION_REFUSED)

    def _id_of(self, ref: JobRef) -> str | None:
        """The job's id, if it is known. Raises Unreachable for a job of another account or region: nobody looked."""
        destinations.check(self.site, [ref])
        if self._is_elsewhere(ref):
            raise Unreachable(f"{ref.resource_path} is not in the account and region of {self.site}")
        return self._known_id(ref)

    def _known_id(self, ref: JobRef) -> str | None:
        if ref.resource_path:
            return _id_in(ref.resource_path)
        return self._ids.get(ref.external_name)

    def _is_elsewhere(self, ref: JobRef) -> bool:
        """Whether it was submitted under other settings, by a release that did not write down where."""
        path = ref.resource_path or ""
        is_arn = ref.destination is None and path.startswith("arn:")
        return is_arn and not path.startswith(self._home)

    @staticmethod
    def _remember(memory: OrderedDict[str, Any], key: str, value: object) -> None:
        memory[key] = value
        memory.move_to_end(key)
        while len(memory) > REMEMBERED:
            memory.popitem(last=False)


@contextlib.contextmanager
def _unanswered() -> Iterator[None]:
    """A question that the service refuses is one without an answer, and says nothing against the job."""
    try:
        yield
    except Refused as refused:
        raise Unavailable(str(refused)) from None


def _id_in(path: str) -> str:
    """The job id at the end of an ARN."""
    return path.rpartition("/")[2]
