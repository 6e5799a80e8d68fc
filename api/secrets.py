"""The Secret that holds a submitted job's env_vars. Its values are compared and written here, never logged."""

import base64
import binascii
from collections.abc import Mapping

from api import mapping
from controller.domain import redaction
from controller.domain.errors import AlreadyExists, NotFound
from controller.domain.job import Job
from controller.kube import paths
from controller.kube.client import KubeClient


class EnvSecrets:
    """The Secrets of one namespace."""

    def __init__(self, client: KubeClient, *, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def ensure(self, job: Job, name: str, env_vars: Mapping[str, str]) -> None:
        """Have the job's Secret with these values. Raises AlreadyExists where it holds others, or is not the job's."""
        uid = job.metadata.uid
        body = mapping.secret_object(
            env_vars, name=name, job_name=job.metadata.name, namespace=self._namespace, uid=uid
        )
        try:
            with redaction.in_errors(env_vars.values()):  # a webhook that denies it may quote them
                await self._client.post(paths.secrets(self._namespace), body)
        except AlreadyExists:
            if not await self._is_there(name, uid, env_vars):
                raise

    async def _is_there(self, name: str, uid: str, env_vars: Mapping[str, str]) -> bool:
        """Whether there is such a Secret of that job, with these values."""
        try:
            found = await self._client.get(paths.secret(self._namespace, name))
        except NotFound:
            return False
        owners = {owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()}
        return uid in owners and {key: _decode(value) for key, value in (found.get("data") or {}).items()} == env_vars


def _decode(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value  # not written by us: it equals nothing that a request can hold but by its own text
