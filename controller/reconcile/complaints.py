"""What went wrong with which job, so that each change of it is logged once."""

from collections import Counter


class Complaints:
    """The last failure of each job that has one."""

    def __init__(self) -> None:
        self._messages: dict[str, str] = {}
        self._jobs: Counter[str] = Counter()
        """How many jobs have that message."""

    def tell(self, key: str, message: str) -> bool:
        """Take in a job's failure. Whether it is news: no job has that message yet."""
        is_news = message not in self._jobs
        self.forget(key)
        self._messages[key] = message
        self._jobs[message] += 1
        return is_news

    def forget(self, key: str) -> None:
        """The job is well again, or gone."""
        message = self._messages.pop(key, None)
        if message is not None:
            self._jobs[message] -= 1
            if not self._jobs[message]:
                del self._jobs[message]
