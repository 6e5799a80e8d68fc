"""What the suite takes for a node: more than an object that says so."""

from pathlib import Path

from aiohttp import web

from tests.cluster import clusters
from tests.faulty_kube import faulty_kube

NODES = "/api/v1/nodes"
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
RUNTIME = {"nodeInfo": {"containerRuntimeVersion": "containerd://2.1"}}


async def test_a_node_counts_where_it_is_ready_has_a_runtime_and_its_kubelet_answers(tmp_path: Path) -> None:
    async with faulty_kube(tmp_path) as front, clusters.KubeClient(front.configuration) as client:
        kubelet = f"{NODES}/n/proxy/healthz"

        def answers(request: web.BaseRequest) -> web.Response | None:
            return web.Response(text="ok") if request.path == kubelet else None

        assert not await clusters.has_kubelet(client)
        await client.post(NODES, NODE)
        await client.merge_patch(f"{NODES}/n/status", {"status": READY})
        front.rule = answers
        assert not await clusters.has_kubelet(client), "an object that somebody made"
        await client.merge_patch(f"{NODES}/n/status", {"status": RUNTIME})
        assert await clusters.has_kubelet(client)
        front.rule = lambda request: None
        assert not await clusters.has_kubelet(client), "nobody answers there"
