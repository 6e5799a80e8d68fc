{{/* Values that do not go together: one line each, all of them together, as the programs do with their settings.
     What a single value may be is in values.schema.json. */}}
{{- define "jennah.checks" -}}
{{- $faults := concat
      (include "jennah.checks.provider" . | splitList "\n")
      (include "jennah.checks.database" . | splitList "\n")
      (include "jennah.checks.controller" . | splitList "\n")
      (include "jennah.checks.places" . | splitList "\n")
      (include "jennah.checks.api" . | splitList "\n")
      (include "jennah.checks.exposure" . | splitList "\n")
      (include "jennah.checks.environment" . | splitList "\n")
      (include "jennah.checks.metrics" . | splitList "\n") | compact -}}
{{- if $faults -}}
{{- printf "\n\n%s\n" (join "\n" $faults) | fail -}}
{{- end -}}
{{- end -}}

{{/* A line for each that is empty. Takes (list WHY PATH VALUE PATH VALUE ...). */}}
{{- define "jennah.required" -}}
{{- $why := index . 0 -}}
{{- range $i, $part := . -}}
{{- if and $i (mod $i 2 | eq 1) (not (index $ (add $i 1))) }}
{{ $part }} is required {{ $why }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jennah.checks.provider" -}}
{{- $isOurs := eq (include "jennah.hasOwnConfig" .) "false" -}}
{{- with .Values.provider -}}
{{- if eq .name "local" }}
provider.name=local runs jobs as processes of the controller's own pod: it is for trying Jennah out (make run), not for a cluster
{{- end -}}
{{- if $isOurs -}}
{{- if not .name }}
provider.name is required: gcp, aws, azure or kubernetes
{{- else if and (has .name (list "gcp" "aws" "azure")) (not .region) }}
provider.region is required with provider.name={{ .name }}
{{- end -}}
{{- $why := printf "with provider.name=%s" .name -}}
{{- if eq .name "gcp" -}}
{{- include "jennah.required" (list $why "provider.gcp.projectId" .gcp.projectId) -}}
{{- else if eq .name "aws" -}}
{{- include "jennah.required" (list $why "provider.aws.jobQueue" .aws.jobQueue) -}}
{{- else if eq .name "azure" -}}
{{- include "jennah.required" (list $why
      "provider.azure.subscriptionId" .azure.subscriptionId "provider.azure.resourceGroup" .azure.resourceGroup
      "provider.azure.account" .azure.account "provider.azure.pool" .azure.pool) -}}
{{- end -}}
{{- end -}}
{{- with .azure -}}
{{- if and .registry.server (eq (empty .registry.identity) (empty .registry.secretName)) }}
provider.azure.registry.server needs provider.azure.registry.identity or provider.azure.registry.secretName, not both
{{- end -}}
{{- if and (not .registry.server) (or .registry.identity .registry.secretName) }}
provider.azure.registry.server is required with an identity or a Secret of a registry
{{- end -}}
{{- if and .output.url .output.secretName }}
provider.azure.output.url and provider.azure.output.secretName are the same variable: set one of them
{{- end -}}
{{- if regexMatch "[?&]sig=" .output.url }}
provider.azure.output.url holds a signature: put the URL into a Secret and name that in provider.azure.output.secretName
{{- end -}}
{{- if and (hasPrefix "http://" .endpoint) (not .keySecret.name) }}
provider.azure.endpoint is plain http: that needs provider.azure.keySecret.name, tokens are sent by https only
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A password in a URL or a connection string. It may hold any character, `/` and `@` as well. */}}
{{- define "jennah.passwordPattern" -}}(?i)://[^@]*:[^@]*@|password\s*={{- end -}}

{{- define "jennah.checks.database" -}}
{{- $isOurs := eq (include "jennah.hasOwnConfig" .) "false" -}}
{{- with .Values.database -}}
{{- if eq .provider "sqlite" }}
database.provider=sqlite is a file of one machine, which the operators' and the API's pods cannot share: use postgres, spanner, dynamodb or cosmosdb
{{- end -}}
{{- if and .endpoint .endpointSecret.name }}
database.endpoint and database.endpointSecret.name are the same variable: set one of them
{{- end -}}
{{- if regexMatch (include "jennah.passwordPattern" $) .endpoint }}
database.endpoint holds a password: put the URL into a Secret and name that in database.endpointSecret.name
{{- end -}}
{{- if $isOurs -}}
{{- $why := printf "with database.provider=%s" .provider -}}
{{- if not .provider }}
database.provider is required: spanner, postgres, dynamodb or cosmosdb
{{- else if eq .provider "postgres" -}}
{{- include "jennah.required" (list $why "database.endpointSecret.name" (or .endpointSecret.name .endpoint)) -}}
{{- else if eq .provider "cosmosdb" -}}
{{- include "jennah.required" (list $why "database.endpoint" (or .endpointSecret.name .endpoint)) -}}
{{- else if eq .provider "spanner" -}}
{{- include "jennah.required" (list $why "database.projectId" .projectId "database.instance" .instance "database.name" .name) -}}
{{- else if eq .provider "dynamodb" -}}
{{- include "jennah.required" (list $why "database.region" .region) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jennah.checks.controller" -}}
{{- with .Values.controller -}}
{{- if and (eq .orphans "cancel") (not $.Values.provider.instance) }}
controller.orphans=cancel needs provider.instance: a name that no other installation in the project or account has, or its jobs would be ended
{{- end -}}
{{- if and .observeMinSeconds .observeMaxSeconds (gt (float64 .observeMinSeconds) (float64 .observeMaxSeconds)) }}
controller.observeMinSeconds is greater than controller.observeMaxSeconds
{{- end -}}
{{- if le (divf (mulf (.lease.ttlSeconds | default 15) 2) 3) (mulf (.lease.claimIntervalSeconds | default 2) 1.2) }}
controller.lease.ttlSeconds is too short: two thirds of it must be more than 1.2 times controller.lease.claimIntervalSeconds
{{- end -}}
{{- end -}}
{{- range $component := list "controller" "api" "migration" -}}
{{- $account := (get $.Values $component).serviceAccount -}}
{{- if and (not $account.create) (not $account.name) }}
{{ $component }}.serviceAccount.name is required with {{ $component }}.serviceAccount.create=false
{{- end -}}
{{- end -}}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "controller.podLabels" .Values.controller.podLabels
      "api.podLabels" .Values.api.podLabels "migration.podLabels" .Values.migration.podLabels -}}
{{- range $label, $_ := $labels -}}
{{- if or (hasPrefix "app.kubernetes.io/" $label) (hasPrefix "helm.sh/" $label) }}
{{ $path }} must not have {{ $label }}: the chart sets it
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.profiles .Values.existingProfiles }}
profiles and existingProfiles are the same file: set one of them
{{- end -}}
{{- end -}}

{{/* Where jobs run: never beside the programs, whose accounts and Secrets they could use there. */}}
{{- define "jennah.checks.places" -}}
{{- $jobs := include "jennah.jobNamespace" . -}}
{{- if and .Values.rbac.clusterWide .Values.watchNamespaces }}
rbac.clusterWide=true runs the jobs of all namespaces: leave watchNamespaces empty
{{- end -}}
{{- if and (or .Values.api.enabled .Values.api.users) .Values.watchNamespaces (not (has $jobs .Values.watchNamespaces)) }}
watchNamespaces has no {{ $jobs }}: the API creates its jobs there (jobNamespace.name) and nobody would run them
{{- end -}}
{{- if and (eq .Values.provider.name "kubernetes") (eq (include "jennah.hasJobCluster" .) "false") -}}
{{- $why := printf "jobs would run in the release's namespace %s, where they could use the accounts and Secrets of Jennah itself" .Release.Namespace -}}
{{- if eq .Values.provider.kubernetes.namespace .Release.Namespace }}
provider.kubernetes.namespace: {{ $why }}
{{- else if not .Values.provider.kubernetes.namespace -}}
{{- if eq $jobs .Release.Namespace }}
jobNamespace.name: {{ $why }}
{{- end -}}
{{- if has .Release.Namespace .Values.watchNamespaces }}
watchNamespaces: {{ $why }}
{{- end -}}
{{- end -}}
{{- if and (eq (include "jennah.makesJobNamespace" .) "true") (eq .Values.jobNamespace.podSecurity "restricted")
      (ne .Values.provider.kubernetes.podSecurity "restricted") }}
jobNamespace.podSecurity=restricted needs provider.kubernetes.podSecurity=restricted: the Pods of jobs would be refused
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jennah.checks.api" -}}
{{- if .Values.api.enabled -}}
{{- $kinds := include "jennah.api.authKinds" . | fromJsonArray -}}
{{- with .Values.api -}}
{{- if and (has "none" $kinds) (not .auth.noneIsMeant) }}
api.auth.kind=none lets whoever reaches the API act for every tenant: use token, kubernetes or oidc, or say api.auth.noneIsMeant=true
{{- end -}}
{{- if and (has "token" $kinds) (not .auth.tokensSecret.name) (eq (include "jennah.hasOwnConfig" $) "false") }}
api.auth.tokensSecret.name is required with api.auth.kind=token
{{- end -}}
{{- if has "oidc" $kinds -}}
{{- include "jennah.required" (list "with api.auth.kind=oidc"
      "api.auth.oidc.issuer" .auth.oidc.issuer "api.auth.oidc.audience" .auth.oidc.audience) -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) }}
api.ingress.hosts is required with api.ingress.enabled
{{- end -}}
{{- if and .autoscaling.enabled (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
api.autoscaling.minReplicas is greater than api.autoscaling.maxReplicas
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What can be reached from outside of the cluster. */}}
{{- define "jennah.checks.exposure" -}}
{{- if and .Values.api.enabled (or .Values.api.ingress.enabled (ne .Values.api.service.type "ClusterIP")) -}}
{{- with .Values.api -}}
{{- if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.apiFrom) }}
networkPolicy.apiFrom is required with an Ingress or a Service of type NodePort or LoadBalancer: without it only pods of this namespace reach the API
{{- end -}}
{{- if and (has "none" (include "jennah.api.authKinds" $ | fromJsonArray)) (not .exposure.withoutAuthentication) }}
api.auth.kind=none with an Ingress or a Service of type NodePort or LoadBalancer: anybody outside of the cluster could act for every tenant; if that is meant say api.exposure.withoutAuthentication=true
{{- end -}}
{{- if not .exposure.withoutTls -}}
{{- $why := "tokens and the environments of jobs would be sent in clear; if TLS ends elsewhere, or that is meant, say api.exposure.withoutTls=true" -}}
{{- if and .ingress.enabled (not .ingress.tls) }}
api.ingress.tls is required with api.ingress.enabled: {{ $why }}
{{- end -}}
{{- if and (ne .service.type "ClusterIP") (not .tls.secretName) }}
api.tls.secretName is required with api.service.type={{ .service.type }}: {{ $why }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* extraEnv wins over the values, so it must not say what the checks above and the roles are about. */}}
{{- define "jennah.checks.environment" -}}
{{- $closed := dict
      "API_AUTH" "api.auth.kind" "API_TOKENS_FILE" "api.auth.tokensSecret" "API_TOKEN_AUDIENCE" "api.auth.kubernetes.audience"
      "OIDC_ISSUER" "api.auth.oidc.issuer" "OIDC_AUDIENCE" "api.auth.oidc.audience" "OIDC_TENANT_CLAIM" "api.auth.oidc.tenantClaim"
      "OIDC_CA_FILE" "api.auth.oidc.caConfigMap" "API_TLS_CERT_FILE" "api.tls.secretName" "API_TLS_KEY_FILE" "api.tls.secretName"
      "ALLOWED_HOSTS" "api.allowedHosts" "ALLOWED_ORIGINS" "api.allowedOrigins" "DB_REDACT_ENV" "database.redactEnv"
      "BATCH_PROVIDER" "provider.name" "DEFAULT_SERVICE_ACCOUNT" "provider.defaultServiceAccount" "KUBERNETES_JOB_NAMESPACE" "provider.kubernetes.namespace"
      "KUBERNETES_JOB_KUBECONFIG" "provider.kubernetes.kubeconfigSecret" "KUBERNETES_POD_SECURITY" "provider.kubernetes.podSecurity"
      "JENNAH_NAMESPACE" "jobNamespace.name" "WATCH_NAMESPACES" "watchNamespaces" "LEASE_NAME" "controller.lease.name"
      "HEALTH_PORT" "metrics.port" "METRICS_PORT" "metrics.port" "WORKER_PORT" "api.service.port"
      "POD_NAMESPACE" "the release's namespace" "LEASE_NAMESPACE" "the release's namespace" -}}
{{- $secret := list "DB_ENDPOINT" "DB_KEY" "AZURE_BATCH_KEY" "AZURE_REGISTRY_PASSWORD" "AZURE_OUTPUT_URL" -}}
{{- range $path, $variables := dict "extraEnv" .Values.extraEnv "controller.extraEnv" .Values.controller.extraEnv
      "api.extraEnv" .Values.api.extraEnv "migration.extraEnv" .Values.migration.extraEnv -}}
{{- $names := list -}}
{{- range $variables -}}
{{- if has .name $names }}
{{ $path }} has {{ .name }} twice
{{- end -}}
{{- $names = append $names .name -}}
{{- if hasKey $closed .name }}
{{ $path }} must not have {{ .name }}: {{ get $closed .name }} says it
{{- end -}}
{{- if and (has .name $secret) .value (or (ne .name "DB_ENDPOINT") (regexMatch (include "jennah.passwordPattern" $) .value)) }}
{{ $path }} has {{ .name }} in clear: put it into a Secret and name that in valueFrom
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "jennah.checks.metrics" -}}
{{- if and .Values.api.enabled (eq (int .Values.metrics.port) 8081) }}
metrics.port is 8081, which the API has for its callers
{{- end -}}
{{- if .Values.metrics.serviceMonitor.enabled -}}
{{- if not .Values.metrics.service }}
metrics.serviceMonitor.enabled needs metrics.service: that Service is what Prometheus finds the pods by
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
networkPolicy.metricsFrom is required with metrics.serviceMonitor.enabled: without it only pods of this namespace read the metrics
{{- end -}}
{{- end -}}
{{- end -}}
