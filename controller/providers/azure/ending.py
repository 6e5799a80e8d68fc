"""Terminating and removing tasks: all of a JennahJob, or those that lost their node too often."""

from collections.abc import Iterable

from controller.domain.errors import NotFound
from controller.providers.azure import bounded, calls, observation
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.places import Place

AT_ONCE = 16
FEW = 20
"""Tasks that are ended without looking which of them have not ended yet."""


class Ending:
    """Ends or removes tasks. One that is unknown or has ended is no error."""

    def __init__(self, connection: AzureConnection) -> None:
        self._connection = connection

    async def terminate(self, where: Place, uid: str) -> bool:
        """Ask for the end of all tasks that carry that uid. False: the service knows none of them."""
        ids = list(where.task_ids)
        if len(ids) > FEW:
            try:
                ids = await self._listed(where, uid, "state ne 'completed'")
                if not ids:  # all have ended, or none was ever there
                    return bool(await self._listed(where, uid, ""))
            except calls.JobEnded:
                return True
        else:
            task = await self._connection.task(where.job_id, ids[0])
            if task is not None and observation.uid_of(task) != uid:
                return False
        unknown: list[str] = []

        async def end(task_id: str) -> None:
            try:
                await self._connection.terminate_task(where.job_id, task_id)
            except NotFound:
                unknown.append(task_id)
            except (calls.TaskEnded, calls.JobEnded):
                return
            except calls.Conflict:
                task = await self._connection.task(where.job_id, task_id)
                if task is not None and task.state != observation.ENDED:
                    raise

        await bounded.for_each(end, ids, at_once=min(AT_ONCE, len(ids)))
        return len(unknown) < len(ids)

    async def end_lost(self, tasks: Iterable[tuple[str, str]]) -> None:
        """Ask for the end of those tasks (id of the shared job, id of the task), for a round.

        Safe to repeat, by another process as well: the service counts what they lost, and they carry their limit.
        """

        async def end(one: tuple[str, str]) -> None:
            try:
                await self._connection.terminate_task(*one, in_round=True)
            except (NotFound, calls.TaskEnded, calls.JobEnded):
                return

        await bounded.for_each(end, tasks, at_once=AT_ONCE)

    async def delete(self, where: Place, uid: str) -> None:
        """Remove those that carry that uid, with their history and files.

        Of many only what is there still, so that a try goes on where the one before was cut off.
        """
        ids = list(where.task_ids)
        if len(ids) > FEW:
            try:
                ids = await self._listed(where, uid, "")
            except calls.JobEnded:
                return

        async def remove(task_id: str) -> None:
            try:
                await self._connection.delete_task(where.job_id, task_id)
            except (NotFound, calls.JobEnded):
                return

        await bounded.for_each(remove, ids, at_once=min(AT_ONCE, len(ids)))

    async def _listed(self, where: Place, uid: str, query: str) -> list[str]:
        """Of its tasks those that are there, carry that uid, and that `query` is true of, by index."""
        mine = set(where.task_ids)
        query = f"{where.query} and {query}" if query else where.query
        found, link = set(), ""
        while True:
            try:
                page, _ = await self._connection.tasks(where.job_id, query, link)
            except NotFound:
                return []
            found |= {task.id for task in page.value if task.id in mine and observation.uid_of(task) == uid}
            link = page.next_link
            if not link:
                return [task_id for task_id in where.task_ids if task_id in found]
