"""A destination as the settings that reach it; without a client, for who chooses an adapter."""

from controller.domain.destination import Destination


def variables(destination: Destination) -> dict[str, str]:
    """The environment variables that stand for it, over those of today. Of another cluster none can: whether today's
    KUBERNETES_JOB_KUBECONFIG reaches it the provider's `site` says."""
    return {"KUBERNETES_JOB_NAMESPACE": destination.namespace} if destination.namespace else {}
