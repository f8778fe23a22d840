#!/bin/sh
# Starts the TURN server with the secret of .env. TURN_ADDRESS, where it is set, is what clients are told, and what this
# machine's own peers are reached at.
set -eu
if [ -z "${TURN_SECRET:-}" ]; then
  echo "Set TURN_SECRET in .env: openssl rand -hex 32" >&2
  exit 1
fi
umask 077
cp "${TURN_CONF:-/etc/joyvl-turn/turnserver.conf}" /tmp/turnserver.conf
{
  echo "static-auth-secret=$TURN_SECRET"
  echo "realm=${TURN_REALM:-joyvl}"
  if [ -n "${TURN_ADDRESS:-}" ]; then
    echo "external-ip=$TURN_ADDRESS"
    echo "allowed-peer-ip=$TURN_ADDRESS"
  fi
} >>/tmp/turnserver.conf
unset TURN_SECRET
exec turnserver -c /tmp/turnserver.conf
