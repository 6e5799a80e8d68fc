{{/* The environment of the programs: from values to the variables of docs/configuration.md. */}}

{{/* One variable, or nothing where the value is null, "" or empty. Takes (list NAME VALUE).
     Lists become a,b and maps k=v,k=v. Through JSON: a template prints 4194304 as 4.194304e+06. */}}
{{- define "jennah.var" -}}
{{- $value := index . 1 -}}
{{- if kindIs "map" $value -}}
  {{- $pairs := list -}}
  {{- range $k, $v := $value }}{{ $pairs = append $pairs (printf "%s=%v" $k $v) }}{{ end -}}
  {{- $value = join "," $pairs -}}
{{- else if kindIs "slice" $value -}}
  {{- $value = join "," $value -}}
{{- else if not (or (kindIs "invalid" $value) (kindIs "string" $value)) -}}
  {{- $value = toJson $value -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $value) (eq $value "")) }}
- name: {{ index . 0 }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* A variable from a key of a Secret, or nothing where the Secret has no name. Takes (list VARIABLE NAME KEY). */}}
{{- define "jennah.secretVar" -}}
{{- if index . 1 }}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end }}
{{- end -}}

{{/* What all programs need. Takes (list $ ENDPOINT_SECRET). */}}
{{- define "jennah.env.database" -}}
{{- $root := index . 0 -}}
{{- $endpoint := index . 1 -}}
{{- with $root.Values.database }}
{{- include "jennah.var" (list "DB_PROVIDER" .provider) }}
{{- if $endpoint.name }}
{{- include "jennah.secretVar" (list "DB_ENDPOINT" $endpoint.name $endpoint.key) }}
{{- else }}
{{- include "jennah.var" (list "DB_ENDPOINT" .endpoint) }}
{{- end }}
{{- include "jennah.secretVar" (list "DB_KEY" .keySecret.name .keySecret.key) }}
{{- include "jennah.var" (list "DB_PROJECT_ID" .projectId) }}
{{- include "jennah.var" (list "DB_INSTANCE" .instance) }}
{{- include "jennah.var" (list "DB_DATABASE" .name) }}
{{- include "jennah.var" (list "DB_REGION" .region) }}
{{- include "jennah.var" (list "DB_REDACT_ENV" .redactEnv) }}
{{- include "jennah.var" (list "TOMBSTONE_TTL_SECONDS" .tombstoneTtlSeconds) }}
{{- end }}
{{- with $root.Values.logging }}
{{- include "jennah.var" (list "LOG_LEVEL" .level) }}
{{- include "jennah.var" (list "LOG_FORMAT" .format) }}
{{- end }}
{{- end -}}

{{- define "jennah.env.profiles" -}}
{{- if or .Values.profiles .Values.existingProfiles }}
{{- include "jennah.var" (list "JOB_CONFIG_PATH" "/etc/jennah/profiles/profiles.json") }}
{{- end }}
{{- end -}}

{{- define "jennah.env.controller" -}}
{{- include "jennah.env.database" (list . .Values.database.endpointSecret) }}
{{- include "jennah.env.profiles" . }}
{{- with .Values.provider }}
{{- include "jennah.var" (list "BATCH_PROVIDER" .name) }}
{{- include "jennah.var" (list "BATCH_REGION" .region) }}
{{- include "jennah.var" (list "JENNAH_INSTANCE" .instance) }}
{{- include "jennah.var" (list "DEFAULT_SERVICE_ACCOUNT" .defaultServiceAccount) }}
{{- if .name }}
{{- include (printf "jennah.env.%s" .name) (get . .name) }}
{{- end }}
{{- end }}
{{- include "jennah.var" (list "WATCH_NAMESPACES" (include "jennah.watched" . | fromJsonArray)) }}
{{- include "jennah.var" (list "JENNAH_NAMESPACE" (include "jennah.jobNamespace" .)) }}
{{- include "jennah.var" (list "HEALTH_PORT" .Values.metrics.port) }}
{{- with .Values.controller }}
{{- include "jennah.var" (list "RECONCILE_WORKERS" .workers) }}
{{- include "jennah.var" (list "OBSERVE_MIN_SECONDS" .observeMinSeconds) }}
{{- include "jennah.var" (list "OBSERVE_MAX_SECONDS" .observeMaxSeconds) }}
{{- include "jennah.var" (list "MISSING_GRACE_SECONDS" .missingGraceSeconds) }}
{{- include "jennah.var" (list "UNSCHEDULED_AFTER_SECONDS" .unscheduledAfterSeconds) }}
{{- include "jennah.var" (list "SUBMIT_SETTLE_SECONDS" .submitSettleSeconds) }}
{{- include "jennah.var" (list "DUPLICATE_WATCH_SECONDS" .duplicateWatchSeconds) }}
{{- include "jennah.var" (list "ENV_WAIT_SECONDS" .envWaitSeconds) }}
{{- include "jennah.var" (list "ORPHANS" .orphans) }}
{{- include "jennah.var" (list "ORPHAN_SWEEP_SECONDS" .orphanSweepSeconds) }}
{{- include "jennah.var" (list "WORKER_LEASE_TTL_SECONDS" .lease.ttlSeconds) }}
{{- include "jennah.var" (list "WORKER_CLAIM_INTERVAL_SECONDS" .lease.claimIntervalSeconds) }}
{{- end }}
{{- include "jennah.var" (list "LEASE_NAME" (include "jennah.leaseName" .)) }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{- define "jennah.leaseName" -}}
{{- .Values.controller.lease.name | default (include "jennah.controller.fullname" .) -}}
{{- end -}}

{{/* Each takes its block of values below `provider`. */}}
{{- define "jennah.env.gcp" -}}
{{- include "jennah.var" (list "BATCH_PROJECT_ID" .projectId) }}
{{- include "jennah.var" (list "GCP_READS_PER_SECOND" .readsPerSecond) }}
{{- include "jennah.var" (list "GCP_MUTATIONS_PER_SECOND" .mutationsPerSecond) }}
{{- include "jennah.var" (list "GCP_BATCH_ENDPOINT" .endpoint) }}
{{- end -}}

{{- define "jennah.env.aws" -}}
{{- include "jennah.var" (list "AWS_JOB_QUEUE" .jobQueue) }}
{{- include "jennah.var" (list "AWS_JOB_QUEUES" .jobQueues) }}
{{- include "jennah.var" (list "AWS_EXECUTION_ROLE_ARN" .executionRoleArn) }}
{{- include "jennah.var" (list "AWS_ACCOUNT_ID" .accountId) }}
{{- include "jennah.var" (list "AWS_SUBMITS_PER_SECOND" .submitsPerSecond) }}
{{- include "jennah.var" (list "AWS_CALLS_PER_SECOND" .callsPerSecond) }}
{{- include "jennah.var" (list "AWS_BATCH_ENDPOINT" .endpoint) }}
{{- end -}}

{{- define "jennah.env.azure" -}}
{{- include "jennah.var" (list "AZURE_SUBSCRIPTION_ID" .subscriptionId) }}
{{- include "jennah.var" (list "AZURE_RESOURCE_GROUP" .resourceGroup) }}
{{- include "jennah.var" (list "AZURE_BATCH_ACCOUNT" .account) }}
{{- include "jennah.var" (list "AZURE_BATCH_POOL" .pool) }}
{{- include "jennah.var" (list "AZURE_BATCH_POOLS" .pools) }}
{{- include "jennah.var" (list "AZURE_BATCH_ENDPOINT" .endpoint) }}
{{- include "jennah.secretVar" (list "AZURE_BATCH_KEY" .keySecret.name .keySecret.key) }}
{{- include "jennah.var" (list "AZURE_NODE_SIZES" .nodeSizes) }}
{{- include "jennah.var" (list "AZURE_TASK_USER" .taskUser) }}
{{- include "jennah.var" (list "AZURE_REGISTRY_SERVER" .registry.server) }}
{{- include "jennah.var" (list "AZURE_REGISTRY_IDENTITY" .registry.identity) }}
{{- include "jennah.secretVar" (list "AZURE_REGISTRY_USERNAME" .registry.secretName "username") }}
{{- include "jennah.secretVar" (list "AZURE_REGISTRY_PASSWORD" .registry.secretName "password") }}
{{- include "jennah.var" (list "AZURE_OUTPUT_IDENTITY" .output.identity) }}
{{- include "jennah.var" (list "AZURE_OUTPUT_URL" .output.url) }}
{{- include "jennah.secretVar" (list "AZURE_OUTPUT_URL" .output.secretName "AZURE_OUTPUT_URL") }}
{{- include "jennah.var" (list "AZURE_READS_PER_SECOND" .readsPerSecond) }}
{{- include "jennah.var" (list "AZURE_MUTATIONS_PER_SECOND" .mutationsPerSecond) }}
{{- end -}}

{{- define "jennah.env.kubernetes" -}}
{{- include "jennah.var" (list "KUBERNETES_JOB_NAMESPACE" .namespace) }}
{{- if .kubeconfigSecret.name }}
{{- include "jennah.var" (list "KUBERNETES_JOB_KUBECONFIG" "/etc/jennah/job-cluster/kubeconfig") }}
{{- end }}
{{- include "jennah.var" (list "KUBERNETES_GRACE_SECONDS" .graceSeconds) }}
{{- include "jennah.var" (list "KUBERNETES_JOB_TTL_SECONDS" .jobTtlSeconds) }}
{{- include "jennah.var" (list "KUBERNETES_POD_SECURITY" .podSecurity) }}
{{- include "jennah.var" (list "KUBERNETES_SPOT_NODES" .spotNodes) }}
{{- include "jennah.var" (list "KUBERNETES_GPU_RESOURCE" .gpuResource) }}
{{- include "jennah.var" (list "KUBERNETES_GPU_LABEL" .gpuLabel) }}
{{- end -}}

{{- define "jennah.env.api" -}}
{{- include "jennah.env.database" (list . .Values.database.endpointSecret) }}
{{- include "jennah.env.profiles" . }}
{{- include "jennah.var" (list "BATCH_PROVIDER" .Values.provider.name) }}
{{- include "jennah.var" (list "JENNAH_NAMESPACE" (include "jennah.jobNamespace" .)) }}
{{- include "jennah.var" (list "WATCH_NAMESPACES" (include "jennah.watched" . | fromJsonArray)) }}
{{- include "jennah.var" (list "WORKER_PORT" "8081") }}
{{- include "jennah.var" (list "METRICS_PORT" .Values.metrics.port) }}
{{- $kinds := include "jennah.api.authKinds" . | fromJsonArray }}
{{- include "jennah.var" (list "API_AUTH" $kinds) }}
{{- range include "jennah.api.files" . | fromJsonArray }}
{{- $folder := .folder }}
{{- range .items }}
{{- include "jennah.var" (list .variable (printf "%s/%s" $folder .path)) }}
{{- end }}
{{- end }}
{{- with .Values.api }}
{{- if has "kubernetes" $kinds }}
{{- include "jennah.var" (list "API_TOKEN_AUDIENCE" .auth.kubernetes.audience) }}
{{- end }}
{{- if has "oidc" $kinds }}
{{- include "jennah.var" (list "OIDC_ISSUER" .auth.oidc.issuer) }}
{{- include "jennah.var" (list "OIDC_AUDIENCE" .auth.oidc.audience) }}
{{- include "jennah.var" (list "OIDC_TENANT_CLAIM" .auth.oidc.tenantClaim) }}
{{- end }}
{{- include "jennah.var" (list "ALLOWED_HOSTS" .allowedHosts) }}
{{- include "jennah.var" (list "ALLOWED_ORIGINS" .allowedOrigins) }}
{{- include "jennah.var" (list "CANCEL_WAIT_SECONDS" .cancelWaitSeconds) }}
{{- include "jennah.var" (list "JOB_TTL_SECONDS" .jobTtlSeconds) }}
{{- include "jennah.var" (list "MAX_REQUEST_BYTES" .maxRequestBytes) }}
{{- include "jennah.var" (list "STOP_DELAY_SECONDS" .stopDelaySeconds) }}
{{- include "jennah.var" (list "STOP_GRACE_SECONDS" .stopGraceSeconds) }}
{{- end }}
{{- end -}}

{{/* A role of its own for the schema, where there is one. */}}
{{- define "jennah.env.migration" -}}
{{- $secret := ternary .Values.migration.endpointSecret .Values.database.endpointSecret (ne .Values.migration.endpointSecret.name "") -}}
{{- include "jennah.env.database" (list . $secret) }}
{{- end -}}

{{/* A JSON list of what the API reads from files: their variables, and the volume that holds them. */}}
{{- define "jennah.api.files" -}}
{{- $kinds := include "jennah.api.authKinds" . | fromJsonArray -}}
{{- $files := list -}}
{{- with .Values.api -}}
{{- if and (has "token" $kinds) .auth.tokensSecret.name -}}
{{- $items := list (dict "variable" "API_TOKENS_FILE" "key" .auth.tokensSecret.key "path" "tokens") -}}
{{- $files = append $files (dict "name" "tokens" "folder" "/etc/jennah/tokens" "secret" .auth.tokensSecret.name "items" $items) -}}
{{- end -}}
{{- if and (has "oidc" $kinds) .auth.oidc.caConfigMap.name -}}
{{- $items := list (dict "variable" "OIDC_CA_FILE" "key" .auth.oidc.caConfigMap.key "path" "ca.crt") -}}
{{- $files = append $files (dict "name" "oidc-ca" "folder" "/etc/jennah/oidc-ca" "configMap" .auth.oidc.caConfigMap.name "items" $items) -}}
{{- end -}}
{{- if .tls.secretName -}}
{{- $items := list (dict "variable" "API_TLS_CERT_FILE" "key" "tls.crt" "path" "tls.crt")
      (dict "variable" "API_TLS_KEY_FILE" "key" "tls.key" "path" "tls.key") -}}
{{- $files = append $files (dict "name" "tls" "folder" "/etc/jennah/tls" "secret" .tls.secretName "items" $items) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{/* What a container of ours gets: `environment` as YAML, its `env`. Takes (list $ ENV EXTRA_ENV).
     With existingConfig, of what the chart says only ports, file paths and what comes from elsewhere: in a Pod `env` wins over
     `envFrom`, so all else is in a ConfigMap before the user's own, of which the later one counts. */}}
{{- define "jennah.env" -}}
{{- $root := index . 0 -}}
{{- $own := list -}}
{{- range fromYamlArray (index . 1) -}}
{{- if or (ne (include "jennah.hasOwnConfig" $root) "true") (hasKey . "valueFrom") (regexMatch "_(PORT|PATH|FILE|KUBECONFIG)$" .name) -}}
{{- $own = append $own . -}}
{{- end -}}
{{- end -}}
{{- /* Each name once, the last one counts: server-side apply refuses a list with two of a name. */ -}}
{{- $names := list -}}
{{- $variables := dict -}}
{{- range concat $own $root.Values.extraEnv (index . 2) -}}
{{- $names = append $names .name | uniq -}}
{{- $_ := set $variables .name . -}}
{{- end -}}
{{- range $names }}
{{ toYaml (list (get $variables .)) }}
{{- end }}
{{- end -}}

{{/* The rest, as a map: the defaults of those who keep the environment themselves. */}}
{{- define "jennah.defaults" -}}
{{- $programs := list (include "jennah.env.controller" .) -}}
{{- if .Values.api.enabled -}}
{{- $programs = append $programs (include "jennah.env.api" .) -}}
{{- end -}}
{{- $defaults := dict -}}
{{- range $programs -}}
{{- range fromYamlArray . -}}
{{- if not (or (hasKey . "valueFrom") (regexMatch "_(PORT|PATH|FILE|KUBECONFIG)$" .name)) -}}
{{- $_ := set $defaults .name .value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $defaults -}}
{{- end -}}

{{- define "jennah.defaultsName" -}}{{ include "jennah.fullname" . }}-defaults{{- end -}}

{{/* Takes (list $ NAME): of the ConfigMap with the defaults. */}}
{{- define "jennah.envFrom" -}}
{{- $root := index . 0 -}}
{{- if eq (include "jennah.hasOwnConfig" $root) "true" }}
- configMapRef:
    name: {{ index . 1 }}
{{- end }}
{{- with $root.Values.existingConfig.configMap }}
- configMapRef:
    name: {{ . | quote }}
{{- end }}
{{- with $root.Values.existingConfig.secret }}
- secretRef:
    name: {{ . | quote }}
{{- end }}
{{- end -}}
