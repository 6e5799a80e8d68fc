"""The Secret that holds a submitted job's env_vars. Its values are compared and written here, never logged."""

import base64
import binascii
from collections.abc import Mapping

import msgspec

from api import mapping
from controller.domain import names
from controller.domain.errors import AlreadyExists, NotFound
from controller.domain.job import Job
from controller.kube import paths
from controller.kube.client import KubeClient, Object


class EnvSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A Secret as far as it matters here."""

    uid: str
    owner_uid: str | None
    """The uid of the JennahJob that owns it; None for a Secret that is not ours."""
    values: Mapping[str, str]


class EnvSecrets:
    """The Secrets of one namespace."""

    def __init__(self, client: KubeClient, *, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def get(self, job_name: str) -> EnvSecret | None:
        try:
            return _read(await self._client.get(paths.secret(self._namespace, names.env_secret_name(job_name))))
        except NotFound:
            return None

    async def ensure(self, job: Job, env_vars: Mapping[str, str]) -> None:
        """Have the job's Secret with these values. Raises AlreadyExists where it holds others, or is not the job's."""
        uid, name = job.metadata.uid, job.metadata.name
        body = mapping.secret_object(env_vars, job_name=name, namespace=self._namespace, uid=uid)
        try:
            await self._client.post(paths.secrets(self._namespace), body)
        except AlreadyExists:
            existing = await self.get(name)
            if existing is None or existing.owner_uid != uid or existing.values != env_vars:
                raise

    async def delete(self, job_name: str, secret: EnvSecret) -> None:
        """Delete this very Secret. Gone already is no error."""
        try:
            await self._client.delete(paths.secret(self._namespace, names.env_secret_name(job_name)), uid=secret.uid)
        except NotFound:
            pass


def _read(raw: Object) -> EnvSecret:
    owners = raw["metadata"].get("ownerReferences") or []
    owner = next((o["uid"] for o in owners if o.get("kind") == names.KIND), None)
    values = {key: _decode(value) for key, value in (raw.get("data") or {}).items()}
    return EnvSecret(uid=raw["metadata"]["uid"], owner_uid=owner, values=values)


def _decode(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value  # not written by us: it equals nothing that a request can hold but by its own text
