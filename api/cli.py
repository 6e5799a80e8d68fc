"""The ``jennah`` command: operator, api, migrate, logs and tenant. Settings come from the environment."""

import argparse
import asyncio
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from controller import proxies, variables
from controller.domain.errors import ConfigError, JennahError

_DESCRIPTION = "Jennah runs containers on cloud batch services, as JennahJob resources of Kubernetes."
_SETTINGS = """\
Settings come from the environment; Kubernetes from KUBECONFIG, ~/.kube/config or the pod's own account.

all:       DB_PROVIDER (spanner, postgres, dynamodb, cosmosdb, sqlite)  DB_ENDPOINT  DB_PROJECT_ID  DB_INSTANCE
           DB_DATABASE  DB_REGION  DB_KEY  DB_REDACT_ENV  TOMBSTONE_TTL_SECONDS
           JOB_CONFIG_PATH  WORKER_ID  JENNAH_DATA_DIR  LOG_LEVEL (debug, info, warning, error)
           LOG_FORMAT (text, json)
operator:  BATCH_PROVIDER (gcp, aws, azure, kubernetes, local)  BATCH_REGION  WATCH_NAMESPACES  JENNAH_NAMESPACE
           DEFAULT_SERVICE_ACCOUNT
           RECONCILE_WORKERS  OBSERVE_MIN_SECONDS  OBSERVE_MAX_SECONDS  MISSING_GRACE_SECONDS  ENV_WAIT_SECONDS
           HEALTH_PORT  JENNAH_INSTANCE  ORPHANS (report, cancel)  ORPHAN_SWEEP_SECONDS  JENNAH_ALLOW_LOCAL_PROVIDER
           WORKER_LEASE_TTL_SECONDS (15)  WORKER_CLAIM_INTERVAL_SECONDS (2)  LEASE_NAME  LEASE_NAMESPACE
           SUBMIT_SETTLE_SECONDS  DUPLICATE_WATCH_SECONDS  UNSCHEDULED_AFTER_SECONDS
gcp:       BATCH_PROJECT_ID  GCP_BATCH_ENDPOINT  GCP_READS_PER_SECOND  GCP_MUTATIONS_PER_SECOND
aws:       AWS_JOB_QUEUE  AWS_JOB_QUEUES  AWS_ACCOUNT_ID  AWS_EXECUTION_ROLE_ARN  AWS_BATCH_ENDPOINT
           AWS_CALLS_PER_SECOND  AWS_SUBMITS_PER_SECOND
azure:     AZURE_BATCH_ACCOUNT  AZURE_BATCH_POOL  AZURE_BATCH_POOLS  AZURE_BATCH_ENDPOINT  AZURE_BATCH_KEY
           AZURE_SUBSCRIPTION_ID  AZURE_RESOURCE_GROUP  AZURE_NODE_SIZES  AZURE_TASK_USER  AZURE_REGISTRY_SERVER
           AZURE_REGISTRY_IDENTITY  AZURE_REGISTRY_USERNAME  AZURE_REGISTRY_PASSWORD  AZURE_OUTPUT_URL
           AZURE_OUTPUT_IDENTITY  AZURE_READS_PER_SECOND  AZURE_MUTATIONS_PER_SECOND
kubernetes:
           KUBERNETES_JOB_NAMESPACE  KUBERNETES_JOB_KUBECONFIG  KUBERNETES_JOB_TTL_SECONDS
           KUBERNETES_GRACE_SECONDS  KUBERNETES_POD_SECURITY (baseline, restricted)  KUBERNETES_SPOT_NODES
           KUBERNETES_GPU_RESOURCE  KUBERNETES_GPU_LABEL
api:       BATCH_PROVIDER  WORKER_PORT (8081)  WORKER_HOST (0.0.0.0)  JENNAH_NAMESPACE (default)  WATCH_NAMESPACES
           CANCEL_WAIT_SECONDS (5)  MAX_REQUEST_BYTES (4 MiB)  ALLOWED_ORIGINS  ALLOWED_HOSTS  JOB_TTL_SECONDS
           METRICS_PORT  METRICS_HOST  STOP_DELAY_SECONDS (5)  STOP_GRACE_SECONDS (30)
           API_AUTH (none, or token, kubernetes, oidc with commas between)  API_TOKENS_FILE  API_TOKEN_AUDIENCE (jennah)
           OIDC_ISSUER  OIDC_AUDIENCE  OIDC_TENANT_CLAIM (tenants)  OIDC_CA_FILE  API_TLS_CERT_FILE  API_TLS_KEY_FILE
           JENNAH_ALLOW_REMOTE_SHELL

A missing or wrong variable stops the start with a line that names it, and exit code 2.
"""

_ENDED_BY_SIGPIPE = 141
"""What a shell says of a program whose reader has gone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two programs until it is stopped. The process's exit code."""
    found = _parser().parse_args(arguments)
    command = found.command
    proxies.settle()
    try:
        if command == "migrate":
            return _migrate(redact=found.redact, dry_run=found.dry_run)
        if command == "logs":
            return _logs(found.namespace, found.job)
        if command == "tenant":
            return _check_tenant(found.file, found.tenant, found.policies)
        return _operator() if command == "operator" else _api()
    except ConfigError as error:
        where = "jennah logs: " if command == "logs" else ""
        for fault in error.faults:
            print(f"{where}{fault}", file=sys.stderr)
        return 2
    except (JennahError, OSError) as error:
        print(f"jennah {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jennah",
        description=_DESCRIPTION,
        epilog=_SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{operator,api,migrate,logs,tenant}")
    commands.add_parser("operator", help="run the controller: turns JennahJob resources into cloud jobs")
    commands.add_parser("api", help="run the API: DeploymentService over Connect, for the Gateway, the CLI and curl")
    migrate = commands.add_parser("migrate", help="create the database's schema, or bring it up to date")
    migrate.add_argument(
        "--redact",
        action="store_true",
        help="blank the values of environment variables in the record's rows instead; the names stay",
    )
    migrate.add_argument(
        "--dry-run",
        action="store_true",
        help="print the statements and run none; with --redact: count the rows and change none",
    )
    logs = commands.add_parser("logs", help="print what a job has written so far")
    logs.add_argument("job", metavar="JOB", help="the name of the JennahJob, or its job id")
    logs.add_argument(
        "-n", "--namespace", default="", help="the JennahJob's namespace (default: the context's, as with kubectl)"
    )
    tenant = commands.add_parser("tenant", help="ask what a tenant's jobs may name")
    questions = tenant.add_subparsers(dest="question", required=True, metavar="{check}")
    check = questions.add_parser("check", help="say what a tenant's policy has against the jobs of a file")
    check.add_argument("-f", "--file", type=Path, required=True, help="YAML with JennahJobs")
    check.add_argument("--tenant", required=True, help="whose jobs they would be")
    check.add_argument("--policies", type=Path, help="YAML with JennahTenants, in place of those of the cluster")
    return parser


# Each program imports its own half only: neither pays for the other's libraries.


def _warn_of_misspelt_variables() -> None:
    for sentence in variables.misspelt(os.environ, set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", _SETTINGS))):
        logging.getLogger("jennah").warning("%s", sentence)


def _operator() -> int:
    from controller import logs, main, settings

    found = settings.read_operator()
    logs.set_up(found.common.log_level, found.common.log_format)
    _warn_of_misspelt_variables()
    asyncio.run(main.run(found))
    return 0


def _api() -> int:
    from api import main, settings
    from controller import logs

    found = settings.read_api()
    logs.set_up(found.common.log_level, found.common.log_format)
    _warn_of_misspelt_variables()
    asyncio.run(main.run(found))
    return 0


def _migrate(*, redact: bool, dry_run: bool) -> int:
    from controller import logs, migrate, settings

    found = settings.read_for_migration()
    logs.set_up(found.log_level, found.log_format)
    run = migrate.redact if redact else migrate.run
    return asyncio.run(run(found.database, dry_run=dry_run))


def _logs(namespace: str, job: str) -> int:
    from controller import joblogs

    try:
        asyncio.run(joblogs.show(namespace, job))
    except BrokenPipeError:
        # As with `head`. What is left in the buffer goes nowhere, or Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _ENDED_BY_SIGPIPE
    return 0


def _check_tenant(file: Path, tenant: str, policies: Path | None) -> int:
    from controller import settings, tenantcheck

    is_allowed = asyncio.run(tenantcheck.check(file, tenant, policies, settings.read_profiles()))
    return 0 if is_allowed else 1


if __name__ == "__main__":
    sys.exit(main())
