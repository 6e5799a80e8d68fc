"""Where jobs are: resource names of the service, and the pages on which people look at a job."""

import re
from typing import Any
from urllib.parse import quote

import msgspec

TASK_GROUP = "group0"
"""The service's name for the one task group that a job may have (providers.md §1d), where its status has none."""

_NAME = r"[a-z](?:[-a-z0-9]*[a-z0-9])?"
_OWNER = r"(?:(?:https://[a-z.]+/compute/v1/)?projects/[^/]+/)?"
_SHORT = re.compile(_NAME)
_NETWORK = re.compile(rf"{_OWNER}global/networks/{_NAME}")
_SUBNETWORK = re.compile(rf"{_OWNER}regions/[a-z0-9-]+/subnetworks/{_NAME}")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The project and region that jobs go to, and the installation that they belong to."""

    project: str
    region: str
    instance: str

    @property
    def parent(self) -> str:
        """What jobs are created in and listed from."""
        return f"projects/{self.project}/locations/{self.region}"

    def path(self, external_name: str) -> str:
        """The resource name of the job of that name."""
        return f"{self.parent}/jobs/{external_name}"


def network(text: str) -> str | None:
    """The network's path, which the service wants in place of a name; None for what is neither."""
    path = f"global/networks/{text}" if _SHORT.fullmatch(text) else text.rstrip("/")
    return path if _NETWORK.fullmatch(path) else None


def subnetwork(text: str, region: str) -> str | None:
    """The same of a subnetwork. `region`: where one is that is given by its name alone."""
    path = f"regions/{region}/subnetworks/{text}" if _SHORT.fullmatch(text) else text.rstrip("/")
    return path if _SUBNETWORK.fullmatch(path) else None


def external_name(path: str) -> str:
    """The job's name, the last part of its resource name."""
    return path.rpartition("/")[2]


def region_of(path: str) -> str:
    """The region in a job's resource name; "" for another kind of path."""
    parts = path.split("/")
    return parts[3] if len(parts) == 6 and parts[::2] == ["projects", "locations", "jobs"] else ""


def task_group(job: Any) -> str:
    """The resource name of a job's tasks as a group. Its status has the group's id, once it counts tasks."""
    return f"{job.name}/taskGroups/{next(iter(job.status.task_groups), TASK_GROUP)}"


def console_url(place: Place, name: str) -> str:
    """The job's page in the Google Cloud console."""
    return (
        f"https://console.cloud.google.com/batch/jobsDetail/regions/{place.region}/jobs/{name}/details"
        f"?project={place.project}"
    )


def logs_query(project: str, job_uid: str) -> str:
    """Cloud Logging's query for what the job's tasks wrote. `job_uid` is the service's uid of the job, not ours.

    The log's name and label are UNCONFIRMED (providers.md §1c).
    """
    return f'logName="projects/{project}/logs/batch_task_logs" AND labels.job_uid="{job_uid}"'


def logs_url(place: Place, job_uid: str) -> str:
    """That query's page in the Google Cloud console."""
    query = quote(logs_query(place.project, job_uid), safe="")
    return f"https://console.cloud.google.com/logs/query;query={query}?project={place.project}"
