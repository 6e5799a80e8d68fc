"""What a local job's tasks wrote: their files, read on this machine. Called by ``jennah logs``."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from controller.domain.errors import NotFound
from controller.domain.job import Job

_TASK = re.compile(r"task-(\d+)\.log")


async def lines(job: Job) -> AsyncIterator[str]:
    """The lines of all tasks, the first one first; those of more than one task begin with ``[INDEX] ``.

    Raises NotFound where the job has no files on this machine.
    """
    where = Path(unquote(urlsplit(job.status.logs_url or "").path))
    folder = where.parent if where.suffix == ".log" else where
    files = sorted(
        (int(match[1]), path)
        for path in (folder.iterdir() if job.status.logs_url and folder.is_dir() else ())
        if (match := _TASK.fullmatch(path.name))
    )
    if not files:
        raise NotFound(f"{job.metadata.name} has no logs on this machine")
    for index, path in files:
        text = await asyncio.to_thread(path.read_text, "utf-8", "replace")
        for line in text.splitlines():
            yield f"[{index}] {line}" if len(files) > 1 else line
