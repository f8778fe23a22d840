#!/bin/sh
# Writes the password of the only user into a file of the container's memory, and starts the broker.
set -eu
if [ -z "${MQTT_PASSWORD:-}" ]; then
  echo "Set MQTT_PASSWORD in .env: the broker lets nobody in without a password." >&2
  exit 1
fi
umask 077
mosquitto_passwd -b -c /tmp/passwords "${MQTT_USER:-joyvl}" "$MQTT_PASSWORD"
unset MQTT_PASSWORD
exec mosquitto -c "${MOSQUITTO_CONF:-/etc/mosquitto/mosquitto.conf}"
