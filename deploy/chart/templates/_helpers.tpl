{{- define "modelgate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "modelgate.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- /* selector or targetRefs, as WasmPlugin, TrafficExtension and Telemetry have them. */ -}}
{{- define "modelgate.target" -}}
{{- if .Values.targetRefs -}}
targetRefs:
{{- range .Values.targetRefs }}
- group: {{ .group | default (eq .kind "Gateway" | ternary "gateway.networking.k8s.io" "") | quote }}
  kind: {{ .kind }}
  name: {{ .name }}
{{- end }}
{{- else -}}
selector:
  matchLabels:
    {{- .Values.selector | default (dict "istio" "ingressgateway") | toYaml | nindent 4 }}
{{- end -}}
{{- end -}}

{{- /* The labels of the gateway's pods; nothing where several Gateways share them. */ -}}
{{- define "modelgate.workloads" -}}
{{- if not .Values.targetRefs -}}
{{- .Values.selector | default (dict "istio" "ingressgateway") | toYaml -}}
{{- else if and (eq (len .Values.targetRefs) 1) (eq (first .Values.targetRefs).kind "Gateway") -}}
gateway.networking.k8s.io/gateway-name: {{ (first .Values.targetRefs).name }}
{{- end -}}
{{- end -}}

{{- define "modelgate.pluginConfig" -}}
{{- $config := deepCopy .Values.pluginConfig -}}
{{- if .Values.accessLog.enabled -}}
{{- $config = merge $config (dict "telemetry" (dict)) -}}
{{- if not (hasKey $config.telemetry "accessLog") -}}
{{- $_ := set $config.telemetry "accessLog" true -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Where the module comes from, at the place where the kind has it. */ -}}
{{- define "modelgate.module" -}}
url: {{ .Values.url | quote }}
{{- range $name := list "sha256" "imagePullPolicy" "imagePullSecret" }}
{{- with index $.Values $name }}
{{ $name }}: {{ . | quote }}
{{- end }}
{{- end }}
failStrategy: {{ .Values.failStrategy }}
pluginConfig:
  {{- include "modelgate.pluginConfig" . | nindent 2 }}
{{- end -}}

{{- /* What a schema cannot say, or not clearly. */ -}}
{{- define "modelgate.validate" -}}
{{- if not .Values.url -}}
{{- fail "url is missing: the module's image, as `cargo xtask image --push` prints it (oci://registry.example.com/modelgate@sha256:...)" -}}
{{- end -}}
{{- if not .Values.pluginConfig.mode -}}
{{- fail "pluginConfig.mode is missing: REPORT decides, counts and logs, and refuses nothing, which is the way to begin; ENFORCE carries out what it decides" -}}
{{- end -}}
{{- if and .Values.selector .Values.targetRefs -}}
{{- fail "selector and targetRefs: one of the two says which gateway is meant" -}}
{{- end -}}
{{- range .Values.issuers -}}
{{- if and .credentialName .caCertificates -}}
{{- fail (printf "issuers: %s has credentialName and caCertificates: one of the two says who signed its certificate" .host) -}}
{{- end -}}
{{- if and .credentialName (not (include "modelgate.workloads" $)) -}}
{{- fail (printf "issuers: credentialName of %s needs pods that have the secret: a selector, or one Gateway in targetRefs; elsewhere caCertificates" .host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
