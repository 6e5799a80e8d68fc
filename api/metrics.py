"""What Prometheus is told of the API. Label values are small closed sets: never a tenant, a job or a message."""

import functools
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller import metrics

OK: Final = "ok"
OTHER: Final = "other"
"""The method of a call of none that there is: the names that callers make up are no label."""

REGISTRY = CollectorRegistry()
for collector in (metrics.PROCESS, metrics.KUBERNETES_CALLS, metrics.RECORD_COMMITS):
    REGISTRY.register(collector)

REQUESTS = Counter(
    "jennah_api_requests_total",
    "Calls to the API, by method and by result (ok, or Connect's code)",
    ["method", "result"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "jennah_api_request_seconds",
    "From a call's headers to its answer",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),  # CancelJob waits, no call over 60 s
    registry=REGISTRY,
)
AUTHENTICATION_DISABLED = Gauge(
    "jennah_api_authentication_disabled",
    "1 where anybody who reaches the API may act for every tenant (API_AUTH=none), else 0",
    registry=REGISTRY,
)
RELOAD_FAILING = Gauge(
    "jennah_api_reload_failing",
    "1 while a file that has changed cannot be read, and what was in it before counts; by the variable that names it",
    ["variable"],
    registry=REGISTRY,
)

# To look a series up by its labels costs more than to count in it.
_requests = functools.cache(REQUESTS.labels)
_seconds = functools.cache(REQUEST_SECONDS.labels)


def count(method: str, result: str, seconds: float) -> None:
    """Count a call of that method (or `OTHER`), how it was answered (`OK`, or Connect's code), and how long it took."""
    _requests(method, result).inc()
    _seconds(method).observe(seconds)
