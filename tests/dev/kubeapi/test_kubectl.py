"""The real kubectl against the server: what a developer types."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from .client import MERGE, Api, crd

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

CRD = crd(
    {
        "type": "object",
        "description": "What the widget is made of.",
        "required": ["image"],
        "properties": {"image": {"type": "string", "description": "Its picture."}, "size": {"type": "integer"}},
    },
    additionalPrinterColumns=[
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
)
WIDGET = """
apiVersion: example.com/v1
kind: Widget
metadata:
  name: w
spec:
  image: busybox
"""
Kubectl = Callable[..., Coroutine[Any, Any, str]]


@pytest.fixture
async def kubectl(api: Api, tmp_path: Path) -> Kubectl:
    """Runs kubectl; returns what it prints, and fails where it fails."""
    environment = {**os.environ, "KUBECONFIG": str(api.server.kubeconfig), "KUBECACHEDIR": str(tmp_path / "cache")}

    async def run(command: str, text: str = "", *, fails: bool = False) -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "kubectl", *command.split(), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environment
        )
        output, _ = await process.communicate(text.encode())
        assert (process.returncode != 0) == fails, output.decode()
        return output.decode()

    await run("create -f -", json.dumps(CRD))
    await run("wait --for=condition=Established crd/widgets.example.com --timeout=5s")
    return run


async def test_apply_and_get(kubectl: Kubectl) -> None:
    assert await kubectl("apply -f -", WIDGET) == "widget.example.com/w created\n"
    assert await kubectl("apply -f -", WIDGET) == "widget.example.com/w unchanged\n"
    assert await kubectl("apply -f -", WIDGET + "  size: 3") == "widget.example.com/w configured\n"
    assert (await kubectl("get wd")).split()[:3] == ["NAME", "PHASE", "AGE"]
    assert (await kubectl("get wd -o wide")).split()[:6] == ["NAME", "PHASE", "IMAGE", "AGE", "w", "busybox"]
    assert "size: 3" in await kubectl("get wd w -o yaml")
    assert "Size:   3" in await kubectl("describe wd w")
    # What is no longer in the file goes.
    await kubectl("apply -f -", WIDGET)
    assert "size" not in await kubectl("get wd w -o jsonpath={.spec}")


async def test_server_side_apply(kubectl: Kubectl) -> None:
    applied = "widget.example.com/w serverside-applied\n"
    assert await kubectl("apply --server-side -f -", WIDGET + "  size: 3") == applied
    assert await kubectl("apply --server-side -f -", WIDGET) == applied
    assert await kubectl("get wd w -o jsonpath={.spec}") == '{"image":"busybox"}'
    changed = WIDGET.replace("busybox", "other")
    assert "conflict" in await kubectl("apply --server-side --field-manager=me -f -", changed, fails=True)
    assert await kubectl("apply --server-side --field-manager=me --force-conflicts -f -", changed) == applied


async def test_change_wait_and_delete(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply -f -", WIDGET)
    await kubectl('patch wd w --type=merge -p {"spec":{"size":5}}')
    await kubectl('patch wd w --subresource=status --type=merge -p {"status":{"phase":"Running"}}')
    await kubectl("label wd w team=a")
    await kubectl("annotate wd w note=b")
    assert "Running" in await kubectl("get wd -l team=a")
    waiting = asyncio.create_task(kubectl("wait wd/w --for=condition=Ready --timeout=10s"))
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await api.ok("PATCH", "/apis/example.com/v1/namespaces/default/widgets/w/status", status, MERGE)
    assert "condition met" in await waiting
    assert await kubectl("delete wd w") == 'widget.example.com "w" deleted\n'
    assert "No resources found" in await kubectl("get wd")


async def test_get_watch_prints_changes(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply -f -", WIDGET)
    # kubectl ends by itself: the watch is over with its time limit.
    watching = asyncio.create_task(kubectl("get wd -w --request-timeout=2s"))
    path = "/apis/example.com/v1/namespaces/default/widgets/w/status"
    for phase in ("Pending", "Running"):
        await api.ok("PATCH", path, {"status": {"phase": phase}}, MERGE)
    assert "Running" in await watching


async def test_validation_is_left_to_the_server(kubectl: Kubectl) -> None:
    wrong = WIDGET.replace("image", "imagee")
    assert 'unknown field "spec.imagee"' in await kubectl("apply -f -", wrong, fails=True)
    assert "spec.image: Required value" in await kubectl("apply --validate=false -f -", wrong, fails=True)
    assert 'Warning: unknown field "spec.bogus"' in await kubectl("apply --validate=warn -f -", WIDGET + "  bogus: 1")


async def test_explain_and_events(kubectl: Kubectl, api: Api) -> None:
    explained = await kubectl("explain widget.spec")
    assert "What the widget is made of." in explained
    assert "image\t<string> -required-" in explained
    await kubectl("apply -f -", WIDGET)
    uid = await kubectl("get wd w -o jsonpath={.metadata.uid}")
    involved = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "namespace": "default", "uid": uid}
    event = {
        "metadata": {"generateName": "w."},
        "involvedObject": involved,
        "type": "Normal",
        "reason": "Tested",
        "message": "hello",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    await api.ok("POST", "/api/v1/namespaces/default/events", event)
    assert "widget/w   hello" in await kubectl("get events")
    assert "Tested" in await kubectl("describe wd w")


async def test_built_in_kinds(kubectl: Kubectl) -> None:
    await kubectl("create namespace team")
    await kubectl("create secret generic s -n team --from-literal=k=v")
    assert await kubectl("get secret s -n team -o jsonpath={.data.k}:{.type}") == "dg==:Opaque"
    await kubectl("create configmap c --from-literal=k=v")
    assert await kubectl("auth can-i create pods") == "yes\n"
    await kubectl("delete namespace team")
    assert "NotFound" in await kubectl("get namespace team", fails=True)
