{{/*
Name of the release's objects, at most 46 characters so that every suffix fits in 63, KEDA's
`keda-hpa-` and a StatefulSet's revision hash included. What is cut off is hashed, so two long
release names stay apart. A release called `signalfleet` is not called so twice.
*/}}
{{- define "signalfleet.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (eq .Release.Name .Chart.Name) -}}
{{- end -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" (trunc 37 $name | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Labels that select pods: few, and never to change between versions of the chart. */}}
{{- define "signalfleet.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object; as a list (context, component) also the component. */}}
{{- define "signalfleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "signalfleet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Shards there are: the numbered ones, and a source stream is one of its own. */}}
{{- define "signalfleet.shards" -}}
{{- add (int .Values.config.shards) (len (.Values.extraConfig.sources | default list)) -}}
{{- end -}}

{{- define "signalfleet.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "signalfleet.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Matchers of this release's series, as Prometheus labels what it scrapes through the Service. */}}
{{- define "signalfleet.series" -}}
{{- .Values.metrics.prometheusRule.selector | default (printf "namespace=%q, service=%q" .Release.Namespace (include "signalfleet.fullname" .)) -}}
{{- end -}}

{{/* (context, setting, kind): "true" when an optional object of a custom kind is to be rendered. */}}
{{- define "signalfleet.wants" -}}
{{- $context := index . 0 -}}
{{- $setting := toString (index . 1) -}}
{{- $kind := index . 2 -}}
{{- if or (eq $setting "true") (and (eq $setting "auto") ($context.Capabilities.APIVersions.Has $kind)) -}}true{{- end -}}
{{- end -}}
