"""Writes on Pods that their task is not run again (`reruns`), before the Job controller makes the next one."""

import asyncio
import logging
from collections.abc import Sequence

from controller.domain.errors import Conflict, Forbidden, Invalid, JennahError, NotFound, NotLeading
from controller.providers.kubernetes.cluster import Cluster
from controller.providers.kubernetes.reruns import Mark

log = logging.getLogger(__name__)

SECONDS = 4.0
"""For all marks of one round: the Job controller makes the next Pod 10 s after the end of the last one."""
AT_ONCE = 20


class Marking:
    """Asked with each observation, by the operator that leads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._refusal = ""

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Those Pods. What cannot be written now is tried again with the next observation. Raises NotLeading."""
        if not marks:
            return
        slots = asyncio.Semaphore(AT_ONCE)
        left = {id(mark): mark for mark in marks}

        async def one(mark: Mark) -> None:
            async with slots:
                if await self._write(mark):
                    del left[id(mark)]

        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*map(one, marks))
        except TimeoutError:
            pass
        finally:
            for mark in left.values():
                self._cluster.held.suspect(mark.attempt.job_uid)

    async def _write(self, mark: Mark) -> bool:
        """Whether nothing is left to do for it."""
        try:
            await self._cluster.mark(mark)
        except (NotFound, Conflict):
            return True  # it is gone, or has moved: the watch tells how
        except NotLeading:
            raise
        except JennahError as error:
            if isinstance(error, (Forbidden, Invalid)) and self._refusal != str(error):
                self._refusal = str(error)
                log.warning(
                    "a task may be run again that must not be (docs/providers/kubernetes.md, rights): %s", error
                )
            return False
        return True
