"""Values that people install with: one for each way, and one for each thing that can be turned on or off."""

from typing import Any

from tests.manifests.chart import Values, merged

GCP: Values = {"provider": {"name": "gcp", "region": "us-central1", "gcp": {"projectId": "my-project"}}}
AWS: Values = {
    "provider": {
        "name": "aws",
        "region": "us-east-1",
        "aws": {
            "jobQueue": "jobs",
            "jobQueues": {"spot": "spot", "gpu+spot": "gpu-spot", "c6i.large": "large"},
            "executionRoleArn": "arn:aws:iam::123456789012:role/jennah-execution",
            "accountId": "123456789012",
            "submitsPerSecond": 20,
            "callsPerSecond": 5.5,
            "endpoint": "https://vpce-1.batch.us-east-1.vpce.amazonaws.com",
        },
    }
}
AZURE: Values = {
    "provider": {
        "name": "azure",
        "region": "westeurope",
        "azure": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000",
            "resourceGroup": "jobs",
            "account": "jennah",
            "pool": "general",
            "pools": {"gpu": "gpus"},
            "nodeSizes": {"Standard_NC6": "6/57344"},
            "taskUser": "task",
            "keySecret": {"name": "azure-batch"},
            "registry": {"server": "registry.example.com", "secretName": "registry"},
            "output": {"secretName": "azure-output"},
            "endpoint": "https://jennah.westeurope.batch.azure.com",
            "readsPerSecond": 10,
            "mutationsPerSecond": 10,
        },
    }
}
KUBERNETES: Values = {"provider": {"name": "kubernetes"}}

POSTGRES: Values = {"database": {"provider": "postgres", "endpointSecret": {"name": "jennah-database"}}}
SPANNER: Values = {
    "database": {
        "provider": "spanner",
        "projectId": "my-project",
        "instance": "main",
        "name": "jennah",
        "redactEnv": False,
        "tombstoneTtlSeconds": 0,
    }
}
DYNAMODB: Values = {
    "database": {
        "provider": "dynamodb",
        "region": "us-east-1",
        "name": "jobs",
        "endpoint": "https://dynamodb.us-east-1.amazonaws.com",
    }
}
COSMOSDB: Values = {
    "database": {
        "provider": "cosmosdb",
        "endpoint": "https://account.documents.azure.com:443/",
        "keySecret": {"name": "cosmos"},
    }
}

TOKENS: Values = {"api": {"auth": {"tokensSecret": {"name": "jennah-tokens"}}}}

DEFAULT = merged(GCP, POSTGRES, TOKENS)
"""The least that an installation says."""

_SIDECAR = {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 5432}]}
_POD: Values = {
    "extraEnv": [{"name": "PGSSLROOTCERT", "value": "/etc/ca/ca.crt"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "database-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "podAnnotations": {"example.com/scrape": "true"},
    "podLabels": {"example.com/team": "batch"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}},
}
_SERVER = merged(
    _POD,
    {
        "sidecars": [_SIDECAR],
        "initContainers": [{"name": "wait", "image": "busybox:1.36", "command": ["true"]}],
        "topologySpreadConstraints": [
            {"maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
)

CASES: dict[str, dict[str, Any]] = {
    "the least": DEFAULT,
    "aws and dynamodb with roles for accounts": merged(
        AWS,
        DYNAMODB,
        TOKENS,
        {
            name: {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": f"arn:aws:iam::1:role/{name}"}}}
            for name in ("controller", "api", "migration")
        },
    ),
    "azure and cosmos db with keys": merged(AZURE, COSMOSDB, TOKENS),
    "azure with workload identity": merged(
        AZURE,
        TOKENS,
        {"provider": {"azure": {"keySecret": {"name": ""}, "registry": {"secretName": "", "identity": "/id"}}}},
        {"provider": {"azure": {"output": {"secretName": "", "url": "https://a.blob.core.windows.net/out"}}}},
        {"database": {"provider": "cosmosdb", "endpoint": "https://account.documents.azure.com:443/"}},
        {
            name: {"serviceAccount": {"annotations": {"azure.workload.identity/client-id": "1"}}}
            for name in ("controller", "api", "migration")
        },
    ),
    "gcp and spanner": merged(
        GCP,
        SPANNER,
        TOKENS,
        {"provider": {"gcp": {"readsPerSecond": 100, "mutationsPerSecond": 10, "endpoint": "stand-in:443"}}},
        {"controller": {"serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "a@p.iam"}}}},
    ),
    "kubernetes jobs in the jobs' own namespaces": merged(KUBERNETES, POSTGRES, TOKENS),
    "kubernetes jobs in one namespace": merged(
        KUBERNETES,
        POSTGRES,
        TOKENS,
        {
            "provider": {
                "region": "here",
                "kubernetes": {
                    "namespace": "batch",
                    "graceSeconds": 10,
                    "jobTtlSeconds": 864000,
                    "podSecurity": "restricted",
                    "spotNodes": {"example.com/spot": "true"},
                    "gpuResource": "amd.com/gpu",
                    "gpuLabel": "amd.com/gpu.product-name",
                },
            }
        },
    ),
    "kubernetes jobs in another cluster": merged(
        KUBERNETES, POSTGRES, TOKENS, {"provider": {"kubernetes": {"kubeconfigSecret": {"name": "job-cluster"}}}}
    ),
    "a few namespaces": merged(
        DEFAULT,
        {"watchNamespaces": ["jennah-jobs", "team-a"], "rbac": {"aggregate": False}, "crds": {"install": False}},
    ),
    "kubernetes jobs in a few namespaces": merged(
        KUBERNETES, POSTGRES, TOKENS, {"watchNamespaces": ["jennah-jobs", "team-a"]}
    ),
    "all namespaces": merged(DEFAULT, {"rbac": {"clusterWide": True}}),
    "kubernetes jobs in all namespaces": merged(KUBERNETES, POSTGRES, TOKENS, {"rbac": {"clusterWide": True}}),
    "a namespace for jobs as the cluster wants it": merged(
        KUBERNETES,
        POSTGRES,
        TOKENS,
        {
            "provider": {"kubernetes": {"podSecurity": "restricted"}},
            "jobNamespace": {
                "labels": {"jennah.alphaus.cloud/tenant": "acme", "app.kubernetes.io/component": "tenants"},
                "podSecurity": "restricted",
                "quota": {"count/jennahjobs.jennah.alphaus.cloud": 50000, "requests.cpu": "200"},
                "networkPolicy": {"blocked": [], "ingressFrom": [{"podSelector": {}}]},
            },
            "tenancy": {"namespaceLabelGroups": ["platform@example.com"]},
        },
    ),
    "everything about the operators": merged(
        DEFAULT,
        {
            "provider": {"instance": "blue", "defaultServiceAccount": "jobs@my-project.iam.gserviceaccount.com"},
            "controller": {
                "replicas": 3,
                "workers": 64,
                "observeMinSeconds": 2,
                "observeMaxSeconds": 60,
                "missingGraceSeconds": 0,
                "unscheduledAfterSeconds": 300,
                "submitSettleSeconds": 45,
                "duplicateWatchSeconds": 400,
                "envWaitSeconds": 30,
                "orphans": "cancel",
                "orphanSweepSeconds": 600,
                "lease": {"name": "blue", "ttlSeconds": 30, "claimIntervalSeconds": 4.5},
            },
        },
    ),
    "everything about the API": merged(
        DEFAULT,
        {
            "api": {
                "auth": {"kind": "token", "tokensSecret": {"name": "tokens", "key": "list"}},
                "allowedHosts": ["jennah.example.com"],
                "allowedOrigins": ["https://a.example.com", "https://b.example.com"],
                "cancelWaitSeconds": 10,
                "jobTtlSeconds": 86400,
                "maxRequestBytes": 4194304,
                "stopDelaySeconds": 2.5,
                "stopGraceSeconds": 60,
                "tls": {"secretName": "jennah-api-tls"},
                "service": {"type": "LoadBalancer", "port": 80, "annotations": {"example.com/internal": "true"}},
                "ingress": {
                    "enabled": True,
                    "className": "nginx",
                    "annotations": {"example.com/timeout": "60"},
                    "hosts": ["jennah.example.com"],
                    "tls": [{"hosts": ["jennah.example.com"], "secretName": "jennah-tls"}],
                },
                "autoscaling": {"enabled": True, "maxReplicas": 20},
            },
            "networkPolicy": {
                "apiFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}],
                "metricsFrom": [{}],
            },
        },
    ),
    "accounts of the cluster may call": merged(
        GCP, POSTGRES, {"api": {"auth": {"kind": "kubernetes", "kubernetes": {"audience": "jobs"}}}}
    ),
    "tokens of an issuer, and of a file": merged(
        DEFAULT,
        {
            "api": {
                "auth": {
                    "kind": ["token", "oidc"],
                    "oidc": {
                        "issuer": "https://login.example.com",
                        "audience": "jennah",
                        "tenantClaim": "tenants",
                        "caConfigMap": {"name": "issuer-ca"},
                    },
                }
            }
        },
    ),
    "whoever reaches it may call": merged(GCP, POSTGRES, {"api": {"auth": {"kind": "none", "noneIsMeant": True}}}),
    "no API": merged(DEFAULT, {"api": {"enabled": False}}),
    "the API on Cloud Run": merged(
        DEFAULT, {"api": {"enabled": False, "users": ["api@my-project.iam.gserviceaccount.com"]}}
    ),
    "profiles": merged(
        DEFAULT,
        {"profiles": {"defaultResources": {"cpuMillis": 1000, "memoryMiB": 2048, "maxRunDurationSeconds": 600}}},
    ),
    "profiles of one's own": merged(DEFAULT, {"existingProfiles": "my-profiles"}),
    "monitoring": merged(
        DEFAULT,
        {
            "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
            "metrics": {
                "port": 9100,
                "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
                "dashboard": {
                    "enabled": True,
                    "namespace": "team-a",
                    "labels": {"grafana_dashboard": "yes"},
                    "annotations": {"grafana_folder": "Jennah"},
                },
            },
        },
    ),
    "pods as the cluster wants them": merged(
        DEFAULT,
        {
            "imagePullSecrets": [{"name": "registry"}],
            "image": {"repository": "registry.example.com:5000/jennah", "digest": "sha256:" + "0" * 64},
            "commonLabels": {"example.com/cost-centre": "42"},
            "extraEnv": [
                {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
                {"name": "HTTP_PROXY", "value": "http://proxy:3128"},
                {"name": "NO_PROXY", "value": ".svc,10.0.0.0/8"},
            ],
            "controller": _SERVER,
            "api": _SERVER,
            "migration": _POD,
        },
    ),
    "migrations in each pod": merged(
        DEFAULT,
        {
            "migration": {**_POD, "mode": "initContainer", "endpointSecret": {"name": "owner"}},
            "controller": _POD,
            "logging": {"level": "debug"},
        },
    ),
    "migrations by hand, accounts of one's own": merged(
        DEFAULT,
        {
            "migration": {"mode": "none"},
            "controller": {"serviceAccount": {"create": False, "name": "mine"}},
            "api": {"serviceAccount": {"create": False, "name": "mine-too"}},
        },
    ),
    "as little as possible": merged(
        DEFAULT,
        {
            "fullnameOverride": "blue",
            "jobNamespace": {"name": "", "create": False, "networkPolicy": {"enabled": False}, "podSecurity": ""},
            "rbac": {"create": False},
            "networkPolicy": {"enabled": False},
            "metrics": {"service": False},
            "admissionPolicy": {"enabled": False},
            "controller": {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
            "api": {"podDisruptionBudget": {"enabled": False}},
        },
    ),
    "the environment from elsewhere": {"existingConfig": {"configMap": "settings", "secret": "settings"}},
}
