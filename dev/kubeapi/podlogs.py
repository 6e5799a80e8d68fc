"""A Pod's log, which a real API server asks the Pod's kubelet for: here the Pod itself carries it."""

from .encoding import JsonObject
from .status import bad_request

ANNOTATION = "jennah.dev/log"


def text_of(pod: JsonObject) -> str:
    """What its container has written; a 400 ApiError where that has not run."""
    metadata = pod["metadata"]
    if pod.get("status", {}).get("phase") in (None, "Pending"):
        name = pod["spec"]["containers"][0]["name"]
        raise bad_request(f'container "{name}" in pod "{metadata["name"]}" is waiting to start: ContainerCreating')
    return str(metadata.get("annotations", {}).get(ANNOTATION, ""))
