{{/*
What a schema cannot say, because it is about several values at once or about the cluster: every
complaint, each on a line that starts with the key at fault. `apiregistration.k8s.io/v1` is in no
client's built-in list, so its presence means that a real cluster was asked what it knows.
*/}}
{{- define "signalfleet.complaints" -}}
{{- $redis := .Values.redis -}}
{{- $secret := $redis.existingSecret -}}
{{- $scaling := .Values.autoscaling -}}
{{- $keda := and $scaling.enabled (eq $scaling.provider "keda") -}}
{{- $url := include "signalfleet.redisUrl" . -}}
{{- $shards := include "signalfleet.shards" . | int -}}
{{- $sources := len (.Values.extraConfig.sources | default list) -}}
{{- $counted := printf "config.shards=%d%s" (int .Values.config.shards) (ternary (printf " and %d of extraConfig.sources" $sources) "" (gt $sources 0)) -}}
{{- $live := .Capabilities.APIVersions.Has "apiregistration.k8s.io/v1" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "signalfleet.fullname" .)) }}
fullnameOverride: missing, and no Service may be called {{ include "signalfleet.fullname" . }}, as the release would have it: lower-case letters, digits and dashes after a letter
{{- end }}
{{- $servers := 0 -}}
{{- range list $redis.url $secret.urlKey .Values.valkey.enabled -}}{{- if . -}}{{- $servers = add1 $servers -}}{{- end -}}{{- end -}}
{{- if eq (int $servers) 0 }}
redis.url: no server is named. Set redis.url, redis.existingSecret (name and urlKey), or valkey.enabled=true to try things out
{{- else if gt (int $servers) 1 }}
redis.url: several servers are named. Keep one of redis.url, redis.existingSecret.urlKey and valkey.enabled
{{- end }}
{{- if and (or $secret.urlKey $secret.usernameKey $secret.passwordKey) (not $secret.name) }}
redis.existingSecret.name: missing, though keys of the secret are named
{{- end }}
{{- if and $secret.name (not (or $secret.urlKey $secret.usernameKey $secret.passwordKey)) }}
redis.existingSecret: name urlKey, usernameKey or passwordKey; nothing would be read from {{ $secret.name }}
{{- end }}
{{- if and $redis.username $secret.usernameKey }}
redis.username: also read from the secret (redis.existingSecret.usernameKey); keep one
{{- end }}
{{- if and .Values.valkey.enabled (or $redis.username $secret.name) }}
redis.existingSecret: the chart's own Valkey takes its password from valkey.existingSecret, and has no other user
{{- end }}
{{- with $redis.tls }}
{{- if and .caSecret .caConfigMap }}
redis.tls.caConfigMap: also redis.tls.caSecret; keep one
{{- end }}
{{- if and (or .caSecret .caConfigMap) $url (not (index (include "signalfleet.redisParts" $ | fromJson) "tls")) }}
redis.tls: a CA is named, but redis.url has no TLS; its scheme would start with rediss
{{- end }}
{{- end }}
{{- if and .Values.networkPolicy.enabled $secret.urlKey (not .Values.networkPolicy.redisPorts) }}
networkPolicy.redisPorts: name the server's port; the chart cannot read it off a URL in a secret
{{- end }}
{{- with .Values.telemetry }}
{{- $named := or .existingSecret.headersKey .existingSecret.caKey }}
{{- if and $named (not .existingSecret.name) }}
telemetry.existingSecret.name: missing, though keys of the secret are named
{{- end }}
{{- if and .existingSecret.name (not $named) }}
telemetry.existingSecret: name headersKey or caKey; nothing would be read from {{ .existingSecret.name }}
{{- end }}
{{- if and .existingSecret.name (not .endpoint) }}
telemetry.endpoint: missing, though telemetry.existingSecret is set
{{- end }}
{{- end }}
{{- $drain := float64 (index (include "signalfleet.config" . | fromYaml) "worker" "drain_s") }}
{{- if ge $drain (float64 .Values.worker.terminationGracePeriodSeconds) }}
worker.terminationGracePeriodSeconds: {{ .Values.worker.terminationGracePeriodSeconds }} must be more than config.worker.drain_s, {{ $drain }}
{{- end }}
{{- if and (not $scaling.enabled) (gt (int .Values.worker.replicas) $shards) }}
worker.replicas: {{ .Values.worker.replicas }} workers for {{ $counted }}; the rest would idle
{{- end }}
{{- $own := include "signalfleet.workerEnv" . | fromYamlArray }}
{{- $names := list }}
{{- range $own }}{{- $names = append $names .name }}{{- end }}
{{- range .Values.worker.extraEnv }}
{{- if has .name $names }}
worker.extraEnv: {{ .name }} is set by the chart itself
{{- else if and (hasPrefix "FLEET_" .name) (hasKey . "value") }}
worker.extraEnv: {{ .name }} is a setting; its place is config or extraConfig, where the chart and helm test see it
{{- end }}
{{- end }}
{{- if $scaling.enabled }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
autoscaling.minReplicas: {{ $scaling.minReplicas }} is more than autoscaling.maxReplicas, {{ $scaling.maxReplicas }}
{{- end }}
{{- if gt (int $scaling.maxReplicas) $shards }}
autoscaling.maxReplicas: {{ $scaling.maxReplicas }} is more than {{ $counted }}; the rest would idle
{{- end }}
{{- end }}
{{- if $keda }}
{{- if gt (int $scaling.keda.fallback.replicas) (int $scaling.maxReplicas) }}
autoscaling.keda.fallback.replicas: {{ $scaling.keda.fallback.replicas }} is more than autoscaling.maxReplicas, {{ $scaling.maxReplicas }}
{{- end }}
{{- if eq $scaling.keda.trigger "redis-streams" }}
{{- if gt (int .Values.config.shards) 32 }}
autoscaling.keda.trigger: redis-streams asks Redis once a shard, and config.shards is {{ .Values.config.shards }}, over 32; use metrics-api
{{- end }}
{{- if gt $sources 0 }}
autoscaling.keda.trigger: redis-streams does not ask for extraConfig.sources; use metrics-api
{{- end }}
{{- if not $url }}
autoscaling.keda.trigger: redis-streams needs redis.url, which KEDA cannot read out of a secret
{{- end }}
{{- end }}
{{- if and (eq $scaling.keda.trigger "prometheus") (not $scaling.keda.prometheus.serverAddress) }}
autoscaling.keda.prometheus.serverAddress: missing, and autoscaling.keda.trigger is prometheus
{{- end }}
{{- if and $live (not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1")) }}
autoscaling.provider: this cluster has no keda.sh/v1alpha1; install KEDA, or use autoscaling.provider=hpa
{{- end }}
{{- end }}
{{- if $live }}
{{- range $key, $kind := dict "serviceMonitor" "ServiceMonitor" "prometheusRule" "PrometheusRule" }}
{{- if and (eq (toString (index $.Values.metrics $key).enabled) "true") (not ($.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind))) }}
metrics.{{ $key }}.enabled: this cluster has no {{ $kind }} (monitoring.coreos.com/v1); use auto or false
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
