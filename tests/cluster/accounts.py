"""The service accounts that the programs run as, with the roles that the chart gives them, and their tokens."""

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from controller.kube.client import KubeClient, Object
from dev.manifests import helm
from tests.manifests import chart

TOKEN_SECONDS = 6 * 3600
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_ROLES = ("Role", "ClusterRole")


def manifests(namespace: str, values: Mapping[str, Any]) -> list[Object]:
    """ServiceAccounts, the roles bound to them, and the bindings, as the chart renders them with those values.

    Nothing else of the chart: aggregated roles and admission policies would change what others may do.
    """
    rendered = render(namespace, values)
    bound = {(doc["roleRef"]["kind"], doc["roleRef"]["name"]) for doc in rendered if doc["kind"] in _BINDINGS}
    return [
        doc
        for doc in rendered
        if component(doc) in ("controller", "api")
        and (
            doc["kind"] in ("ServiceAccount", *_BINDINGS)
            or (doc["kind"] in _ROLES and (doc["kind"], doc["metadata"]["name"]) in bound)
        )
    ]


def component(doc: Object) -> str:
    """What an object of the chart is a part of: controller, api, ..."""
    return str(doc["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def render(namespace: str, values: Mapping[str, Any]) -> list[Object]:
    """All objects of the chart for a release in that namespace. Raises HelmError."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        return chart.parse(
            helm.run("template", chart.RELEASE, chart.CHART, "--namespace", namespace, "--values", file.name)
        )


async def token(client: KubeClient, namespace: str, account: str, *audiences: str) -> str:
    """A token of that account, by the TokenRequest API; for the API server itself where no audience is given."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS, "audiences": list(audiences)},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str((await client.post(path, body))["status"]["token"])


def write_kubeconfig(path: Path, *, admin: Path, token: str) -> Path:
    """For the cluster of `admin`, with that token."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(_with_token(admin, token)))
    return path


def _with_token(admin: Path, token: str) -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(yaml.safe_load(admin.read_text()))
    context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
    authority = cluster.get("certificate-authority")
    if authority:  # relative to the file that it is in
        cluster["certificate-authority"] = str((admin.parent / authority).resolve())
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "account", "user": {"token": token}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "cluster", "user": "account"}}],
        "current-context": "e2e",
    }
