{{/* The server's URL, or nothing when a secret holds it. */}}
{{- define "signalfleet.redisUrl" -}}
{{- if .Values.valkey.enabled -}}
{{- printf "redis://%s-valkey.%s.svc:6379/0" (include "signalfleet.fullname" .) .Release.Namespace -}}
{{- else -}}
{{- .Values.redis.url -}}
{{- end -}}
{{- end -}}

{{/* The URL in its parts, as JSON: kind (redis, sentinel, cluster), tls, hosts (host:port), master, database. */}}
{{- define "signalfleet.redisParts" -}}
{{- $url := include "signalfleet.redisUrl" . -}}
{{- $scheme := regexFind "^[a-z+]+" $url -}}
{{- $path := $url | trimPrefix (printf "%s://" $scheme) | splitList "?" | first | splitList "/" -}}
{{- $sentinel := hasSuffix "+sentinel" $scheme -}}
{{- $hosts := list -}}
{{- range splitList "," (first $path) -}}
{{- $hosts = append $hosts (ternary . (printf "%s:%s" . (ternary "26379" "6379" $sentinel)) (regexMatch ":[0-9]+$" .)) -}}
{{- end -}}
{{- $rest := rest $path -}}
{{- $master := "" -}}
{{- if and $sentinel $rest -}}
{{- $master = first $rest -}}
{{- $rest = slice $rest 1 -}}
{{- end -}}
{{- dict "kind" (splitList "+" $scheme | rest | first | default "redis") "tls" (hasPrefix "rediss" $scheme) "hosts" $hosts "master" $master "database" (first $rest | default "0") | toJson -}}
{{- end -}}

{{/* Ports that the network policy lets clients reach; behind a sentinel there is a server too. */}}
{{- define "signalfleet.redisPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.redisPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- if and (not $ports) (include "signalfleet.redisUrl" .) -}}
{{- $parts := include "signalfleet.redisParts" . | fromJson -}}
{{- range $parts.hosts -}}{{- $ports = append $ports (splitList ":" . | last | int) -}}{{- end -}}
{{- if $parts.master -}}{{- $ports = append $ports 6379 -}}{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* (name, secret, key): one environment variable out of a secret. */}}
{{- define "signalfleet.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}

{{/* How every client of the release reaches the server. */}}
{{- define "signalfleet.redisEnv" -}}
{{- $secret := .Values.redis.existingSecret -}}
{{- if $secret.urlKey }}
{{ include "signalfleet.fromSecret" (list "FLEET_REDIS__URL" $secret.name $secret.urlKey) }}
{{- else }}
- name: FLEET_REDIS__URL
  value: {{ include "signalfleet.redisUrl" . | quote }}
{{- end }}
{{- if $secret.usernameKey }}
{{ include "signalfleet.fromSecret" (list "FLEET_REDIS__USERNAME" $secret.name $secret.usernameKey) }}
{{- else if .Values.redis.username }}
- name: FLEET_REDIS__USERNAME
  value: {{ .Values.redis.username | quote }}
{{- end }}
{{- if $secret.passwordKey }}
{{ include "signalfleet.fromSecret" (list "FLEET_REDIS__PASSWORD" $secret.name $secret.passwordKey) }}
{{- else if and .Values.valkey.enabled .Values.valkey.existingSecret.name }}
{{ include "signalfleet.fromSecret" (list "FLEET_REDIS__PASSWORD" .Values.valkey.existingSecret.name .Values.valkey.existingSecret.passwordKey) }}
{{- end }}
{{- if or .Values.redis.tls.caSecret .Values.redis.tls.caConfigMap }}
- name: FLEET_REDIS__CA_FILE
  value: /etc/signalfleet/tls/ca.crt
{{- end }}
{{- end -}}

{{- define "signalfleet.redisMounts" -}}
{{- if or .Values.redis.tls.caSecret .Values.redis.tls.caConfigMap }}
- name: redis-ca
  mountPath: /etc/signalfleet/tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "signalfleet.redisVolumes" -}}
{{- with .Values.redis.tls }}
{{- if or .caSecret .caConfigMap }}
- name: redis-ca
  {{- if .caSecret }}
  secret:
    secretName: {{ .caSecret | quote }}
  {{- else }}
  configMap:
    name: {{ .caConfigMap | quote }}
  {{- end }}
    items: [{key: {{ .caKey | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end -}}
