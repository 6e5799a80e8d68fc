"""Makes an installation: one of its own with local programs, or what is needed beside one that is in the cluster.

All that is made for it goes at the end, also after a failure.
"""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.domain import names
from controller.kube.client import Object
from controller.ports import JobRef
from controller.providers.kubernetes import labels
from controller.providers.local.provider import LocalProvider
from dev.manifests import helm
from dev.processes import Child
from dev.stack import ROOT
from tests.cluster import accounts, belongings
from tests.cluster.clusters import Cluster
from tests.cluster.installation import Installation
from tests.cluster.installed import InstalledPrograms, job_namespace
from tests.cluster.local import LocalPrograms
from tests.cluster.options import Options
from tests.contract.databases import postgres

PROFILES = ROOT / "dev" / "kind" / "profiles.json"
"""So small that a hundred jobs find room on one node."""
LEASE = "jennah-controller"
ACCOUNTS = ("jennah-controller", "jennah-api")
"""Of the operators and of the API, as the chart names them."""


@contextlib.asynccontextmanager
async def installed(
    cluster: Cluster, options: Options, folder: Path, *, is_confined: bool = True
) -> AsyncIterator[Installation]:
    """An installation that works. `is_confined`: its operators watch its own namespaces alone."""
    make = _in_cluster if options.installed else _local
    async with contextlib.AsyncExitStack() as stack:
        made = await stack.enter_async_context(make(cluster, options, folder, is_confined))
        await made.programs.start()
        stack.push_async_callback(made.end_jobs)
        yield made


@contextlib.asynccontextmanager
async def _local(cluster: Cluster, options: Options, folder: Path, is_confined: bool) -> AsyncIterator[Installation]:
    instance = f"e2e-{secrets.token_hex(3)}"
    system = f"jennah-{instance}"
    made = Installation(cluster, options, folder, instance=instance, system=system, jobs=f"{system}-jobs")
    async with contextlib.AsyncExitStack() as stack:
        watched = made.job_namespaces if is_confined else []
        made.env = await stack.enter_async_context(_database(options, folder)) | {
            "WATCH_NAMESPACES": ",".join(watched),  # none: all
            "JENNAH_DATA_DIR": str(folder),
            "JENNAH_NAMESPACE": made.namespace,
            "JOB_CONFIG_PATH": str(PROFILES),
            "LOG_LEVEL": "debug",
        }
        await stack.enter_async_context(belongings.crd(cluster))
        own = {made.system: {}, made.namespace: {}, **_team(made)}
        await stack.enter_async_context(belongings.namespaces(cluster, own))
        made.granted = _access(made, watched)
        await stack.enter_async_context(belongings.objects(cluster, made.granted))
        operator, api = [await _kubeconfig(made, account) for account in ACCOUNTS]
        programs = made.programs = LocalPrograms(
            cluster.client,
            operator={**made.env, **_operator(made), "KUBECONFIG": operator},
            api={**made.env, **_API, "KUBECONFIG": api},
            lease_namespace=made.system,
            lease=LEASE,
        )
        await stack.enter_async_context(_service(made))
        stack.push_async_callback(programs.stop)
        yield made


@contextlib.asynccontextmanager
async def _in_cluster(
    cluster: Cluster, options: Options, folder: Path, is_confined: bool
) -> AsyncIterator[Installation]:
    """The chart is installed in the namespace `options.installed`, and watches all namespaces."""
    instance, system = f"e2e-{secrets.token_hex(3)}", options.installed
    jobs = await job_namespace(cluster, system)
    made = Installation(cluster, options, folder, instance=instance, system=system, jobs=jobs)
    made.programs = InstalledPrograms(cluster, system, lease=LEASE)
    async with belongings.namespaces(cluster, _team(made)):
        try:
            yield made
        finally:
            await made.programs.stop()


def _team(made: Installation) -> dict[str, dict[str, str]]:
    return {made.team: {names.LABEL_TENANT: made.team_tenant}}


_API = {
    "WORKER_HOST": "127.0.0.1",
    "STOP_DELAY_SECONDS": "0",  # no load balancer in front
    "STOP_GRACE_SECONDS": "2",
}


def _operator(made: Installation) -> dict[str, str]:
    return {
        "BATCH_PROVIDER": made.options.provider,
        "JENNAH_ALLOW_LOCAL_PROVIDER": "true",
        "JENNAH_INSTANCE": made.instance,
        "KUBERNETES_GRACE_SECONDS": "1",
        "UNSCHEDULED_AFTER_SECONDS": "2",
        "ORPHANS": "cancel",
        "ORPHAN_SWEEP_SECONDS": "1",
    }


def _access(made: Installation, watched: list[str]) -> list[Object]:
    """What the chart grants with the settings of this installation."""
    values: dict[str, Any] = {
        "provider": {"name": "kubernetes"},
        "database": {"provider": "postgres", "endpointSecret": {"name": "unused"}},
        "jobNamespace": {"name": made.namespace, "create": False},
        "api": {"auth": {"kind": "kubernetes"}},
        "watchNamespaces": watched,
        "rbac": {"clusterWide": not watched},
    }
    if made.options.provider == "local":  # the chart has none; which cloud makes no difference to rights
        values["provider"] = {"name": "gcp", "region": "r", "gcp": {"projectId": "p"}}
    try:
        helm.program()
    except helm.HelmError as error:
        pytest.skip(f"the roles come from the chart: {error}")
    return accounts.manifests(made.system, values)


async def _kubeconfig(made: Installation, account: str) -> str:
    token = await accounts.token(made.kube, made.system, account)
    path = made.folder / f"{account}.kubeconfig"
    accounts.write_kubeconfig(path, admin=made.cluster.kubeconfig, token=token)
    return str(path)


@contextlib.asynccontextmanager
async def _database(options: Options, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Its settings; migrated."""
    if options.database == "sqlite":
        yield {"DB_PROVIDER": "sqlite"}
        return
    with postgres.database() as url:
        env = {"DB_PROVIDER": "postgres", "DB_ENDPOINT": url}
        migration = await asyncio.create_subprocess_exec(sys.executable, "-m", "api.cli", "migrate", env=env)
        assert await migration.wait() == 0
        yield env


@contextlib.asynccontextmanager
async def _service(made: Installation) -> AsyncIterator[None]:
    """What runs the jobs, where that is not there by itself: for Kubernetes Jobs on a cluster without nodes a stand-in
    of them, and of the Job controller where there is none. Local processes that are left are ended."""
    if made.options.provider == "kubernetes" and not made.cluster.has_kubelet:
        arguments = ["-m", "dev.emulators.kubernetes_jobs", "--kubeconfig", str(made.cluster.kubeconfig)]
        arguments += ["--selector", f"{labels.INSTANCE}={made.instance}"]
        # Between two Pods of a task; ten seconds on a cluster, where a job that fails each time takes a minute longer.
        arguments += ["--nodes-only"] if made.cluster.has_job_controller else ["--backoff-seconds", "3"]
        child = await Child.start("jobs", arguments, env={}, on_line=print, ready_text="ready:")
        try:
            yield
        finally:
            await child.stop()
        return
    try:
        yield
    finally:
        provider = LocalProvider(made.folder, "e2e", SystemClock())
        for left in (made.folder / "local").glob("[!.]*"):
            await provider.cancel(JobRef(external_name=left.name, uid=""), reason="the suite ended")
