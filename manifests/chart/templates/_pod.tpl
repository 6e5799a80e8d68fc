{{/* What the pods of all components have in common. */}}

{{- define "jennah.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}
{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A pod's labels. Takes (list $ COMPONENT VALUES). With an identity of Azure's the pod needs a label as well. */}}
{{- define "jennah.podLabels" -}}
{{- $values := index . 2 -}}
{{ include "jennah.labels" (list (index . 0) (index . 1)) }}
{{- if hasKey ($values.serviceAccount.annotations | default dict) "azure.workload.identity/client-id" }}
azure.workload.identity/use: "true"
{{- end }}
{{- with $values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where a pod runs and as whom. Takes (list $ VALUES). */}}
{{- define "jennah.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Not all replicas on one node, or in one zone. Takes (list $ COMPONENT VALUES). */}}
{{- define "jennah.spread" -}}
{{- $values := index . 2 -}}
{{- $selector := include "jennah.selectorLabels" (list (index . 0) (index . 1)) -}}
affinity:
  {{- if $values.affinity }}
  {{- toYaml $values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
  {{- end }}
topologySpreadConstraints:
  {{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* A container of ours up to its ports. Takes (list $ ENV EXTRA_ENV RESOURCES DEFAULTS_NAME). */}}
{{- define "jennah.container" -}}
{{- $root := index . 0 -}}
image: {{ include "jennah.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
resources:
  {{- toYaml (index . 3) | nindent 2 }}
{{- with include "jennah.envFrom" (list $root (index . 4)) }}
envFrom:
  {{- . | trim | nindent 2 }}
{{- end }}
{{- with include "jennah.env" (list $root (index . 1) (index . 2)) | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* `jennah migrate` before the program, for tools that know no hooks. */}}
{{- define "jennah.migrateFirst" -}}
{{- if eq .Values.migration.mode "initContainer" }}
- name: migrate
  args: [migrate]
  {{- include "jennah.container" (list . (include "jennah.env.migration" .) .Values.migration.extraEnv .Values.migration.resources (include "jennah.defaultsName" .)) | nindent 2 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with .Values.migration.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "jennah.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if or .Values.profiles .Values.existingProfiles }}
- name: profiles
  mountPath: /etc/jennah/profiles
  readOnly: true
{{- end }}
{{- end -}}

{{/* Restarts pods when what they read at their start has changed. */}}
{{- define "jennah.checksums" -}}
{{- if .Values.profiles }}
checksum/profiles: {{ toJson .Values.profiles | sha256sum }}
{{- end }}
{{- if eq (include "jennah.hasOwnConfig" .) "true" }}
checksum/defaults: {{ include "jennah.defaults" . | sha256sum }}
{{- end }}
{{- end -}}

{{/* "true" where Kubernetes Jobs run in another cluster than the release's. */}}
{{- define "jennah.hasJobCluster" -}}
{{- and (eq .Values.provider.name "kubernetes") (ne .Values.provider.kubernetes.kubeconfigSecret.name "") -}}
{{- end -}}

{{/* The root file system is read-only: SDKs and the reader of kubeconfig files write to /tmp.
     Takes (list $ EXTRA_VOLUMES). */}}
{{- define "jennah.volumes" -}}
{{- $root := index . 0 -}}
{{- $extra := index . 1 -}}
{{- if eq $root.Values.migration.mode "initContainer" -}}
{{- $extra = concat $extra $root.Values.migration.extraVolumes | uniq -}}
{{- end -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with $root.Values }}
{{- if or .profiles .existingProfiles }}
- name: profiles
  configMap:
    name: {{ .existingProfiles | default (printf "%s-profiles" (include "jennah.fullname" $root)) | quote }}
{{- end }}
{{- end }}
{{- with $extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}
