#!/bin/sh
# Writes where joyvl-server is and the key for it into the container's memory, and starts Prometheus.
set -eu
umask 077
printf '%s' "${METRICS_KEY:-}" >/tmp/metrics-key
printf '[{"targets": ["%s"]}]\n' "${UPSTREAM:-joyvl:8099}" >/tmp/joyvl.json
unset METRICS_KEY
exec prometheus --config.file="${PROMETHEUS_CONF:-/etc/prometheus/prometheus.yaml}" --storage.tsdb.path=/prometheus \
  --storage.tsdb.retention.time=30d
