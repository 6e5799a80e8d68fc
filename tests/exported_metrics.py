"""Which metrics the programs export, as their registries have them: for tests of what speaks of metrics."""

from prometheus_client import CollectorRegistry

from api import metrics as api
from controller import metrics as operator

REGISTRIES = {"operator": operator.REGISTRY, "API": api.REGISTRY}


def documented_names(registry: CollectorRegistry) -> set[str]:
    """One name a metric, as documentation has it: a counter's with ``_total``, a histogram's without ``_bucket``."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
        if not family.name.startswith("process_")  # a collector's, as a whole
    }


def labels_of(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Of each series that a query can ask for, the labels; ``le`` among those of a histogram's buckets."""
    found: dict[str, set[str]] = {}
    for collector, names in list(registry._collector_to_names.items()):
        labels = set(getattr(collector, "_labelnames", ()))
        # What a counter's and a histogram's series begin with is the name of none of them.
        stem = getattr(collector, "_name", "") if getattr(collector, "_type", "") in ("counter", "histogram") else ""
        # A collector that does not describe itself, such as the process's, is asked for what it has.
        for name in names or [sample.name for family in collector.collect() for sample in family.samples]:
            found[name] = labels | {"le"} if name.endswith("_bucket") else labels
        found.pop(stem, None)
    return found


LABELS = {name: labels for registry in REGISTRIES.values() for name, labels in labels_of(registry).items()}
