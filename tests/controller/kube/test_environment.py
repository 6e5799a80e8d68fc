"""A job's environment, resolved as the kubelet would: order, references, and what the record may show of it."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from controller.domain.errors import EnvironmentMissing, Invalid, NotFound
from controller.domain.job import Job, parse
from controller.kube.environment import resolve


class Objects:
    """Secrets and ConfigMaps by path; counts the reads."""

    def __init__(
        self,
        owner: str = "",
        binary_data: dict[str, str] | None = None,
        owner_kind: str = "JennahJob",
        **objects: Mapping[str, str | bytes],
    ) -> None:
        """`binary_data`: of every ConfigMap."""
        self._owner = owner
        self._owner_kind = owner_kind
        self._binary_data = binary_data or {}
        self._objects = {name.replace("_", "-"): data for name, data in objects.items()}
        self.reads = 0

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        self.reads += 1
        kind, name = path.split("/")[-2:]
        if name not in self._objects:
            raise NotFound(path)
        data = self._objects[name]
        owner = {"kind": self._owner_kind, "name": name.partition("-env-")[0], "uid": self._owner}
        metadata = {"ownerReferences": [owner] if self._owner else []}
        if kind == "configmaps":
            return {"data": data, "binaryData": self._binary_data, "metadata": metadata}
        raw = {key: value.encode() if isinstance(value, str) else value for key, value in data.items()}
        encoded = {key: base64.b64encode(value).decode() for key, value in raw.items()}
        return {"data": encoded, "metadata": metadata}


def job(**spec: Any) -> Job:
    return parse({"metadata": {"name": "job", "namespace": "ns", "uid": "u"}, "spec": {"image": "i", **spec}})


def secret_key(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


async def test_env_wins_over_env_from_and_later_wins_over_earlier() -> None:
    objects = Objects(one={"A": "1", "B": "1"}, two={"B": "2"})
    found = await resolve(
        objects,  # type: ignore[arg-type]
        job(
            envFrom=[{"configMapRef": {"name": "one"}}, {"secretRef": {"name": "two"}, "prefix": ""}],
            env=[{"name": "A", "value": "3"}],
        ),
    )
    assert found.values == {"A": "3", "B": "2"}


async def test_only_plain_values_and_those_of_submit_job_are_shown() -> None:
    objects = Objects("u", job_env_1={"MINE": "1"}, kept={"PASSWORD": "x", "k": "y"})
    found = await resolve(
        objects,  # type: ignore[arg-type]
        job(
            envFrom=[{"secretRef": {"name": "job-env-1"}}, {"secretRef": {"name": "kept"}}],
            env=[{"name": "PLAIN", "value": "2"}, {"name": "REF", **secret_key("kept", "k")}],
        ),
    )
    assert found.values["PASSWORD"] == "x"
    assert found.shown == {"MINE": "1", "PASSWORD": "", "k": "", "PLAIN": "2", "REF": ""}
    assert "x" not in repr(found)


async def test_a_users_secret_that_happens_to_have_the_name_of_ours_is_not_shown() -> None:
    spec = {"envFrom": [{"secretRef": {"name": "job-env-1"}}]}
    objects = Objects("somebody-else", owner_kind="Vault", job_env_1={"PASSWORD": "x"})
    found = await resolve(objects, job(**spec))  # type: ignore[arg-type]
    assert found.shown == {"PASSWORD": ""}


@pytest.mark.parametrize("name", ["../../other/secrets/kept", "..%2fkept", "kept?x=", "", "a b", ".."])
async def test_what_is_no_name_is_asked_of_nobody(name: str) -> None:
    """The CRD refuses it as well; a path made of it could be another namespace's Secret."""
    objects = Objects(kept={"PASSWORD": "x"})
    with pytest.raises(EnvironmentMissing):
        await resolve(objects, job(envFrom=[{"secretRef": {"name": name}}]))  # type: ignore[arg-type]
    assert objects.reads == 0


async def test_an_object_is_read_once_however_often_it_is_referred_to() -> None:
    objects = Objects(kept={"a": "1", "b": "2"})
    env = [{"name": "A", **secret_key("kept", "a")}, {"name": "B", **secret_key("kept", "b")}]
    await resolve(objects, job(env=env))  # type: ignore[arg-type]
    assert objects.reads == 1


async def test_more_than_any_service_takes_is_not_read_to_its_end() -> None:
    """64 Secrets of a megabyte, and one that is missing, were read once a second for each such job."""
    objects = Objects(**{f"big_{number}": {"a": "x" * 2**20} for number in range(64)})
    sources = [{"secretRef": {"name": f"big-{number}"}} for number in range(64)]
    with pytest.raises(Invalid, match=r"envFrom and spec\.env refer to .* of more than 8388608 bytes"):
        await resolve(objects, job(envFrom=[*sources, {"secretRef": {"name": "none"}}]))  # type: ignore[arg-type]
    assert objects.reads < 8


@pytest.mark.parametrize(
    "spec",
    [
        {"envFrom": [{"secretRef": {"name": "none"}}]},
        {"env": [{"name": "A", **secret_key("none", "k")}]},
        {"env": [{"name": "A", **secret_key("kept", "none")}]},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]},
    ],
)
async def test_what_is_missing_is_named(spec: dict[str, Any]) -> None:
    with pytest.raises(EnvironmentMissing, match=r"none does not exist|none in secret kept does not exist"):
        await resolve(Objects(kept={"k": "v"}), job(**spec))  # type: ignore[arg-type]


async def test_optional_references_may_be_missing() -> None:
    spec = {
        "envFrom": [{"secretRef": {"name": "none", "optional": True}}],
        "env": [{"name": "A", **secret_key("none", "k", optional=True)}],
    }
    found = await resolve(Objects(), job(**spec))  # type: ignore[arg-type]
    assert found.values == {}


async def test_keys_that_are_no_variable_names_are_left_out_and_named() -> None:
    objects = Objects(files={"tls.crt": "hidden", "GOOD": "1"}, settings={"9": "2"}, binary_data={"LOGO": "aGlkZGVu"})
    sources = [{"secretRef": {"name": "files"}}, {"configMapRef": {"name": "settings"}, "prefix": "P-"}]
    found = await resolve(objects, job(envFrom=sources))  # type: ignore[arg-type]
    assert found.values == {"GOOD": "1"}
    assert found.left_out == (
        "key tls.crt of secret files",
        "key 9 of configmap settings",
        "key LOGO of configmap settings",
    )


async def test_a_prefix_can_make_a_name_of_a_key() -> None:
    objects = Objects(numbers={"9": "nine"})
    found = await resolve(objects, job(envFrom=[{"secretRef": {"name": "numbers"}, "prefix": "N_"}]))  # type: ignore[arg-type]
    assert (found.values, found.left_out) == ({"N_9": "nine"}, ())


BYTES = [b"hidden\xff", b"\xc3", "hidden".encode("utf-16"), b"hidden\0"]


@pytest.mark.parametrize("value", BYTES)
@pytest.mark.parametrize(
    "spec", [{"envFrom": [{"secretRef": {"name": "kept"}}]}, {"env": [{"name": "A", **secret_key("kept", "KEY")}]}]
)
async def test_bytes_that_are_no_text_are_refused_and_not_shown(spec: dict[str, Any], value: bytes) -> None:
    """They were replaced by question marks: the program had another password than its owner wrote."""
    with pytest.raises(Invalid, match=r"^key KEY of secret kept (is not UTF-8|has a NUL)") as raised:
        await resolve(Objects(kept={"KEY": value}), job(**spec))  # type: ignore[arg-type]
    assert "hidden" not in f"{raised.value!r}{raised.value.__cause__}"


async def test_bytes_that_become_no_variable_are_nobodys_concern() -> None:
    objects = Objects(kept={"tls.key": b"\xff", "OTHER": b"\xfe", "GOOD": "1"}, binary_data={"B": "/w=="}, plain={})
    spec = {
        "envFrom": [{"secretRef": {"name": "kept"}}, {"configMapRef": {"name": "plain"}}],
        "env": [{"name": "OTHER", "value": "over it"}],
    }
    found = await resolve(objects, job(**spec))  # type: ignore[arg-type]
    assert found.values == {"GOOD": "1", "OTHER": "over it"}


@pytest.mark.parametrize(
    "value",
    ["", " a=b=c ", "l1\r\nl2\n", "$HOME $(ls) `x`", "na\u00efve \u2603 \u6f22\u5b57 \ufeff\ufffd", "\U0001f600"],
)
async def test_text_arrives_as_it_is(value: str) -> None:
    objects = Objects(kept={"S": value}, plain={"C": value})
    env = [
        {"name": "V", "value": value},
        {"name": "S", **secret_key("kept", "S")},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "plain", "key": "C"}}},
    ]
    found = await resolve(objects, job(env=env))  # type: ignore[arg-type]
    assert found.values == {"V": value, "S": value, "C": value}


async def test_a_key_of_binary_data_cannot_be_a_variable() -> None:
    """As with the kubelet, which looks for it in data."""
    objects, ref = Objects(plain={}, binary_data={"B": "YQ=="}), {"name": "plain", "key": "B"}
    with pytest.raises(EnvironmentMissing, match="key B in configmap plain is binaryData"):
        await resolve(objects, job(env=[{"name": "A", "valueFrom": {"configMapKeyRef": ref}}]))  # type: ignore[arg-type]
    optional = {"configMapKeyRef": {**ref, "optional": True}}
    found = await resolve(objects, job(env=[{"name": "A", "valueFrom": optional}]))  # type: ignore[arg-type]
    assert found.values == {}


async def test_what_came_with_another_jobs_submission_is_not_read() -> None:
    """The API's namespace has the Secrets of all its tenants, by names that are in their jobs."""
    objects = Objects("another", **{"theirs-env-1": {"PASSWORD": "x"}})
    for spec in (
        {"envFrom": [{"secretRef": {"name": "theirs-env-1"}}]},
        {"env": [{"name": "P", **secret_key("theirs-env-1", "PASSWORD", optional=True)}]},
    ):
        with pytest.raises(Invalid, match="theirs-env-1 belongs to another JennahJob"):
            await resolve(objects, job(**spec))  # type: ignore[arg-type]
