"""A shell in which everything is set that must not count: ``python -m tests.hostile COMMAND …`` runs a command in it.

`.ci/run` runs the suite so. Packages can be installed there: npm and uv get to their registries.
"""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from dev import surroundings

NOWHERE = "http://127.0.0.1:9"
VALUE = "hostile"
_FILE = "/nonexistent/hostile"
_VALUES = {
    # Credentials, and where the SDKs look for services.
    "AWS_PROFILE": VALUE,
    "AWS_CONFIG_FILE": _FILE,
    "AWS_CA_BUNDLE": _FILE,
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_MAX_ATTEMPTS": VALUE,
    "BOTO_CONFIG": _FILE,
    "MOTO_S3_CUSTOM_ENDPOINTS": VALUE,
    "AZURE_AUTHORITY_HOST": VALUE,
    "AZURE_CLIENT_ID": VALUE,
    "AZURE_TENANT_ID": VALUE,
    "AZURE_TOKEN_CREDENTIALS": VALUE,
    "IDENTITY_ENDPOINT": NOWHERE,
    "MSI_ENDPOINT": NOWHERE,
    "CLOUDSDK_CONFIG": _FILE,
    "CLOUDSDK_PYTHON": _FILE,
    "GCE_METADATA_HOST": "127.0.0.1:9",
    "GCLOUD_PROJECT": VALUE,
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
    "GOOGLE_API_USE_MTLS_ENDPOINT": VALUE,
    "GOOGLE_APPLICATION_CREDENTIALS": _FILE,
    "GOOGLE_CLOUD_PROJECT": VALUE,
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN": VALUE,
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": _FILE,
    "GRPC_TRACE": "all",
    "SPANNER_EMULATOR_HOST": "127.0.0.1:9",
    "KUBECONFIG": _FILE,
    "KUBERNETES_SERVICE_HOST": "127.0.0.1",
    "KUBERNETES_SERVICE_PORT": "9",
    "HELM_NAMESPACE": VALUE,
    "HELM_KUBEAPISERVER": NOWHERE,
    "HELM_PLUGINS": _FILE,
    "PGHOST": "127.0.0.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGOPTIONS": "-c search_path=hostile",
    "PGPORT": "9",
    "PGSERVICE": VALUE,
    "PGSSLMODE": "verify-full",
    "PGUSER": VALUE,
    "OTEL_SDK_DISABLED": VALUE,
    "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE,
    "prometheus_multiproc_dir": _FILE,
    "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": VALUE,
    # How things look.
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "C",
    "TZ": "Pacific/Kiritimati",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "CURL_HOME": _FILE,
    "XDG_CONFIG_HOME": _FILE,
    "XDG_DATA_HOME": _FILE,
}
_OF_REGISTRIES = {
    "CURL_CA_BUNDLE": _FILE,
    "NODE_OPTIONS": "--require /nonexistent/hostile.js",
    "REQUESTS_CA_BUNDLE": _FILE,
    "SSLKEYLOGFILE": _FILE,
    "SSL_CERT_FILE": _FILE,
    "npm_config_registry": NOWHERE,
}
OF_PYTHON = {"PYTHONHOME": _FILE, "PYTHONPATH": _FILE, "PYTHONWARNINGS": "error", "PYTEST_ADDOPTS": "--hostile"}
"""These act before any of our code: the Makefile takes them away."""


def _registries() -> str:
    """The hosts that npm and pip install from, as they are set up here."""
    index = importlib.import_module("pip._internal.models.index").PyPI
    npm = shutil.which("npm")
    found = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True).stdout if npm else ""
    hosts = (index.netloc, index.file_storage_domain, urlsplit(found.strip()).hostname)
    return ",".join(host for host in hosts if host)


def variables(*, can_install: bool) -> dict[str, str]:
    """`can_install`: npm and uv still get to their registries."""
    settings = dict.fromkeys(surroundings.settings_of_programs(), VALUE)
    proxies = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "ALL_PROXY": NOWHERE}
    if can_install:
        proxies["NO_PROXY"] = _registries()
    proxies |= {name.lower(): value for name, value in proxies.items()}
    return {**settings, **_VALUES, **proxies, **({} if can_install else _OF_REGISTRIES)}


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """A proxy that this machine has stays: packages come through it."""
    has_proxy = any(name.upper() in ("HTTP_PROXY", "HTTPS_PROXY") for name in own)
    hostile = variables(can_install=True)
    if has_proxy:
        hostile = {name: value for name, value in hostile.items() if not name.upper().endswith("_PROXY")}
    return {**own, **hostile, **OF_PYTHON}


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], _environment(os.environ))
