"""docs/install.md: its values, its answers and its kubeconfig are what really works."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from dev.manifests import files, helm
from tests.manifests import chart

GUIDE = (files.ROOT / "docs" / "install.md").read_text()
CHARTS_README = (chart.CHART / "README.md").read_text()
METADATA = "http://metadata.google.internal"


def blocks(text: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text, re.S)


def test_the_least_values_install() -> None:
    [here] = re.findall(r"cat > my-values.yaml <<'END'\n(.*?)END\n", GUIDE, re.S)
    there = next(block for block in blocks(CHARTS_README) if "provider:" in block)
    for values in (here, there):
        assert chart.render(yaml.safe_load(values))


@pytest.mark.parametrize("block", [block for block in blocks(GUIDE) if not re.search("^kind: ", block, re.M)])
def test_each_piece_of_values_goes_with_the_least_ones(block: str) -> None:
    [least] = re.findall(r"cat > my-values.yaml <<'END'\n(.*?)END\n", GUIDE, re.S)
    assert chart.render(chart.merged(yaml.safe_load(least), yaml.safe_load(block)))


def test_a_refusal_reads_as_it_is_shown() -> None:
    with pytest.raises(helm.HelmError) as refused:
        helm.run("template", "jennah", chart.CHART, "--set=provider.name=gcp", "--set=database.provider=sqlite")
    shown = GUIDE.partition("Error: INSTALLATION FAILED")[2].partition("```")[0].splitlines()[2:]
    assert len(shown) == 4
    for line in shown:
        assert line.removesuffix("…") in str(refused.value)


def test_what_is_rendered_for_kubectl_has_the_rights_and_no_hooks() -> None:
    [command] = re.findall(r"^\$ helm (template jennah .*)$", GUIDE, re.M)
    objects = [found for found in yaml.safe_load_all(helm.run(*command.split())) if found]
    assert chart.only(objects, "Role", "jennah-controller-jobs")
    assert not [found for found in objects if "helm.sh/hook" in (found["metadata"].get("annotations") or {})]


class Metadata(BaseHTTPRequestHandler):
    """Cloud Run's metadata server, as far as tokens go."""

    def do_GET(self) -> None:
        is_allowed = self.headers["Metadata-Flavor"] == "Google"
        is_known = self.path == "/computeMetadata/v1/instance/service-accounts/default/token"
        self.send_response(200 if is_allowed and is_known else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": "ya29.a", "expires_in": 3599, "token_type": "Bearer"}).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def metadata() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_kubeconfig_for_cloud_run_gets_its_token_from_there(
    metadata: str,
) -> None:
    block = next(block for block in blocks(GUIDE) if "kind: Config" in block)
    document = yaml.safe_load(block.replace(METADATA, metadata).replace("BASE64", "Y2E="))
    plugin = document["users"][0]["user"]["exec"]
    assert plugin["command"] == "python", "the image has one by that name; a machine need not"
    plugin["command"] = sys.executable
    configuration = kube.Configuration()
    loader = kube_config.kube_config.KubeConfigLoader(document)
    await loader.load_and_set(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer ya29.a"
    assert timedelta(minutes=55) < loader.exec_plugin_expiry - datetime.now(UTC) < timedelta(minutes=61)
