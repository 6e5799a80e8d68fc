"""DeploymentService: its eight methods, each a request checked, one call to what does it, an answer (contract §1)."""

from collections.abc import Callable
from typing import Any, Final

from api import checks, mapping, messages, validation
from api.connect.methods import Context, Method
from api.gen import deployment_pb2 as pb
from api.jobs import Filters, Jobs
from api.rows import Rows
from api.submissions import Submission, Submissions
from controller.domain import names
from controller.domain.errors import Invalid, NotFound
from controller.domain.phases import Phase
from controller.domain.records import JobRow
from controller.domain.resources import Profiles
from controller.ports import JobStore

PATH: Final = "/jennah.v1.DeploymentService/"
CHANGES: Final = frozenset({"SubmitJob", "CancelJob", "DeleteJob", "AckNotification"})
"""The methods that change something."""


class DeploymentService:
    """Stateless: any replica answers for any tenant."""

    def __init__(
        self,
        *,
        submissions: Submissions,
        jobs: Jobs,
        store: JobStore,
        rows: Rows,
        profiles: Profiles,
        worker_id: str,
        job_ttl_seconds: int,
        provider: str,
        new_id: Callable[[], str],
    ) -> None:
        """`new_id` makes up UUIDs, job ids among them; `job_ttl_seconds` 0: objects of jobs are kept.

        `provider`: where jobs go that name none; "": not known here.
        """
        self._submissions = submissions
        self._jobs = jobs
        self._store = store
        self._rows = rows
        self._profiles = profiles
        self._worker_id = worker_id
        self._job_ttl_seconds = job_ttl_seconds or None
        self._provider = provider
        self._new_id = new_id

    def methods(self) -> list[Method]:
        """The table that the endpoint serves; the messages are those of deployment.proto."""
        service = pb.DESCRIPTOR.services_by_name["DeploymentService"]
        calls: dict[str, Callable[[Context, Any], Any]] = {
            "SubmitJob": self.submit_job,
            "ListJobs": self.list_jobs,
            "GetJob": self.get_job,
            "CancelJob": self.cancel_job,
            "DeleteJob": self.delete_job,
            "GetCurrentTenant": self.get_current_tenant,
            "ListNotifications": self.list_notifications,
            "AckNotification": self.ack_notification,
        }
        return [
            Method(
                name=method.name,
                request=getattr(pb, method.input_type.name),
                call=calls[method.name],
                is_audited=method.name in CHANGES,
            )
            for method in service.methods
        ]

    async def submit_job(self, context: Context, request: pb.SubmitJobRequest) -> pb.SubmitJobResponse:
        tenant_id = context.tenant_id
        checks.fields(request)
        key = None if request.job_id else validation.idempotency_key(context.headers)
        job_id = request.job_id or (mapping.idempotent_job_id(tenant_id, key) if key else self._new_id())
        context.subject["job"] = job_id
        object_name = names.object_name(tenant_id, job_id, request.name)
        secret_name = names.env_secret_name(object_name, self._new_id()[:8])
        spec = mapping.job_spec(
            request, tenant_id=tenant_id, job_id=job_id, secret_name=secret_name, ttl_seconds=self._job_ttl_seconds
        )
        submission = Submission(
            spec=spec,
            env_vars=dict(request.env_vars),
            tenant_id=tenant_id,
            job_id=job_id,
            may_exist=bool(request.job_id or key),
        )
        phase = await self._submitted(submission)
        routing = self._rows.routing(spec)
        return pb.SubmitJobResponse(
            job_id=job_id,
            status=phase.wire,
            worker_assigned=self._worker_id,
            complexity_level=routing.complexity_level,
            assigned_service=routing.assigned_service,
            routing_reason=routing.reason,
        )

    def _message(self, row: JobRow) -> pb.Job:
        return messages.job(row, redacts_env=self._rows.redacts_env)

    async def _submitted(self, submission: Submission) -> Phase:
        """The job's phase. Raises Invalid for one that its service cannot run, AlreadyExists, Retryable."""
        spec = submission.spec
        try:
            checks.runnable(
                spec, submission.env_vars, provider=spec.provider or self._provider, profiles=self._profiles
            )
        except Invalid:
            known = await self._submissions.repeated(submission) if submission.may_exist else None
            if known is None:
                raise
            return known
        return await self._submissions.submit(submission)

    async def list_jobs(self, context: Context, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        filters = Filters(
            page_size=validation.page_size(request.page_size),
            page_token=request.page_token,
            status=validation.status(request.status),
            created_after=validation.created_after(request.created_after),
        )
        page = await self._jobs.list_page(context.tenant_id, filters)
        return pb.ListJobsResponse(jobs=map(self._message, page.jobs), next_page_token=page.next_token)

    async def get_job(self, context: Context, request: pb.GetJobRequest) -> pb.GetJobResponse:
        row = await self._jobs.get(context.tenant_id, validation.job_id(request.job_id))
        return pb.GetJobResponse(job=self._message(row))

    async def cancel_job(self, context: Context, request: pb.CancelJobRequest) -> pb.CancelJobResponse:
        context.subject["job"] = validation.job_id(request.job_id)
        phase = await self._jobs.cancel(context.tenant_id, request.job_id)
        return pb.CancelJobResponse(job_id=request.job_id, status=phase.wire)

    async def delete_job(self, context: Context, request: pb.DeleteJobRequest) -> pb.DeleteJobResponse:
        context.subject["job"] = validation.job_id(request.job_id)
        await self._jobs.delete(context.tenant_id, request.job_id)
        return pb.DeleteJobResponse(job_id=request.job_id, message=f"job {request.job_id} deleted")

    async def get_current_tenant(
        self, context: Context, request: pb.GetCurrentTenantRequest
    ) -> pb.GetCurrentTenantResponse:
        tenant_id = context.tenant_id
        row = await self._store.get_tenant(tenant_id)
        if row is None:
            raise NotFound(f"tenant {tenant_id} not found")
        return messages.tenant(row)

    async def list_notifications(
        self, context: Context, request: pb.ListNotificationsRequest
    ) -> pb.ListNotificationsResponse:
        tenant_id = context.tenant_id
        limit = validation.notification_limit(request.limit)
        rows = await self._store.list_notifications(tenant_id, limit=limit)
        unread = await self._store.count_unread(tenant_id)
        return pb.ListNotificationsResponse(notifications=map(messages.notification, rows), unread_count=unread)

    async def ack_notification(
        self, context: Context, request: pb.AckNotificationRequest
    ) -> pb.AckNotificationResponse:
        notification_id = validation.notification_id(request.notification_id)
        context.subject["notification"] = notification_id
        if not await self._store.ack_notification(context.tenant_id, notification_id):
            raise NotFound(f"notification {notification_id} not found")
        return pb.AckNotificationResponse(success=True)
