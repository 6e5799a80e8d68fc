"""What Prometheus is told. Label values are small closed sets: never a job, a tenant or a message."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
"""The operator's. What the API shares with it is in `api.metrics.REGISTRY` as well."""
PROCESS = ProcessCollector(registry=REGISTRY)

PROVIDER_CALLS = Counter(
    "jennah_provider_calls_total",
    "Calls to a batch service, by method and by result (ok, or the class of our error)",
    ["provider", "method", "result"],
    registry=REGISTRY,
)
KUBERNETES_CALLS = Counter(
    "jennah_kubernetes_calls_total",
    "Calls to the Kubernetes API, by HTTP method (LIST and WATCH: of the watch) and status (0: no answer)",
    ["method", "status"],
    registry=REGISTRY,
)
OBSERVATION_SECONDS = Histogram(
    "jennah_observation_seconds", "Duration of a round of bulk observation", ["provider"], registry=REGISTRY
)
OBSERVED_JOBS = Gauge("jennah_observed_jobs", "Active jobs in the bulk observation", ["provider"], registry=REGISTRY)
OBSERVATION_FAILING = Gauge(
    "jennah_observation_failing",
    "1 while the last round of bulk observation failed, 0 while it works",
    ["provider"],
    registry=REGISTRY,
)
RECORD_COMMITS = Counter(
    "jennah_record_commits_total",
    "Transactions of the record, by result (ok, or the class of our error)",
    ["result"],
    registry=REGISTRY,
)
SUBMISSIONS_IN_DOUBT = Counter(
    "jennah_submissions_in_doubt_total", "Submissions whose outcome was unknown", ["provider"], registry=REGISTRY
)
DUPLICATES_ENDED = Counter(
    "jennah_duplicates_ended_total", "Cloud jobs that were ended as duplicates", ["provider"], registry=REGISTRY
)
ORPHANS = Gauge(
    "jennah_orphans",
    "Cloud jobs that run and whose JennahJob is gone, at the last search",
    ["provider"],
    registry=REGISTRY,
)
ORPHANS_ENDED = Counter(
    "jennah_orphans_ended_total", "Such cloud jobs that were ended (ORPHANS=cancel)", ["provider"], registry=REGISTRY
)
QUEUE_DEPTH = Gauge("jennah_queue_depth", "Objects that wait for a worker", registry=REGISTRY)
RECONCILES = Counter(
    "jennah_reconciles_total",
    "Passes over objects, by result (ok, or the class of the error)",
    ["result"],
    registry=REGISTRY,
)
LEADER = Gauge("jennah_leader", "1 while this process leads, 0 while it stands by", registry=REGISTRY)
LEADER_CHANGES = Counter(
    "jennah_leader_changes_total", "How often this process began or ceased to lead", registry=REGISTRY
)
