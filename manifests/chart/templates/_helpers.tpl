{{/* Names and labels. Used by every template. */}}

{{/* The installation's name: the release's, with the chart's where that is not in it. */}}
{{- define "jennah.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "jennah" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-jennah" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "jennah.controller.fullname" -}}{{ include "jennah.fullname" . }}-controller{{- end -}}
{{- define "jennah.api.fullname" -}}{{ include "jennah.fullname" . }}-api{{- end -}}
{{- define "jennah.migration.fullname" -}}{{ include "jennah.fullname" . }}-migrate{{- end -}}

{{/* The names of objects of the whole cluster: two releases of one name can be in two namespaces. */}}
{{- define "jennah.clusterName" -}}
{{- if eq .Release.Namespace "jennah-system" -}}{{ include "jennah.fullname" . }}
{{- else -}}{{ printf "%s-%s" .Release.Namespace (include "jennah.fullname" .) }}
{{- end -}}
{{- end -}}

{{- define "jennah.controller.serviceAccountName" -}}
{{- .Values.controller.serviceAccount.name | default (ternary (include "jennah.controller.fullname" .) "default" .Values.controller.serviceAccount.create) -}}
{{- end -}}

{{- define "jennah.api.serviceAccountName" -}}
{{- .Values.api.serviceAccount.name | default (ternary (include "jennah.api.fullname" .) "default" .Values.api.serviceAccount.create) -}}
{{- end -}}

{{- define "jennah.migration.serviceAccountName" -}}
{{- .Values.migration.serviceAccount.name | default (ternary (include "jennah.migration.fullname" .) "default" .Values.migration.serviceAccount.create) -}}
{{- end -}}

{{/* As whom the programs are known to Kubernetes. */}}
{{- define "jennah.controller.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "jennah.controller.serviceAccountName" . }}
{{- end -}}

{{/* A JSON list of the service accounts of the programs. `default` is everybody's. */}}
{{- define "jennah.accounts" -}}
{{- without (list (include "jennah.controller.serviceAccountName" .) (include "jennah.api.serviceAccountName" .)
      (include "jennah.migration.serviceAccountName" .) | uniq) "default" | toJson -}}
{{- end -}}

{{/* A JSON list: the API may run elsewhere as well. */}}
{{- define "jennah.api.usernames" -}}
{{- $account := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "jennah.api.serviceAccountName" .) -}}
{{- concat (ternary (list $account) list .Values.api.enabled) .Values.api.users | toJson -}}
{{- end -}}

{{/* "true" where the environment is the user's own. */}}
{{- define "jennah.hasOwnConfig" -}}
{{- not (and (empty .Values.existingConfig.configMap) (empty .Values.existingConfig.secret)) -}}
{{- end -}}

{{/* Where the API creates jobs. */}}
{{- define "jennah.jobNamespace" -}}{{ .Values.jobNamespace.name | default .Release.Namespace }}{{- end -}}

{{/* "true" where the chart makes that namespace. */}}
{{- define "jennah.makesJobNamespace" -}}
{{- and .Values.jobNamespace.create (ne (include "jennah.jobNamespace" .) .Release.Namespace) -}}
{{- end -}}

{{/* A JSON list of the namespaces whose jobs are run; an empty one stands for all. */}}
{{- define "jennah.watched" -}}
{{- if .Values.rbac.clusterWide -}}[]
{{- else -}}{{ toJson (.Values.watchNamespaces | default (list (include "jennah.jobNamespace" .))) }}
{{- end -}}
{{- end -}}

{{/* A JSON list of the namespaces that Kubernetes Jobs are made in; an empty one stands for those of their JennahJobs, any. */}}
{{- define "jennah.jobPlaces" -}}
{{- if .Values.provider.kubernetes.namespace -}}{{ toJson (list .Values.provider.kubernetes.namespace) }}
{{- else -}}{{ include "jennah.watched" . }}
{{- end -}}
{{- end -}}

{{/* A JSON list: api.auth.kind is one kind or several. */}}
{{- define "jennah.api.authKinds" -}}
{{- ternary (list .Values.api.auth.kind) .Values.api.auth.kind (kindIs "string" .Values.api.auth.kind) | toJson -}}
{{- end -}}

{{/* A JSON list of what has pods that listen: component, name, and the name of the port that has its metrics. */}}
{{- define "jennah.servers" -}}
{{- $servers := list (dict "component" "controller" "name" (include "jennah.controller.fullname" .) "metricsPort" "health") -}}
{{- if .Values.api.enabled -}}
{{- $servers = append $servers (dict "component" "api" "name" (include "jennah.api.fullname" .) "metricsPort" "metrics") -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}

{{/* Labels by which selectors find a component: they can never change. Takes (list $ COMPONENT). */}}
{{- define "jennah.selectorLabels" -}}
app.kubernetes.io/name: jennah
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of every object. Takes (list $ COMPONENT). */}}
{{- define "jennah.labels" -}}
{{- $root := index . 0 -}}
{{ include "jennah.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: jennah
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
