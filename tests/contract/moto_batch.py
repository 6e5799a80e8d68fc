"""moto's server as AWS Batch: started, with queues on it."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3

REGION = "eu-west-1"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The URL of a server whose jobs end as soon as they are submitted."""
    command = [sys.executable, "-m", "tests.contract.databases.moto_server"]
    # Whatever runs on this machine: jobs are not to be run in Docker.
    env = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            play(url, has_docker=False)
            yield url
        finally:
            process.terminate()


def play(url: str, *, has_docker: bool) -> None:
    """What becomes of jobs from now on: they succeed at once, or wait until Docker can run them (`fail_waiting`)."""
    _tell(f"{url}/moto-api/config", {"batch": {"use_docker": has_docker}})
    _move(url, {"progression": "time", "seconds": 3600})


def fail_waiting(url: str) -> None:
    """The jobs that wait for Docker come to run, and fail as there is none."""
    _move(url, {"progression": "immediate"})


def client(url: str, service: str) -> Any:
    """boto3's."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return boto3.client(service, region_name=REGION, endpoint_url=url, **keys)


def make_queues(url: str) -> tuple[str, str]:
    """The ARNs of a queue on EC2 and one on Fargate."""
    ec2, batch = client(url, "ec2"), client(url, "batch")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    role = client(url, "iam").create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    arns = []
    for name, kind in (("on-ec2", None), ("on-fargate", "FARGATE")):
        resources = {"type": kind, "maxvCpus": 4, "subnets": [subnet], "securityGroupIds": [group]}
        batch.create_compute_environment(
            computeEnvironmentName=name,
            serviceRole=role,
            **({"type": "MANAGED", "computeResources": resources} if kind else {"type": "UNMANAGED"}),
        )
        order = [{"order": 1, "computeEnvironment": name}]
        queue = batch.create_job_queue(jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order)
        arns.append(queue["jobQueueArn"])
    return arns[0], arns[1]


def _move(url: str, transition: dict[str, Any]) -> None:
    body = {"model_name": "batch::job", "transition": transition}
    _tell(f"{url}/moto-api/state-manager/set-transition", body)


def _tell(url: str, body: Any) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method="POST")):
        pass
