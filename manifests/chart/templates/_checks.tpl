{{/* Values that do not go together: one line each, all of them together, as the programs do with their settings.
     What a single value may be is in values.schema.json. */}}
{{- define "jennah.checks" -}}
{{- $faults := concat
      (include "jennah.checks.provider" . | splitList "\n")
      (include "jennah.checks.database" . | splitList "\n")
      (include "jennah.checks.controller" . | splitList "\n")
      (include "jennah.checks.api" . | splitList "\n")
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
{{- $isOurs := not (or .Values.existingConfig.configMap .Values.existingConfig.secret) -}}
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

{{- define "jennah.checks.database" -}}
{{- $isOurs := not (or .Values.existingConfig.configMap .Values.existingConfig.secret) -}}
{{- with .Values.database -}}
{{- if eq .provider "sqlite" }}
database.provider=sqlite is a file of one machine, which the operators' and the API's pods cannot share: use postgres, spanner, dynamodb or cosmosdb
{{- end -}}
{{- if and .endpoint .endpointSecret.name }}
database.endpoint and database.endpointSecret.name are the same variable: set one of them
{{- end -}}
{{- if regexMatch "(?i)://[^/@]*:[^/@]*@|\\bpassword\\s*=" .endpoint }}
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

{{- define "jennah.checks.api" -}}
{{- if or .Values.api.enabled .Values.api.users -}}
{{- $jobs := include "jennah.jobNamespace" . -}}
{{- if and .Values.watchNamespaces (not (has $jobs .Values.watchNamespaces)) }}
watchNamespaces has no {{ $jobs }}: the API creates its jobs there (jobNamespace.name) and nobody would run them
{{- end -}}
{{- end -}}
{{- if .Values.api.enabled -}}
{{- with .Values.api -}}
{{- if and (eq .auth.kind "token") (not .auth.tokensSecret.name) }}
api.auth.tokensSecret.name is required with api.auth.kind=token
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) }}
api.ingress.hosts is required with api.ingress.enabled
{{- end -}}
{{- if and (or .ingress.enabled (ne .service.type "ClusterIP")) $.Values.networkPolicy.enabled (not $.Values.networkPolicy.apiFrom) }}
networkPolicy.apiFrom is required with an Ingress or a Service of type NodePort or LoadBalancer: without it only pods of this namespace reach the API
{{- end -}}
{{- if and .autoscaling.enabled (gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
api.autoscaling.minReplicas is greater than api.autoscaling.maxReplicas
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
