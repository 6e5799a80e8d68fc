"""Resolving a job's environment as Kubernetes does for a container: envFrom first, env over it, in order."""

import base64
from collections.abc import Mapping

import msgspec

from controller.domain import names
from controller.domain.errors import EnvironmentMissing, Invalid, NotFound
from controller.domain.job import EnvVar, Job, KeyRef, ObjectRef
from controller.kube import paths
from controller.kube.client import KubeClient
from controller.ports import Environment

MOST_BYTES = 8 * 1024 * 1024
"""Of all Secrets and ConfigMaps that a job refers to, as they are read. No service takes more than one of environment,
and a job that waits for what is missing reads all of them once a second."""
_SECRET, _CONFIG_MAP = "secret", "configmap"


async def resolve(client: KubeClient, job: Job) -> Environment:
    """Every variable of the job, byte for byte as its Secret or ConfigMap has it.

    Keys that are no C identifiers, which not every service takes, and `binaryData` are left out and named.

    Raises EnvironmentMissing for an object or key that is not there and not optional, Invalid where what it refers to
    is larger than `MOST_BYTES`, or where a variable would have what no environment can hold.
    """
    resolver = _Resolver(client, job.metadata.namespace, job.key)
    found: dict[str, _Value] = {}
    shown: dict[str, bool] = {}
    left_out: list[str] = []
    for source in job.spec.env_from or ():
        kind, ref = (_SECRET, source.secret_ref) if source.secret_ref else (_CONFIG_MAP, source.config_map_ref)
        if ref is None:
            continue
        # What came with SubmitJob was the caller's to show; another Secret was made to be kept.
        is_callers = kind == _SECRET and source.prefix is None and await resolver.is_owned(ref, job)
        for key, value in (await resolver.whole(kind, ref)).items():
            name = (source.prefix or "") + key
            if value.is_binary_data or not names.is_env_name(name):
                left_out.append(value.where)
                continue
            found[name], shown[name] = value, is_callers
    for variable in job.spec.env or ():
        if variable.value_from and variable.value_from.cloud_secret_ref:
            found.pop(variable.name, None)  # the cloud sets it: `SubmitRequest.cloud_secrets`
            shown[variable.name] = False
            continue
        one = await resolver.variable(variable)
        if one is not None:
            found[variable.name], shown[variable.name] = one, variable.value_from is None
    values = {name: value.as_text() for name, value in found.items()}
    return Environment(
        values=values,
        shown={name: values[name] if is_shown else "" for name, is_shown in shown.items()},
        left_out=tuple(left_out),
    )


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """One value as Kubernetes has it, and where. It becomes a variable only if nothing comes over it."""

    where: str
    raw: str | bytes
    is_binary_data: bool = False
    """Of a ConfigMap, whose binaryData the kubelet makes no variables of."""

    def as_text(self) -> str:
        """Raises Invalid, without the value, for what is no text of an environment."""
        try:
            text = self.raw.decode() if isinstance(self.raw, bytes) else self.raw
        except UnicodeDecodeError:
            raise Invalid(
                f"{self.where} is not UTF-8, as the value of a variable must be; encode it as base64 once more, or do "
                "not refer to it in env and envFrom"
            ) from None
        if "\0" in text:
            raise Invalid(f"{self.where} has a NUL character, which the value of a variable cannot have")
        return text

    def __repr__(self) -> str:
        return f"_Value({self.where})"


class _Resolver:
    """Reads each Secret and ConfigMap once."""

    def __init__(self, client: KubeClient, namespace: str, uid: str) -> None:
        self._client = client
        self._namespace = namespace
        self._uid = uid
        self._objects: dict[tuple[str, str], Mapping[str, _Value] | None] = {}
        self._owners: dict[str, set[str]] = {}
        self._size = 0

    async def whole(self, kind: str, ref: ObjectRef) -> Mapping[str, _Value]:
        data = await self._read(kind, ref.name)
        if data is None and not ref.optional:
            raise EnvironmentMissing(f"{kind} {ref.name} does not exist in namespace {self._namespace}")
        return data or {}

    async def is_owned(self, ref: ObjectRef, job: Job) -> bool:
        """Whether that Secret belongs to this job: the API made it for SubmitJob's env_vars."""
        if not names.is_env_secret(ref.name, job.metadata.name):
            return False
        await self._read(_SECRET, ref.name)
        return job.key in self._owners.get(ref.name, set())

    async def variable(self, variable: EnvVar) -> _Value | None:
        """The variable's value; None for an optional reference to what is not there."""
        source = variable.value_from
        if source is not None and source.secret_key_ref:
            return await self._key(_SECRET, source.secret_key_ref)
        if source is not None and source.config_map_key_ref:
            return await self._key(_CONFIG_MAP, source.config_map_key_ref)
        return _Value(where=f"spec.env: {variable.name}", raw=variable.value or "")

    async def _key(self, kind: str, ref: KeyRef) -> _Value | None:
        data = await self._read(kind, ref.name)
        value = data.get(ref.key) if data is not None else None
        if value is not None and not value.is_binary_data:
            return value
        if ref.optional:
            return None
        what = f"key {ref.key} in {kind} {ref.name}" if data is not None else f"{kind} {ref.name}"
        if value is not None:
            raise EnvironmentMissing(f"{what} is binaryData, which cannot be a variable; move it to data")
        raise EnvironmentMissing(f"{what} does not exist in namespace {self._namespace}")

    async def _read(self, kind: str, name: str) -> Mapping[str, _Value] | None:
        key = (kind, name)
        if key not in self._objects:
            self._objects[key] = await self._fetch(kind, name)
        return self._objects[key]

    async def _fetch(self, kind: str, name: str) -> Mapping[str, _Value] | None:
        if names.object_name_fault(name) is not None:
            return None  # "../../other/secrets/name" would be another namespace's
        path = paths.secret if kind == _SECRET else paths.config_map
        try:
            found = await self._client.get(path(self._namespace, name))
        except NotFound:
            return None
        data: Mapping[str, str] = found.get("data") or {}
        binary: Mapping[str, str] = found.get("binaryData") or {}
        self._size += sum(len(key) + len(value) for part in (data, binary) for key, value in part.items())
        if self._size > MOST_BYTES:
            raise Invalid(f"spec.envFrom and spec.env refer to Secrets and ConfigMaps of more than {MOST_BYTES} bytes")
        if kind == _SECRET:
            owners = found.get("metadata", {}).get("ownerReferences") or ()
            self._owners[name] = {owner["uid"] for owner in owners}
            if any(_is_job_of(owner, name) and owner["uid"] != self._uid for owner in owners):
                raise Invalid(f"secret {name} belongs to another {names.KIND}, and its values are for that job alone")
        values: dict[str, _Value] = {}
        for part in (data, binary):
            for key, value in part.items():
                raw = base64.b64decode(value) if kind == _SECRET else value
                where = f"key {key} of {kind} {name}"
                values[key] = _Value(where=where, raw=raw, is_binary_data=part is binary)
        return values


def _is_job_of(owner: Mapping[str, str], secret: str) -> bool:
    """Whether that owner of the Secret is a JennahJob for whose env_vars the API made it."""
    return owner.get("kind") == names.KIND and names.is_env_secret(secret, owner.get("name", ""))
