{{/* What the programs may do in Kubernetes: exactly what their code calls. docs/operations.md has the same table. */}}

{{/* kopf lists and watches; `delete` is ttlSecondsAfterFinished; `patch` is the finalizer and our labels. */}}
{{- define "jennah.controller.rules" -}}
- apiGroups: [jennah.alphaus.cloud]
  resources: [jennahjobs]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [jennah.alphaus.cloud]
  resources: [jennahjobs/status]
  verbs: [patch]
# A job's env and envFrom.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
# The tenant's label.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* provider.name=kubernetes */}}
{{- define "jennah.kubernetesJobs.rules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# The mark of a Pod whose task is not run again: docs/providers/kubernetes.md.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
{{- end -}}

{{/* In the namespace that the API creates jobs in. */}}
{{- define "jennah.api.rules" -}}
- apiGroups: [jennah.alphaus.cloud]
  resources: [jennahjobs]
  verbs: [create]
# env_vars of SubmitJob
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
{{- end -}}

{{/* Jobs that came by kubectl are shown, cancelled and deleted in every namespace that is watched. */}}
{{- define "jennah.api.readRules" -}}
- apiGroups: [jennah.alphaus.cloud]
  resources: [jennahjobs]
  verbs: [get, list, patch, delete]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}

{{/* API_AUTH=kubernetes: who a caller is, and whether it may act for the tenant. Neither has a namespace. */}}
{{- define "jennah.api.authRules" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end -}}

{{/* A Role or ClusterRole and its binding. Takes (list KIND NAME NAMESPACE LABELS SUBJECTS RULES). */}}
{{- define "jennah.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 0 }}
metadata:
  name: {{ index . 1 }}
  {{- with index . 2 }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- index . 3 | nindent 4 }}
rules:
  {{- index . 5 | nindent 2 }}
---
{{ include "jennah.roleBinding" . }}
{{- end -}}

{{/* Takes (list KIND NAME NAMESPACE LABELS SUBJECTS ...) of the role. */}}
{{- define "jennah.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 0 }}Binding
metadata:
  name: {{ index . 1 }}
  {{- with index . 2 }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- index . 3 | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 0 }}
  name: {{ index . 1 }}
subjects:
  {{- toYaml (index . 4) | nindent 2 }}
{{- end -}}
