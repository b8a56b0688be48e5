{{/* What every pod of the release has in common; passes Pod Security `restricted`. */}}
{{- define "signalfleet.podBase" -}}
serviceAccountName: {{ include "signalfleet.serviceAccount" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- with .Values.uid }}
  runAsUser: {{ int . }}
  runAsGroup: {{ int . }}
  fsGroup: {{ int . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
{{- end -}}

{{- define "signalfleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* (values of an image, default tag): its reference; a digest wins. */}}
{{- define "signalfleet.imageOf" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* fleet.yaml: the values of `config` that are set, and `extraConfig` over them. */}}
{{- define "signalfleet.config" -}}
{{- $config := dict -}}
{{- range $key, $value := .Values.config -}}
{{- if and (kindIs "map" $value) (ne $key "plans") -}}
{{- $kept := dict -}}
{{- range $name, $inner := $value -}}
{{- if not (or (kindIs "invalid" $inner) (eq (toString $inner) "map[]")) -}}{{- $_ := set $kept $name $inner -}}{{- end -}}
{{- end -}}
{{- if $kept -}}{{- $_ := set $config $key $kept -}}{{- end -}}
{{- else -}}
{{- $_ := set $config $key $value -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy .Values.extraConfig) | toYaml -}}
{{- end -}}

{{/* Where every process of the release reads its configuration. */}}
{{- define "signalfleet.configMount" -}}
- name: config
  mountPath: /etc/signalfleet/fleet.yaml
  subPath: fleet.yaml
  readOnly: true
{{- end -}}

{{- define "signalfleet.configVolume" -}}
- name: config
  configMap:
    name: {{ include "signalfleet.fullname" . }}
{{- end -}}
