"""Each sample as users apply it: all are taken by the API server, and those that can run here are run."""

import yaml

from dev.stack import ROOT
from tests.cluster.installation import Installation
from tests.cluster.kubectl import needs_kubectl

pytestmark = needs_kubectl

FOLDER = ROOT / "manifests" / "samples"
SHOWN = str(FOLDER.relative_to(ROOT))
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SUBMITTED = '{.status.conditions[?(@.type=="Submitted")].reason}'


def is_to_end(name: str, provider: str) -> bool:
    """Whether a sample can come to its end on any cluster of that provider, as it needs no spot machines, GPUs,
    accounts or images of its own."""
    documents = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
    [spec] = [document["spec"] for document in documents if document["kind"] == "JennahJob"]
    is_plain = provider == "local" or not (spec.get("spot") or "gpu" in spec.get("resources", {}))
    return spec.get("provider", provider) == provider and is_plain and "kubernetes" not in spec


async def test_the_api_server_takes_each_of_them(jennah: Installation) -> None:
    output = await jennah.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", SHOWN)
    for name in NAMES:
        assert f"jennahjob.jennah.alphaus.cloud/{name} created (server dry run)" in output
    assert await jennah.kubectl("get", "jj", "hello", "--ignore-not-found") == ""


async def test_all_at_once_and_those_that_can_come_to_their_end(jennah: Installation) -> None:
    kubectl, provider = jennah.kubectl, jennah.options.provider
    await kubectl("apply", "-f", SHOWN)
    await kubectl.wait("suspended", "condition=Suspended")
    await kubectl("patch", "jj", "suspended", "--type", "merge", "-p", '{"spec":{"suspend":false}}')
    ending = [f"jj/{name}" for name in NAMES if is_to_end(name, provider)]
    assert len(ending) >= 6
    await kubectl("wait", "--for=condition=Complete", *ending, kubectl.timeout)
    others = [f"jj/{name}" for name in NAMES if name.startswith(("gcp-", "aws-", "azure-"))]
    await kubectl("wait", f"--for=jsonpath={SUBMITTED}=ProviderNotConfigured", *others, kubectl.timeout)
    await kubectl("delete", "--wait=false", "-f", SHOWN)
