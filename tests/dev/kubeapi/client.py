"""A small client for one server, and a CRD to play with."""

import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from dev.kubeapi.server import KubeApiServer

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


@dataclass(frozen=True)
class Reply:
    code: int
    body: Any
    """JSON, or text where it is none."""
    warnings: list[str]


class Api:
    """Requests to one server, with its token."""

    def __init__(self, server: KubeApiServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = None, media_type: str = "application/json", **query: str
    ) -> Reply:
        # Not bytes: aiohttp warns where they are many.
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        headers = {"Content-Type": media_type}
        url = self.server.url + path
        async with self.session.request(method, url, data=data, headers=headers, params=query) as response:
            text = await response.text()
            body = json.loads(text) if response.content_type == "application/json" else text
            return Reply(response.status, body, response.headers.getall("Warning", []))

    async def ok(
        self, method: str, path: str, body: Any = None, media_type: str = "application/json", **query: str
    ) -> Any:
        """The body of a request that must succeed."""
        reply = await self.call(method, path, body, media_type, **query)
        assert reply.code < 300, reply.body
        return reply.body

    async def define(self, definition: dict[str, Any], collection: str = WIDGETS) -> None:
        """Create that CRD, and let its kind, of which `collection` is a path, be initialized."""
        await self.ok("POST", CRDS, definition)
        await self.call("GET", collection, limit="1")

    def watch(self, path: str, **query: str) -> Any:
        """The streaming response of a watch, as a context manager."""
        params = {"watch": "true", **query}
        return self.session.get(self.server.url + path, params=params)

    async def until_gone(self, path: str) -> None:
        """Return once the object answers 404; what removes it runs beside the requests."""
        while (await self.call("GET", path)).code != 404:
            pass


def crd(schema: dict[str, Any], **version: Any) -> dict[str, Any]:
    """A CRD of widgets.example.com whose spec has this schema."""
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    root = {"type": "object", "properties": {"spec": schema, "status": status}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                    "subresources": {"status": {}},
                    **version,
                }
            ],
        },
    }


ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def widget(name: str, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, **metadata},
        "spec": spec or {},
    }
