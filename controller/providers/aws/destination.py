"""The settings that stand for a place at AWS Batch."""

from controller.domain.destination import Destination


def variables(destination: Destination) -> dict[str, str]:
    """The environment variables by which an adapter is made for that place. Which of its queues a job is in, each job's
    own destination says; today's need not exist there."""
    return {
        "BATCH_REGION": destination.region or "",
        "AWS_ACCOUNT_ID": destination.account or "",
        "AWS_JOB_QUEUE": "",
        "AWS_JOB_QUEUES": "",
    }
