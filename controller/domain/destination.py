"""Where a job is sent: written down before the service hears of the job, and kept whatever the settings say later.

A job is looked for where it may have been sent, and nowhere else. A destination is therefore never changed: it is in
status, and its text is in the record, where the first one that was written stays.
"""

from datetime import datetime

import msgspec


class Destination(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One place at one service. What a service does not have is None."""

    provider: str
    project: str | None = None
    """GCP."""
    region: str | None = None
    account: str | None = None
    """AWS: the account's number; Azure: the endpoint of the Batch account; Kubernetes: the URL of another cluster than
    the controller's own; local: the folder of the jobs."""
    instance: str | None = None
    """JENNAH_INSTANCE, where the name or the list of a job depends on it."""
    queue: str | None = None
    """AWS: name or ARN."""
    pool: str | None = None
    """Azure."""
    namespace: str | None = None
    """Kubernetes: that of the Job."""
    at: datetime | None = None
    """When it was written. No call whose outcome is unknown was begun before that."""

    @property
    def site(self) -> "Destination":
        """What of it one client of the service can reach: without queue, pool, namespace and time."""
        return msgspec.structs.replace(self, queue=None, pool=None, namespace=None, at=None)

    def to_text(self) -> str:
        """As the record keeps it: JSON."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        parts = (self.project, self.account, self.region, self.queue, self.pool, self.namespace)
        return " ".join(part for part in (self.provider, *parts) if part)


_DECODER = msgspec.json.Decoder(Destination)


def from_text(text: str) -> Destination:
    """The inverse of `Destination.to_text`. Raises msgspec.MsgspecError for another text."""
    return _DECODER.decode(text)
