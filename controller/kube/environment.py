"""Resolving a job's environment as Kubernetes does for a container: envFrom first, env over it, in order."""

import base64
from collections.abc import Mapping

from controller.domain import names
from controller.domain.errors import EnvironmentMissing, Invalid, NotFound
from controller.domain.job import EnvVar, Job, KeyRef, ObjectRef
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.ports import Environment

MOST_BYTES = 8 * 1024 * 1024
"""Of all Secrets and ConfigMaps that a job refers to, as they are read. No service takes more than one of environment,
and a job that waits for what is missing reads all of them once a second."""


async def resolve(client: KubeClient, job: Job) -> Environment:
    """Every variable of the job. Keys that are no C identifiers are left out, as the kubelet does.

    Raises EnvironmentMissing for an object or key that is not there and not optional, Invalid where what it refers to
    is larger than `MOST_BYTES`.
    """
    resolver = _Resolver(client, job.metadata.namespace)
    values: dict[str, str] = {}
    shown: dict[str, str] = {}
    for source in job.spec.env_from or ():
        kind, ref = ("secret", source.secret_ref) if source.secret_ref else ("configmap", source.config_map_ref)
        if ref is None:
            continue
        found = await resolver.whole(kind, ref)
        found = {(source.prefix or "") + key: value for key, value in found.items()}
        found = {key: value for key, value in found.items() if names.is_env_name(key)}
        values |= found
        # What came with SubmitJob was the caller's to show; another Secret was made to be kept.
        is_callers = kind == "secret" and source.prefix is None and await resolver.is_owned(ref, job)
        shown |= found if is_callers else dict.fromkeys(found, "")
    for variable in job.spec.env or ():
        if variable.value_from and variable.value_from.cloud_secret_ref:
            values.pop(variable.name, None)  # the cloud sets it: `SubmitRequest.cloud_secrets`
            shown[variable.name] = ""
            continue
        value = await resolver.variable(variable)
        if value is not None:
            values[variable.name] = value
            shown[variable.name] = "" if variable.value_from else value
    return Environment(values=values, shown=shown)


class _Resolver:
    """Reads each Secret and ConfigMap once."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._objects: dict[tuple[str, str], Mapping[str, str] | None] = {}
        self._owners: dict[str, set[str]] = {}
        self._size = 0

    async def whole(self, kind: str, ref: ObjectRef) -> Mapping[str, str]:
        data = await self._read(kind, ref.name)
        if data is None and not ref.optional:
            raise EnvironmentMissing(f"{kind} {ref.name} does not exist in namespace {self._namespace}")
        return data or {}

    async def is_owned(self, ref: ObjectRef, job: Job) -> bool:
        """Whether that Secret belongs to this job: the API made it for SubmitJob's env_vars."""
        if not names.is_env_secret(ref.name, job.metadata.name):
            return False
        await self._read("secret", ref.name)
        return job.key in self._owners.get(ref.name, set())

    async def variable(self, variable: EnvVar) -> str | None:
        """The variable's value; None for an optional reference to what is not there."""
        source = variable.value_from
        if source is None:
            return variable.value or ""
        if source.secret_key_ref:
            return await self._key("secret", source.secret_key_ref)
        if source.config_map_key_ref:
            return await self._key("configmap", source.config_map_key_ref)
        return ""

    async def _key(self, kind: str, ref: KeyRef) -> str | None:
        data = await self._read(kind, ref.name)
        if data is not None and ref.key in data:
            return data[ref.key]
        if ref.optional:
            return None
        what = f"key {ref.key} in {kind} {ref.name}" if data is not None else f"{kind} {ref.name}"
        raise EnvironmentMissing(f"{what} does not exist in namespace {self._namespace}")

    async def _read(self, kind: str, name: str) -> Mapping[str, str] | None:
        key = (kind, name)
        if key not in self._objects:
            self._objects[key] = await self._fetch(kind, name)
        return self._objects[key]

    async def _fetch(self, kind: str, name: str) -> Mapping[str, str] | None:
        if names.object_name_fault(name) is not None:
            return None  # "../../other/secrets/name" would be another namespace's
        path = paths.secret if kind == "secret" else paths.config_map
        try:
            found = await self._client.get(path(self._namespace, name))
        except NotFound:
            return None
        data: Mapping[str, str] = found.get("data") or {}
        self._size += sum(len(key) + len(value) for key, value in data.items())
        if self._size > MOST_BYTES:
            raise Invalid(f"spec.envFrom and spec.env refer to Secrets and ConfigMaps of more than {MOST_BYTES} bytes")
        if kind == "configmap":
            return data
        self._owners[name] = {owner["uid"] for owner in found.get("metadata", {}).get("ownerReferences") or ()}
        return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
