"""Addresses of the AWS console, for people."""

from urllib.parse import quote

_DOMAINS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def job(arn: str, region: str, job_id: str) -> str:
    """The job's page."""
    return f"https://{_host(arn, region)}/batch/home?region={region}#jobs/detail/{job_id}"


def log(arn: str, region: str, group: str, stream: str) -> str:
    """The log stream's page. The console wants its names encoded twice, with $ for %."""
    names = (quote(quote(name, safe=""), safe="").replace("%", "$") for name in (group, stream))
    where = "/log-events/".join(names)
    return f"https://{_host(arn, region)}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{where}"


def _host(arn: str, region: str) -> str:
    partition = arn.split(":")[1] if arn.count(":") > 1 else "aws"
    return f"{region}.{_DOMAINS.get(partition, 'console.aws.amazon.com')}"
